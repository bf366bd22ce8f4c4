package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	stdzip "archive/zip"

	"github.com/klauspost/compress/flate"

	"github.com/tbctl/tbctl/multiversion"
)

// The platforms, in short.
const (
	LinuxX86_64    = multiversion.PlatformX86_64Linux
	LinuxAArch64   = multiversion.PlatformAArch64Linux
	WindowsX86_64  = multiversion.PlatformX86_64Windows
	MacOSUniversal = multiversion.PlatformUniversalMacOS
)

// program is data that looks like an executable and compresses a little.
func program(size int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i >> 8)
		if i%2 == 0 {
			b[i] = byte(rng.Uint32())
		}
	}
	copy(b, "\x7fELF")
	return b
}

// zipped is a release archive as upstream writes it.
func zipped(t testing.TB, executable []byte) []byte {
	t.Helper()
	var packed, out bytes.Buffer
	w, err := flate.NewWriter(&packed, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(executable)
	w.Close()
	z := stdzip.NewWriter(&out)
	h := &stdzip.FileHeader{
		Name: "tigerbeetle", Method: stdzip.Deflate, CRC32: crc32.ChecksumIEEE(executable),
		CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(len(executable)),
	}
	h.SetMode(0o755)
	f, err := z.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(packed.Bytes())
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// A file is what a test server serves at a path, with the faults of its next answers.
type file struct {
	data     []byte
	etag     string
	modified time.Time
	noRange  bool
	chunked  bool  // no Content-Length
	cuts     []int // for each request to come: after how many bytes the connection breaks, -1 for not
	status   []int // for each request to come: another status, 0 for none
	header   http.Header
	stall    []int // for each request to come: after how many bytes nothing comes any more, -1 for not
	lie      int64 // is added to Content-Length
	swap     *file // takes this one's place after the first request
	range206 func(w http.ResponseWriter, first, total int64)
}

// A server counts what it is asked and what it sends.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string]*file
	requests []*http.Request
	sent     int64
	done     chan struct{}
}

func newServer(t testing.TB, files map[string]*file) *server {
	t.Helper()
	s := &server{files: files, done: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = quiet
	s.Start()
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(s.done) })
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(r.Context()))
	f := s.files[r.URL.Path]
	if f == nil {
		s.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	if f.swap != nil {
		s.files[r.URL.Path] = f.swap
	}
	status, cut, stall := next(&f.status, 0), next(&f.cuts, -1), next(&f.stall, -1)
	s.mu.Unlock()
	for key, values := range f.header {
		w.Header()[key] = values
	}
	if status != 0 {
		http.Error(w, "as told", status)
		return
	}
	s.serve(w, r, f, cut, stall)
}

func next(list *[]int, otherwise int) int {
	if len(*list) == 0 {
		return otherwise
	}
	n := (*list)[0]
	*list = (*list)[1:]
	return n
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, f *file, cut, stall int) {
	h := w.Header()
	if f.etag != "" {
		h.Set("ETag", f.etag)
	}
	if !f.modified.IsZero() {
		h.Set("Last-Modified", f.modified.UTC().Format(http.TimeFormat))
	}
	body, status := f.data, http.StatusOK
	if first, ok := rangeOf(r); ok && !f.noRange && ifRange(r, f) {
		total := int64(len(f.data))
		if first >= total {
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", total))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		body, status = f.data[first:], http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, total-1, total))
		if f.range206 != nil {
			f.range206(w, first, total)
		}
	}
	if !f.chunked {
		h.Set("Content-Length", strconv.FormatInt(int64(len(body))+f.lie, 10))
	}
	w.WriteHeader(status)
	end := len(body)
	if cut >= 0 {
		end = min(end, cut)
	}
	if stall >= 0 {
		end = min(end, stall)
	}
	s.mu.Lock()
	s.sent += int64(end)
	s.mu.Unlock()
	w.Write(body[:end])
	w.(http.Flusher).Flush()
	if stall >= 0 {
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	}
	if cut >= 0 || stall >= 0 {
		panic(http.ErrAbortHandler)
	}
}

func rangeOf(r *http.Request) (int64, bool) {
	text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	first, err := strconv.ParseInt(strings.TrimSuffix(text, "-"), 10, 64)
	return first, ok && err == nil
}

func ifRange(r *http.Request, f *file) bool {
	condition := r.Header.Get("If-Range")
	return condition == "" || condition == f.etag || condition == f.modified.UTC().Format(http.TimeFormat)
}

// paths returns what was asked for, in order.
func (s *server) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, r := range s.requests {
		paths = append(paths, r.Method+" "+r.URL.Path)
	}
	return paths
}

func (s *server) bytesSent() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// seen returns the requests so far.
func (s *server) seen() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// quick is a patience for tests: no wait is worth noticing.
var quick = Retry{WaitMin: time.Microsecond, WaitMax: 10 * time.Microsecond, IdleTimeout: 10 * time.Second}

// A buffer is a destination that can start over.
type buffer struct {
	bytes.Buffer
	resets int
}

func (b *buffer) Reset() error {
	b.resets++
	b.Buffer.Reset()
	return nil
}

// onlyWriter hides Reset.
type onlyWriter struct{ w io.Writer }

func (o onlyWriter) Write(p []byte) (int, error) { return o.w.Write(p) }

func fetch(t testing.TB, arg string, o Options) (Fetched, []byte, error) {
	t.Helper()
	if o.Retry == (Retry{}) {
		o.Retry = quick
	}
	if o.Platform == "" {
		o.Platform = LinuxX86_64
	}
	a, err := resolve(arg, o)
	if err != nil {
		t.Fatal(err)
	}
	var b buffer
	f, err := a.Fetch(t.Context(), &b)
	return f, b.Bytes(), err
}

func equalJSON(t testing.TB, a, b any) bool {
	t.Helper()
	return asJSON(t, a) == asJSON(t, b)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// quiet is a log for servers whose clients break off on purpose.
var quiet = log.New(io.Discard, "", 0)

func httpServer(t testing.TB, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}
