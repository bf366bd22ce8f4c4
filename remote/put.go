package remote

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

// slowest is how many bytes a second of an artifact must come, after the first minute that was waited for it.
const slowest = 16 << 10

// body is a request's body that is cut when it does not end in [bodyTimeout]. A large one is cut when nothing of it comes for so long, or
// all in all too little: what it was to be takes room until then. Only the time counts for which this end waits.
type body struct {
	io.ReadCloser

	control *http.ResponseController
	large   bool
	came    int64 // bytes
	waited  time.Duration
}

func (b *body) wait() {
	patience := bodyTimeout
	if b.large {
		patience = min(patience, time.Minute+time.Duration(b.came/slowest)*time.Second-b.waited)
	}
	_ = b.control.SetReadDeadline(time.Now().Add(patience)) // a stream of HTTP/2 has deadlines
}

func (b *body) Read(data []byte) (int, error) {
	if !b.large {
		return b.ReadCloser.Read(data)
	}
	b.wait()
	began := time.Now()
	count, err := b.ReadCloser.Read(data)
	b.waited += time.Since(began)
	b.came += int64(count)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nothing came within %v, or less than %d KiB a second: %w", bodyTimeout, slowest>>10, err)
	}
	return count, err
}

// sized refuses a request that stores something and does not say how long it is, or is too long.
func sized(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.ContentLength < 0:
		answer(w, http.StatusLengthRequired, ErrorAnswer{Class: fault.Usage, Message: "the request does not say how many bytes it has: Content-Length"})
	case r.ContentLength > multiversion.SizeMax:
		answerError(w, fault.New(fault.Usage, fmt.Sprintf("%d bytes are more than an artifact has", r.ContentLength)))
	default:
		return true
	}
	return false
}

func (h *Host) put(w http.ResponseWriter, r *http.Request) {
	artifact, err := h.stored(r, r.PathValue("digest"))
	if err != nil {
		h.refuse(w, err, commandStore, "")
		return
	}
	answer(w, http.StatusOK, artifact)
}

// stored stores the body of a request, if it is a whole binary. One at a time is, so that a session has room reserved for one alone.
func (h *Host) stored(r *http.Request, digest string) (depot.Artifact, error) {
	if err := sha.Check(digest); err != nil {
		return depot.Artifact{}, err
	}
	end, err := h.deltas.take(r.Context(), "")
	if err != nil {
		return depot.Artifact{}, err
	}
	defer end()
	writer, err := h.Store.Receive(r.ContentLength)
	if err != nil {
		return depot.Artifact{}, err
	}
	if _, err := io.Copy(writer, r.Body); err != nil {
		return depot.Artifact{}, errors.Join(fmt.Errorf("read the artifact: %w", err), writer.Abort())
	}
	return shelf.Keep(r.Context(), writer, digest)
}
