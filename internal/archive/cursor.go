package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// cursorBuffer holds the longest record: a directory header with its name, fields and comment.
const cursorBuffer = 128 << 10

// A cursor reads an archive forwards and knows the offset of every byte. The inflater reads from the
// same buffer, byte by byte, so that nothing after the compressed data is lost.
type cursor struct {
	src *source
	br  *bufio.Reader
}

func newCursor(src io.Reader, offset, max int64) *cursor {
	s := &source{src: src, offset: offset, max: max}
	return &cursor{src: s, br: bufio.NewReaderSize(s, cursorBuffer)}
}

// offset is where the next byte stands, in bytes from the archive's start.
func (c *cursor) offset() int64 { return c.src.offset - int64(c.br.Buffered()) }

// peek returns the next n bytes without moving. They are valid until the next call.
func (c *cursor) peek(n int, what string) ([]byte, error) {
	b, err := c.br.Peek(n)
	if err != nil {
		return nil, c.failed(err, what)
	}
	return b, nil
}

// take returns the next n bytes and moves behind them. They are valid until the next call.
func (c *cursor) take(n int, what string) ([]byte, error) {
	b, err := c.peek(n, what)
	if err != nil {
		return nil, err
	}
	_, err = c.br.Discard(n)
	return b, err
}

// failed tells an archive that ends too soon from a source that cannot be read, in which case the
// source's own error stays visible.
func (c *cursor) failed(err error, what string) error {
	if format := (*FormatError)(nil); errors.As(c.src.err, &format) {
		return format
	}
	// A source that wraps io.ErrUnexpectedEOF has more to say about it than that the end is missing.
	if c.src.err == nil || c.src.err == io.EOF || c.src.err == io.ErrUnexpectedEOF {
		return broken(RuleTruncated, c.src.offset, "the archive ends in %s, from offset %d", what, c.offset())
	}
	return fmt.Errorf("archive: read at offset %d: %w", c.src.offset, err)
}

// atEnd reports whether no byte is left.
func (c *cursor) atEnd() (bool, error) {
	_, err := c.br.Peek(1)
	if err == nil {
		return false, nil
	}
	if err == io.EOF {
		return true, nil
	}
	return false, c.failed(err, "its end")
}

// reset makes the cursor continue at another offset of src, which has size bytes.
func (c *cursor) reset(src io.ReaderAt, offset, size int64) {
	c.src.src = io.NewSectionReader(src, offset, size-offset)
	c.src.offset, c.src.err = offset, nil
	c.br.Reset(c.src)
}

// A source counts what is read, refuses to read for ever, and remembers why reading ended.
type source struct {
	src    io.Reader
	offset int64
	max    int64 // bytes
	step   int   // bytes read at once at most, 0: as many as there is room for
	err    error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.offset > s.max {
		s.err = broken(RuleSizeMax, s.offset, "the archive has more than %d bytes", s.max)
		return 0, s.err
	}
	if s.step > 0 && len(p) > s.step {
		p = p[:s.step]
	}
	n, err := s.src.Read(p)
	s.offset += int64(n)
	if err != nil {
		s.err = err
	}
	return n, err
}

// signature returns the next four bytes without moving.
func (c *cursor) signature(what string) (uint32, error) {
	b, err := c.peek(4, what)
	if err != nil {
		return 0, err
	}
	return le32(b, 0), nil
}
