package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/multiversion"
)

// An artifact is sent as far as the host lacks it.
//
//	GET /v1/held?target=T  -> HeldAnswer: which executables it has
//	PUT /v1/store/sha256/HEX/delta?target=T  a line of JSON, DeltaRequest, and what the recipe lacks, as package delta
//	    compresses it -> DeltaAnswer, when the artifact is durable
//
// An executable that turns out to be damaged is named in the [ErrorAnswer], so that it can be sent again without that.
const (
	pathHeld    = "/v1/held"
	suffixDelta = "/delta"
	queryTarget = "target"
)

// HeldAnswer is what a host has of which artifacts can be put together.
type HeldAnswer struct {
	Executables []host.HeldExecutable `json:"executables"` // the newest first
	LeftOut     []host.LeftOut        `json:"left_out"`
}

// DeltaRequest says how an artifact is put together.
type DeltaRequest struct {
	Recipe delta.Recipe `json:"recipe"`
	// Dictionary is the executable with which what follows is compressed; nil: none.
	Dictionary *multiversion.Checksum `json:"dictionary,omitempty"`
}

// DeltaAnswer is what an artifact became, and of how many bytes.
type DeltaAnswer struct {
	Artifact depot.Artifact `json:"artifact"`
	Came     int64          `json:"came"`  // bytes of the request
	There    int64          `json:"there"` // bytes of the artifact that the host had
}

// errDelta says that what was sent is not what the host can put together.
var errDelta = fault.New(fault.Rejected, "what was sent cannot be put together")

// Held asks a host which executables it has for a target.
func (s *Session) Held(ctx context.Context, target string) (HeldAnswer, error) {
	var answer HeldAnswer
	err := s.ask(ctx, http.MethodGet, pathHeld+"?"+url.Values{queryTarget: {target}}.Encode(), nil, &answer)
	return answer, err
}

// PutDelta sends what a host lacks of an artifact for a target, and returns when the artifact is durable there, or with the
// context. The error unwraps to a [*delta.SeedError] when the host found one of its executables damaged.
func (s *Session) PutDelta(ctx context.Context, target, digest string, body []byte) (DeltaAnswer, error) {
	var answer DeltaAnswer
	path := pathPut + digest + suffixDelta + "?" + url.Values{queryTarget: {target}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, path, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	return answer, s.send(request, &answer)
}

// held answers what this host has.
func (h *Host) held(w http.ResponseWriter, r *http.Request) {
	target, err := h.named(r.URL.Query().Get(queryTarget))
	if err != nil {
		answerError(w, err)
		return
	}
	end, err := h.deltas.take(r.Context(), "")
	if err != nil {
		answerError(w, err)
		return
	}
	defer end()
	held := host.OpenHeld(h.Installer.FS, target, h.Store)
	defer held.Close()
	answer(w, http.StatusOK, HeldAnswer{held.Executables, held.LeftOut})
}

// putDelta stores an artifact that is put together of what came and what is here.
func (h *Host) putDelta(w http.ResponseWriter, r *http.Request) {
	came := &counted{Reader: r.Body}
	said, err := h.rebuilt(r, came)
	if err != nil {
		answerError(w, err)
		return
	}
	said.Came = came.bytes
	answer(w, http.StatusOK, said)
}

// rebuilt puts an artifact together. One at a time is, so that a session takes the memory of one dictionary at most.
func (h *Host) rebuilt(r *http.Request, came io.Reader) (DeltaAnswer, error) {
	digest := r.PathValue("digest")
	if !depot.IsDigest(digest) {
		return DeltaAnswer{}, fault.New(fault.Usage, fmt.Sprintf("%q is no SHA-256 in hexadecimal digits", digest))
	}
	target, err := h.named(r.URL.Query().Get(queryTarget))
	if err != nil {
		return DeltaAnswer{}, err
	}
	end, err := h.deltas.take(r.Context(), "")
	if err != nil {
		return DeltaAnswer{}, err
	}
	defer end()
	request, rest, err := readDelta(came)
	if err != nil {
		return DeltaAnswer{}, err
	}
	held := host.OpenHeld(h.Installer.FS, target, h.Store)
	defer held.Close()
	writer, err := h.Store.Create(request.Recipe.Size)
	if err != nil {
		return DeltaAnswer{}, err
	}
	if err := request.rebuild(r.Context(), writer, held.Held, rest); err != nil {
		var seed *delta.SeedError
		if errors.As(err, &seed) && held.Name(seed.Checksum) != "" {
			err = fmt.Errorf("%s: %w", held.Name(seed.Checksum), err)
		}
		return DeltaAnswer{}, errors.Join(err, writer.Abort())
	}
	artifact, err := writer.Commit(r.Context(), digest)
	_, lacking := request.Recipe.Lacking()
	return DeltaAnswer{Artifact: artifact, There: request.Recipe.Size - lacking}, err
}

// readDelta reads the line in front of what is compressed, and returns what follows it.
func readDelta(r io.Reader) (DeltaRequest, io.Reader, error) {
	buffered := bufio.NewReaderSize(r, RequestSizeMax)
	line, err := buffered.ReadSlice('\n')
	var request DeltaRequest
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return request, nil, fault.New(fault.Usage, fmt.Sprintf("the recipe has more than %d bytes", RequestSizeMax))
	case err != nil:
		return request, nil, fmt.Errorf("read the recipe: %w", err)
	}
	if err := json.Unmarshal(line, &request); err != nil {
		return request, nil, fault.New(fault.Usage, "not a recipe: "+fault.JSON(err).Error())
	}
	if err := request.Recipe.Check(); err != nil {
		return request, nil, fault.New(fault.Usage, err.Error())
	}
	return request, buffered, nil
}

// rebuild writes the artifact to w.
func (d DeltaRequest) rebuild(ctx context.Context, w io.Writer, held delta.Held, rest io.Reader) error {
	var dictionary []byte
	if d.Dictionary != nil {
		var err error
		if dictionary, err = held.Dictionary(*d.Dictionary); err != nil {
			return err
		}
	}
	sent := &failing{Reader: rest}
	inflated, err := delta.NewReader(sent, dictionary)
	if err != nil {
		return err
	}
	defer inflated.Close()
	reader := &failing{Reader: inflated}
	err = d.Recipe.Rebuild(ctx, w, held, reader)
	if err == nil {
		var more [1]byte
		var count int
		if count, err = io.ReadFull(reader, more[:]); count > 0 {
			return fmt.Errorf("%w: more came than the recipe lacks", errDelta)
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	ended := errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, new(*delta.SeedError))
	if (reader.err != nil || ended) && sent.err == nil { // all that came could be read, and is to blame
		return fmt.Errorf("%w: %w", errDelta, err)
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

// counted counts what is read.
type counted struct {
	io.Reader

	bytes int64
}

func (c *counted) Read(data []byte) (int, error) {
	count, err := c.Reader.Read(data)
	c.bytes += int64(count)
	return count, err
}
