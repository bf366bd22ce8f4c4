package delta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// HeadSizeMax is the most bytes of the line that a delta begins with.
const HeadSizeMax = 64 << 10

// ErrDelta says that what came cannot be put together.
var ErrDelta = fault.New(fault.Rejected, "what was sent cannot be put together")

// Head says how a file is put together. A delta is a line of JSON, the head, and after it what the recipe lacks, as [NewWriter]
// compresses it.
type Head struct {
	Recipe Recipe `json:"recipe"`
	// Dictionary is the executable with which what follows is compressed; nil: none.
	Dictionary *multiversion.Checksum `json:"dictionary,omitempty"`
}

// ReadHead reads the head of a delta, and returns what follows it. A head that is not well-formed is an error of class
// usage.
func ReadHead(r io.Reader) (Head, io.Reader, error) {
	buffered := bufio.NewReaderSize(r, HeadSizeMax)
	line, err := buffered.ReadSlice('\n')
	var head Head
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return head, nil, fault.New(fault.Usage, fmt.Sprintf("the recipe has more than %d bytes", HeadSizeMax))
	case err != nil:
		return head, nil, fmt.Errorf("read the recipe: %w", err)
	}
	if err := fault.Unmarshal(line, &head); err != nil {
		return head, nil, fault.New(fault.Usage, "not a recipe: "+err.Error())
	}
	if err := head.Recipe.Check(); err != nil {
		return head, nil, fault.New(fault.Usage, err.Error())
	}
	return head, buffered, nil
}

// Whole says that nothing of the receiver's is used.
func (h Head) Whole() bool {
	_, lacking := h.Recipe.Lacking()
	return lacking == h.Recipe.Size && h.Dictionary == nil
}

// Inflate returns what the recipe lacks out of what follows the head. A dictionary that is not held, or is damaged, is a
// [*SeedError].
func (h Head) Inflate(held Held, rest io.Reader) (io.ReadCloser, error) {
	var dictionary []byte
	if h.Dictionary != nil {
		var err error
		if dictionary, err = held.Dictionary(*h.Dictionary); err != nil {
			return nil, err
		}
	}
	return NewReader(rest, dictionary)
}

// Rebuild writes the file to w. Rest is what follows the head. The error is a [*SeedError], matches [ErrDelta] when all that came could be
// read and is to blame, or says what rest or w refused, or is the context's. What was written without an error is the file
// only if its SHA-256 is right.
func (h Head) Rebuild(ctx context.Context, w io.Writer, held Held, rest io.Reader) error {
	sent := &failing{Reader: rest}
	inflated, err := h.Inflate(held, sent)
	if err != nil {
		return err
	}
	defer inflated.Close()
	reader := &failing{Reader: inflated}
	err = h.Recipe.Rebuild(ctx, w, held, reader)
	if err == nil {
		var more [1]byte
		var count int
		if count, err = io.ReadFull(reader, more[:]); count > 0 {
			return fmt.Errorf("%w: more came than the recipe lacks", ErrDelta)
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	ended := errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, new(*SeedError))
	if (reader.err != nil || ended) && sent.err == nil {
		return fmt.Errorf("%w: %w", ErrDelta, err)
	}
	return err
}

// failing remembers why it could not be read to its end.
type failing struct {
	io.Reader

	err error
}

func (f *failing) Read(data []byte) (int, error) {
	count, err := f.Reader.Read(data)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return count, err
}
