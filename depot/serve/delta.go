package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// SuffixDelta follows an artifact's path where its deltas are.
	SuffixDelta = "/delta"

	deltaWaitMax  = 15 * time.Second // of a request for a delta until it is made
	deltaQueueMax = 8                // that wait to be made
)

// Kept is where the deltas of a store's artifacts are kept: in the store, as long as they leave free what artifacts of others leave.
func Kept(store *depot.Depot) *delta.Kept {
	return &delta.Kept{FS: store.FS(), Dir: filepath.Join(store.Dir(), "deltas"), Spare: depot.ReceivedSpareMin}
}

// delta gives what a host that has certain executables lacks of an artifact. It is made once, one at a time, and kept; who asks when too
// many are to be made, or would wait for too long, is sent away, and can have the artifact itself.
func (s *Server) delta(out *answer, r *http.Request, digest string) {
	if r.Method != http.MethodGet {
		out.Header().Set("Allow", "GET")
		refuse(out, http.StatusMethodNotAllowed, "a delta is read with GET")
		return
	}
	held, err := delta.ParseHeld(r.URL.Query().Get(delta.QueryHeld))
	if err != nil {
		refuse(out, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case s.deltas <- struct{}{}:
		defer func() { <-s.deltas }()
	default:
		s.sendAway(out)
		return
	}
	file, ok := s.artifactOf(out, r, digest)
	if !ok {
		return
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(r.Context(), positive(s.Wait, deltaWaitMax))
	defer cancel()
	whole := delta.NewFile(digest, file)
	head := whole.For(func(checksum multiversion.Checksum) bool { return slices.Contains(held, checksum) })
	body, err := s.press.Make(ctx, whole, head)
	switch {
	case errors.Is(err, delta.ErrQueue), ctx.Err() != nil:
		s.sendAway(out)
		return
	case err != nil:
		s.failed(out, err)
		return
	}
	s.count(&s.counters.Deltas, 1)
	out.Header().Set("Content-Type", "application/octet-stream")
	out.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = out.Write(body) // who reads it finds out
}

// sendAway answers a request that would wait for too long.
func (s *Server) sendAway(out *answer) {
	out.Header().Set("Retry-After", "5")
	refuse(out, http.StatusServiceUnavailable, "too many deltas are to be made")
}
