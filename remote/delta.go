package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/sha"
)

// An artifact is sent as far as the host lacks it.
//
//	GET /v1/held?target=T  -> HeldAnswer: which executables it has
//	PUT /v1/store/sha256/HEX/delta?target=T  a delta: a line of JSON, delta.Head, and what the recipe lacks, compressed
//	    -> DeltaAnswer, when the artifact is durable
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

// DeltaAnswer is what an artifact became, and of how many bytes.
type DeltaAnswer struct {
	Artifact depot.Artifact `json:"artifact"`
	Came     int64          `json:"came"`  // bytes of the request
	There    int64          `json:"there"` // bytes of the artifact that the host had
}

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
		h.refuse(w, err, commandStore, "")
		return
	}
	said.Came = came.bytes
	answer(w, http.StatusOK, said)
}

// rebuilt puts an artifact together. One at a time is, so that a session takes the memory of one dictionary at most.
func (h *Host) rebuilt(r *http.Request, came io.Reader) (DeltaAnswer, error) {
	digest := r.PathValue("digest")
	if err := sha.Check(digest); err != nil {
		return DeltaAnswer{}, err
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
	head, rest, err := delta.ReadHead(came)
	if err != nil {
		return DeltaAnswer{}, err
	}
	held := host.OpenHeld(h.Installer.FS, target, h.Store)
	defer held.Close()
	writer, err := h.Store.Receive(head.Recipe.Size)
	if err != nil {
		return DeltaAnswer{}, err
	}
	if err := head.Rebuild(r.Context(), writer, held.Held, rest); err != nil {
		var seed *delta.SeedError
		if errors.As(err, &seed) && held.Name(seed.Checksum) != "" {
			err = fmt.Errorf("%s: %w", held.Name(seed.Checksum), err)
		}
		return DeltaAnswer{}, errors.Join(err, writer.Abort())
	}
	artifact, err := shelf.Keep(r.Context(), writer, digest)
	_, lacking := head.Recipe.Lacking()
	return DeltaAnswer{Artifact: artifact, There: head.Recipe.Size - lacking}, err
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
