// Package serve gives the artifacts of a depot to others over HTTP: by their digest, and as a mirror of releases. It
// only ever reads: nothing that a request says becomes a path, and nothing that has changed is given away.
package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
)

// What a server bears unless it is told otherwise.
const (
	ConnectionsMax = 256 // at once; more wait to be accepted
	AddressMax     = 64  // of them from one address, or one network of IPv6; more are closed
	RequestsMax    = 64  // answered at once; more wait, and are then sent away
	RangesMax      = 64  // of one request

	headerSizeMax = 16 << 10 // bytes
	headerTimeout = 10 * time.Second
	shortTimeout  = 2 * time.Second // instead, while more than half of the places are taken
	bodyTimeout   = time.Second
	idleTimeout   = 30 * time.Second
	waitMax       = 5 * time.Second
	endGrace      = 2 * time.Second // for what is being answered when the server ends
	slowest       = 16 << 10        // bytes a second that a reader must take, after the first minute
)

// Paths.
const (
	// PathDigest is what an artifact's digest follows; alone it lists them.
	PathDigest = "/sha256/"

	sumsName     = "SHA256SUMS"
	pathReleases = "/releases"
)

// Listen listens on an address: one of IPv4, such as 0.0.0.0, is IPv4 alone.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	network := "tcp"
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		network = "tcp4"
	}
	var config net.ListenConfig
	return config.Listen(ctx, network, address)
}

// Server serves a depot. The zero value of all but Depot is useful.
type Server struct {
	Depot *depot.Depot
	// Token is what a request must name, as "Authorization: Bearer TOKEN" or as the password in its URL; "": none is asked for.
	Token string
	// Artifact is the SHA-256 of the only artifact that is given, with its deltas; "": all are, with the lists.
	Artifact string
	// Tell is told what an operator must know, such as an artifact that has changed.
	Tell func(text string)

	// Kept is where deltas are kept for another run; nil: nowhere.
	Kept *delta.Kept

	ConnectionsMax, AddressMax, RequestsMax int // 0: the constants of those names

	Wait time.Duration // of a request until it is answered; 0: 5 s, and 15 s for a delta
	Idle time.Duration // between two requests, and between two pieces of an answer; 0: 30 s

	mu       sync.Mutex
	counters Counters
	whole    map[string]*wholeness  // by digest
	items    map[string]*shelf.Item // what each artifact says of itself, by digest
	once     sync.Once
	busy     chan struct{}
	press    delta.Press
	deltas   chan struct{} // requests for deltas that are being answered: they leave places for others
}

// Counters are what a server did.
type Counters struct {
	Requests     int64 `json:"requests"`
	Artifacts    int64 `json:"artifacts"`    // given as a whole
	Parts        int64 `json:"parts"`        // given in ranges
	Deltas       int64 `json:"deltas"`       // given as what was lacking
	Lists        int64 `json:"lists"`        // of artifacts or checksums
	Unchanged    int64 `json:"unchanged"`    // "you have it already"
	Bytes        int64 `json:"bytes"`        // of answers
	Malformed    int64 `json:"malformed"`    // 400
	NotFound     int64 `json:"not_found"`    // 404
	Ambiguous    int64 `json:"ambiguous"`    // 409: several artifacts are of the release
	WrongMethod  int64 `json:"wrong_method"` // 405
	Unauthorized int64 `json:"unauthorized"` // 401
	WrongRange   int64 `json:"wrong_range"`  // 416
	Busy         int64 `json:"busy"`         // 503
	Failed       int64 `json:"failed"`       // 500
	Cut          int64 `json:"cut"`          // answers whose reader was gone, or too slow
	Changed      int64 `json:"changed"`      // artifacts that had changed, and were not given
}

// Counters returns what was done so far.
func (s *Server) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters
}

func (s *Server) count(counter *int64, more int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*counter += more
}

// Serve answers until ctx ends, which is no error, and closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: positive(s.Idle, idleTimeout), MaxHeaderBytes: headerSizeMax,
		ErrorLog: silent, DisableGeneralOptionsHandler: true,
	}
	limited := limit(listener, positive(s.ConnectionsMax, ConnectionsMax), positive(s.AddressMax, AddressMax))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(limited) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close()
	}
	<-ended
	return nil
}

// Handler answers requests.
func (s *Server) Handler() http.Handler {
	s.once.Do(func() {
		places := positive(s.RequestsMax, RequestsMax)
		s.busy, s.deltas = make(chan struct{}, places), make(chan struct{}, max(1, places/2))
		s.press.Kept, s.press.QueueMax = s.Kept, deltaQueueMax
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.count(&s.counters.Requests, 1)
		out := &answer{ResponseWriter: w, control: http.NewResponseController(w), started: time.Now(), idle: positive(s.Idle, idleTimeout), head: r.Method == http.MethodHead}
		placed := false
		defer func() {
			if s.ended(out, r); placed {
				<-s.busy
			}
		}()
		out.Header().Set("X-Content-Type-Options", "nosniff")
		if r.ContentLength != 0 { // nothing of it is read, and who sends it slowly holds nothing up
			out.Header().Set("Connection", "close")
			_ = out.control.SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		if !s.entitled(r) {
			out.Header().Set("WWW-Authenticate", `Bearer realm="tbctl store"`)
			refuse(out, http.StatusUnauthorized, "a token is asked for")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			out.Header().Set("Allow", "GET, HEAD")
			refuse(out, http.StatusMethodNotAllowed, "artifacts are read here, and nothing else")
			return
		}
		if placed = s.begin(r.Context()); !placed {
			out.Header().Set("Retry-After", "1")
			refuse(out, http.StatusServiceUnavailable, "too much is asked at once")
			return
		}
		s.route(out, r)
	})
}

// begin waits for a place; false: there is none.
func (s *Server) begin(ctx context.Context) bool {
	select {
	case s.busy <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(positive(s.Wait, waitMax))
	defer timer.Stop()
	select {
	case s.busy <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// entitled compares the token in constant time.
func (s *Server) entitled(r *http.Request) bool {
	if s.Token == "" {
		return true
	}
	given, known := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !known {
		_, given, known = r.BasicAuth()
	}
	if !known {
		return false
	}
	want, got := sha256.Sum256([]byte(s.Token)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// route finds what is asked for. Only paths as they are written here are known: none is cleaned or decoded.
func (s *Server) route(out *answer, r *http.Request) {
	path := r.URL.EscapedPath()
	if only := PathDigest + s.Artifact; s.Artifact != "" && path != only && path != only+SuffixDelta {
		refuse(out, http.StatusNotFound, "one artifact alone can be read here")
		return
	}
	if path == PathDigest {
		s.list(out, r)
		return
	}
	if digest, ok := strings.CutPrefix(path, PathDigest); ok {
		digest, ofDelta := strings.CutSuffix(digest, SuffixDelta)
		if !sha.Is(digest) {
			refuse(out, http.StatusNotFound, "no such artifact")
			return
		}
		out.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		if s.Token != "" {
			out.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
		}
		if ofDelta {
			s.delta(out, r, digest)
			return
		}
		s.artifact(out, r, digest, digest+SuffixDelta)
		return
	}
	if path == pathReleases {
		s.releases(out, r)
		return
	}
	tag, asset, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	parsed, err := release.ParseTag(tag)
	if !ok || err != nil || parsed == release.Latest || !strings.HasPrefix(path, "/") {
		refuse(out, http.StatusNotFound, "there are /sha256/HEX, its /delta, and /TAG/ASSET with SHA256SUMS and /TAG/ASSET.sha256")
		return
	}
	s.asset(out, r, parsed, asset)
}

// Listing is what a list of artifacts has.
type Listing struct {
	Artifacts []shelf.Item `json:"artifacts"`
}

// A listed release is one in the form of GitHub's API.
type listed struct {
	Tag    string        `json:"tag_name"`
	Assets []listedAsset `json:"assets"`
}

type listedAsset struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"`
}

// artifactOf opens one that is whole, or answers why it is not given.
func (s *Server) artifactOf(out *answer, r *http.Request, digest string) (*depot.File, bool) {
	file, err := s.open(r.Context(), digest)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, depot.ErrDigest):
		refuse(out, http.StatusNotFound, "no such artifact")
	case err != nil:
		s.failed(out, err)
	}
	return file, err == nil
}

// artifact gives the bytes of one that is whole. Deltas of it are at a reference that is relative to what is asked for.
func (s *Server) artifact(out *answer, r *http.Request, digest, deltas string) {
	file, ok := s.artifactOf(out, r, digest)
	if !ok {
		return
	}
	defer file.Close()
	if !rangesBearable(r.Header.Get("Range"), file.Size()) {
		out.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", file.Size()))
		refuse(out, http.StatusRequestedRangeNotSatisfiable, "too many ranges, or they overlap")
		return
	}
	sum, _ := hex.DecodeString(digest)
	coded := "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
	header := out.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("ETag", `"sha256-`+digest+`"`)
	header.Set(delta.Header, deltas)
	header.Set("Repr-Digest", coded)
	header.Set("Content-Digest", coded) // which the answer takes back where it has but a part
	http.ServeContent(out, r, "", time.Time{}, io.NewSectionReader(file, 0, file.Size()))
}

// failed answers what went wrong here, without saying where.
func (s *Server) failed(out *answer, err error) {
	s.tell(err.Error())
	refuse(out, http.StatusInternalServerError, "it cannot be read")
}

func (s *Server) tell(text string) {
	if s.Tell != nil {
		s.Tell(text)
	}
}

// ended counts an answer.
func (s *Server) ended(out *answer, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	c.Bytes += out.written
	if out.failed {
		c.Cut++
	}
	switch out.status {
	case http.StatusOK:
		if out.Header().Get("ETag") != "" && r.Method == http.MethodGet {
			c.Artifacts++
		}
	case http.StatusPartialContent:
		c.Parts++
	case http.StatusNotModified:
		c.Unchanged++
	case http.StatusBadRequest:
		c.Malformed++
	case http.StatusUnauthorized:
		c.Unauthorized++
	case http.StatusNotFound:
		c.NotFound++
	case http.StatusMethodNotAllowed:
		c.WrongMethod++
	case http.StatusConflict:
		c.Ambiguous++
	case http.StatusRequestedRangeNotSatisfiable:
		c.WrongRange++
	case http.StatusServiceUnavailable:
		c.Busy++
	case http.StatusInternalServerError:
		c.Failed++
	}
}

func small(out *answer, kind string, text []byte) {
	out.Header().Set("Content-Type", kind)
	out.Header().Set("Cache-Control", "no-cache")
	out.Header().Set("Content-Length", fmt.Sprint(len(text)))
	_, _ = out.Write(text) // a HEAD's is left out by the server
}

func refuse(out *answer, status int, text string) {
	header := out.Header()
	for _, name := range []string{"Cache-Control", "ETag", "Content-Digest", "Repr-Digest", delta.Header} {
		header.Del(name)
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	out.WriteHeader(status)
	_, _ = io.WriteString(out, text+"\n")
}

func positive[T int | time.Duration](given, otherwise T) T {
	if given > 0 {
		return given
	}
	return otherwise
}
