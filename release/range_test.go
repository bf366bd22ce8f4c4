package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// A partServer has one file, of which it sends parts. Fault answers a request in its place: it returns false where the server itself is to.
type partServer struct {
	*httptest.Server
	data []byte
	etag string

	fault func(number int, w http.ResponseWriter, r *http.Request) bool

	requests atomic.Int64
	sent     atomic.Int64 // bytes
}

func newPartServer(t testing.TB, data []byte, fault func(int, http.ResponseWriter, *http.Request) bool) *partServer {
	t.Helper()
	s := &partServer{data: data, etag: `"1"`, fault: fault}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = quiet
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// counting counts the bytes of a body.
type counting struct {
	http.ResponseWriter
	server *partServer
}

func (c counting) Write(p []byte) (int, error) {
	c.server.sent.Add(int64(len(p))) // before who reads it may ask
	return c.ResponseWriter.Write(p)
}

func (s *partServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, sumsName) || strings.HasSuffix(r.URL.Path, sidecarSuffix) {
		http.NotFound(w, r)
		return
	}
	number := int(s.requests.Add(1)) - 1
	w = counting{w, s}
	if s.fault != nil && s.fault(number, w, r) {
		return
	}
	if s.etag != "" {
		w.Header().Set("ETag", s.etag)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.data))
}

// heldIn is Options.Held of a host that has these binaries.
func heldIn(t testing.TB, binaries ...[]byte) func() *delta.Files {
	t.Helper()
	return func() *delta.Files {
		files := &delta.Files{}
		for index, data := range binaries {
			files.Open(testbin.Load(t, data), fmt.Sprintf("binary %d", index), io.NopCloser(nil))
		}
		return files
	}
}

// twoReleases are a binary and the one that upstream's build would make after it.
func twoReleases(t testing.TB, platform multiversion.Platform) (before, after []byte) {
	before = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.5", "0.17.6")})
	return before, testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.8"), From: before})
}

// lacking is how many bytes of a file are no executable of its pack.
func lacking(t testing.TB, data []byte) int64 {
	t.Helper()
	recipe, err := delta.Of(testbin.Load(t, data))
	if err != nil {
		t.Fatal(err)
	}
	_, size := recipe.Lacking()
	return size
}

// TestParts fetches a release over the one before it, on each platform: what comes is what the host lacks, and little more for
// the headers.
func TestParts(t *testing.T) {
	t.Parallel()
	for _, platform := range []multiversion.Platform{LinuxX86_64, LinuxAArch64, WindowsX86_64, MacOSUniversal} {
		before, after := twoReleases(t, platform)
		s := newPartServer(t, after, nil)
		calls := 0
		held := func() *delta.Files { calls++; return heldIn(t, before)() }
		got, b, err := fetch(t, s.URL+"/bare", Options{Held: held, Platform: platform, SHA256: sumOf(after), CacheDir: t.TempDir()})
		if err != nil || !bytes.Equal(b, after) || !got.Trusted {
			t.Fatalf("%s: %+v, %v", platform, got, err)
		}
		least, want := lacking(t, after), int64(len(after))
		if got.BytesHeld != want-least || got.HeldNote != "" || got.Validator != `"1"` || got.AssetSize != want || calls != 1 {
			t.Errorf("%s: %+v", platform, got)
		}
		if got.BytesFetched != s.sent.Load() || int64(got.Attempts) != s.requests.Load() || got.BytesFetched > least+2*headSize || s.requests.Load() > 6 {
			t.Errorf("%s: %d bytes fetched in %d attempts, %d sent in %d requests, %d are lacking", platform, got.BytesFetched, got.Attempts, s.sent.Load(), s.requests.Load(), least)
		}
		t.Logf("%s: %d of %d bytes in %d requests", platform, got.BytesFetched, want, s.requests.Load())
	}
}

// TestPartsOfRelease measures builds that differ as releases do, from a mirror that has bare executables.
func TestPartsOfRelease(t *testing.T) {
	t.Parallel()
	builds := testbin.Successive(t, 2)
	before := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.7"), Executable: builds[0], Past: []testbin.Past{
		{Release: testbin.Release("0.17.4"), Executable: altered(builds[0], 4)}, {Release: testbin.Release("0.17.5"), Executable: altered(builds[0], 5)},
		{Release: testbin.Release("0.17.6"), Executable: altered(builds[0], 6)},
	}})
	after := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.8"), Executable: builds[1], From: before})
	s := newPartServer(t, after, nil)
	got, b, err := fetch(t, "0.17.8", Options{Held: heldIn(t, before), Mirror: s.URL, SHA256: sumOf(after)})
	if err != nil || !bytes.Equal(b, after) {
		t.Fatal(err)
	}
	t.Logf("%d bytes of %d came, in %d requests", s.sent.Load(), len(after), s.requests.Load())
	if s.sent.Load() != got.BytesFetched || s.sent.Load() > int64(len(after))/4 || got.Source != SourceMirror {
		t.Errorf("%+v", got)
	}
}

// altered is another executable of the same size.
func altered(executable []byte, number byte) []byte {
	executable = bytes.Clone(executable)
	executable[len(executable)/2] ^= number
	return executable
}

// TestPartsFaults holds that whatever a server does with parts of a file, the file is whole and right, and that it is said why it was
// fetched whole.
func TestPartsFaults(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	other := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.8"), From: before, Seed: 9})
	serve := func(w http.ResponseWriter, r *http.Request, data []byte, etag string) bool {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		return true
	}
	whole := func(w http.ResponseWriter, r *http.Request, etag string) bool {
		r.Header.Del("Range")
		return serve(w, r, after, etag)
	}
	inPart := func(w http.ResponseWriter, r *http.Request, contentRange string, data []byte) bool {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data)
		return true
	}
	size := strconv.Itoa(len(after))
	for name, tc := range map[string]struct {
		fault func(number int, w http.ResponseWriter, r *http.Request) bool
		held  bool   // it is put together in the end
		note  string // what is said of it
	}{
		"no parts":       {func(_ int, w http.ResponseWriter, r *http.Request) bool { return whole(w, r, `"1"`) }, false, "sends no parts"},
		"a weak ETag":    {func(_ int, w http.ResponseWriter, r *http.Request) bool { return serve(w, r, after, `W/"1"`) }, false, "strong ETag"},
		"an empty ETag":  {func(_ int, w http.ResponseWriter, r *http.Request) bool { return serve(w, r, after, "") }, false, "strong ETag"},
		"416 at once":    {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 0 && says(w, 416) }, false, "sends no parts"},
		"412 at once":    {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 0 && says(w, 412) }, false, "sends no parts"},
		"503 at once":    {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 0 && says(w, 503) }, true, ""},
		"503 at headers": {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 1 && says(w, 503) }, true, ""},
		"503 later":      {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 3 && says(w, 503) }, true, ""},
		"412 later":      {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 3 && says(w, 412) }, false, "all of the file"},
		"416 later":      {func(number int, w http.ResponseWriter, r *http.Request) bool { return number == 3 && says(w, 416) }, true, ""},
		"no parts of the headers": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number >= 1 && whole(w, r, `"1"`)
		}, false, "no more parts"},
		"no parts later": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number >= 3 && whole(w, r, `"1"`)
		}, false, "all of the file"},
		"another first part": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number == 0 && inPart(w, r, "bytes 1-10/"+size, after[1:11])
		}, false, "not asked for"},
		"no total": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number == 0 && inPart(w, r, fmt.Sprintf("bytes 0-%d/*", headSize-1), after[:headSize])
		}, false, "not asked for"},
		"a wrong part of the headers": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number == 1 && inPart(w, r, "bytes 0-9/"+size, after[:10])
		}, false, "not asked for"},
		"a wrong part later": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number == 3 && inPart(w, r, "bytes 0-9/"+size, after[:10])
		}, false, "all of the file"},
		"too short a part": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			first, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-")
			at, err := strconv.Atoi(first)
			return number == 3 && err == nil && inPart(w, r, fmt.Sprintf("bytes %d-%d/%s", at, at+9, size), after[at:at+10])
		}, false, "all of the file"},
		"the first part is cut": {cutAt(0, after), true, ""},
		"a header's is cut":     {cutAt(1, after), true, ""},
		"a later one is cut":    {cutAt(3, after), true, ""},
		"headers that never come": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			span := r.Header.Get("Range")
			return span != "" && !strings.HasPrefix(span, "bytes=0-") && cutAt(number, after)(number, w, r)
		}, false, "did not come in parts"},
		"another file from the second request on": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number >= 1 && serve(w, r, other, `"2"`)
		}, false, "changed"},
		"another file later": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			return number >= 3 && serve(w, r, other, `"2"`)
		}, false, ""},
		"another file, whatever the condition": {func(number int, w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("If-Range")
			return number >= 3 && serve(w, r, other, `"2"`)
		}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPartServer(t, after, tc.fault)
			want := after
			if strings.HasPrefix(name, "another file") {
				want = other
			}
			got, b, err := fetch(t, s.URL+"/bare", Options{Held: heldIn(t, before), CacheDir: t.TempDir(), SHA256: sumOf(want)})
			if err != nil || !bytes.Equal(b, want) {
				t.Fatalf("%d bytes came, %v: %+v", len(b), err, got)
			}
			if (got.BytesHeld > 0) != tc.held || !strings.Contains(got.HeldNote, tc.note) || tc.held && got.HeldNote != "" {
				t.Errorf("%+v", got.Delivery)
			}
			if tc.held && got.BytesFetched > lacking(t, after)+5*headSize {
				t.Errorf("%d bytes came, and %d were lacking", got.BytesFetched, lacking(t, after))
			}
		})
	}
}

func says(w http.ResponseWriter, status int) bool {
	w.WriteHeader(status)
	return true
}

// cutAt breaks the connection of one request after half of what was asked for.
func cutAt(which int, data []byte) func(number int, w http.ResponseWriter, r *http.Request) bool {
	return func(number int, w http.ResponseWriter, r *http.Request) bool {
		if number != which {
			return false
		}
		var first, last int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
		if last == 0 {
			last = len(data) - 1
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
		w.Header().Set("Content-Length", strconv.Itoa(last-first+1))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data[first : first+(last-first)/2])
		panic(http.ErrAbortHandler)
	}
}

// TestPartsMixed holds that a server that gives another file the same ETag, of which no digest is known, is noticed where a digest is.
func TestPartsMixed(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	other := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.8"), From: before, Seed: 9})
	if len(other) != len(after) {
		t.Fatalf("%d and %d bytes", len(other), len(after))
	}
	s := newPartServer(t, after, nil)
	s.fault = func(number int, w http.ResponseWriter, r *http.Request) bool {
		if number == 3 {
			s.data = other
		}
		return false
	}
	got, b, err := fetch(t, s.URL+"/bare", Options{Held: heldIn(t, before), SHA256: sumOf(other)})
	if err != nil || !bytes.Equal(b, other) || got.Restarts != 1 || got.BytesHeld != 0 || got.HeldNote == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSeedsOfNoUse holds that a damaged executable of this host is fetched instead, and named, and that one that changes while it is
// read makes everything be fetched.
func TestSeedsOfNoUse(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	image := testbin.Load(t, before).Images[0]
	damaged := bytes.Clone(before)
	damaged[image.PastExtent(0).Offset+1000] ^= 1
	s := newPartServer(t, after, nil)
	got, b, err := fetch(t, s.URL+"/bare", Options{Held: heldIn(t, damaged), SHA256: sumOf(after)})
	if err != nil || !bytes.Equal(b, after) || got.BytesHeld == 0 || got.HeldNote != "" || !strings.Contains(got.HeldDamage, "binary 0") || !strings.Contains(got.HeldDamage, delta.ErrDamaged.Error()) {
		t.Errorf("damaged: %+v, %v", got.Delivery, err)
	}
	if want := int64(image.Header.Past[0].Size); got.BytesFetched < lacking(t, after)+want || got.Restarts != 0 {
		t.Errorf("damaged: %+v", got.Delivery)
	}
	for name, reader := range map[string]func(*changing) error{
		"changes":    func(c *changing) error { c.data[image.PastExtent(0).Offset+1000] ^= 1; return nil },
		"is no more": func(*changing) error { return errors.New("it is gone") },
	} {
		source := &changing{data: bytes.Clone(before), at: image.PastExtent(0).Offset + 1000, change: reader}
		held := func() *delta.Files {
			binary, err := multiversion.Parse(source, int64(len(before)))
			if err != nil {
				t.Fatal(err)
			}
			files := &delta.Files{}
			files.Open(binary, "the target", io.NopCloser(nil))
			return files
		}
		var out buffer
		a, err := resolve(newPartServer(t, after, nil).URL+"/bare", Options{Held: held, Retry: quick, Platform: LinuxX86_64, SHA256: sumOf(after)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Fetch(t.Context(), &out)
		if err != nil || !bytes.Equal(out.Bytes(), after) {
			t.Errorf("%s: %v", name, err)
		}
		if !source.changed || got.Restarts != 1 || out.resets != 1 || got.HeldNote+got.HeldDamage == "" {
			t.Errorf("%s: changed %v, %+v", name, source.changed, got)
		}
	}
}

// A changing is a file that changes when a byte of it has been read once.
type changing struct {
	mu      sync.Mutex
	data    []byte
	at      int64
	read    int // how often the byte was
	changed bool
	change  func(*changing) error
}

func (c *changing) ReadAt(p []byte, offset int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if offset <= c.at && c.at < offset+int64(len(p)) {
		if c.read++; c.read > 1 {
			c.changed = true
			if err := c.change(c); err != nil {
				return 0, err
			}
		}
	}
	return bytes.NewReader(c.data).ReadAt(p, offset)
}

// TestPartsAreResumed goes on where an earlier run ended, still without what this host has, and a dry run's file is not asked for
// again.
func TestPartsAreResumed(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	cache := t.TempDir()
	s := newPartServer(t, after, nil)
	s.fault = func(number int, w http.ResponseWriter, r *http.Request) bool {
		switch number {
		case 3:
			return cutAt(3, after)(number, w, r)
		case 4:
			return says(w, http.StatusForbidden)
		}
		return false
	}
	_, _, err := fetch(t, s.URL+"/bare", Options{Held: heldIn(t, before), SHA256: sumOf(after), CacheDir: cache})
	var transfer *TransferError
	if !errors.As(err, &transfer) || !transfer.Kept || transfer.Received == 0 {
		t.Fatalf("%+v, %v", transfer, err)
	}
	first := s.sent.Load()
	for range 2 {
		s.sent.Store(0)
		got, b, err := fetch(t, s.URL+"/bare", Options{Held: heldIn(t, before), SHA256: sumOf(after), CacheDir: cache, Keep: true})
		if err != nil || !bytes.Equal(b, after) || got.BytesResumed == 0 || first > 0 && got.BytesHeld == 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.BytesFetched != s.sent.Load() || first > 0 && first+s.sent.Load() > lacking(t, after)+6*headSize {
			t.Errorf("%+v, %d bytes sent and then %d", got.Delivery, first, s.sent.Load())
		}
		if first == 0 && s.sent.Load() > 1 {
			t.Errorf("%d bytes came of a file that was there", s.sent.Load())
		}
		first = 0
	}
}

// TestPartsStayAsTheyAre holds that archives, what GitHub has and what a host has nothing of are fetched as always.
func TestPartsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	zip := zipped(t, after)
	never := func() *delta.Files { t.Error("what this host has was asked for"); return nil }
	s := newPartServer(t, zip, nil)
	for arg, o := range map[string]Options{s.URL + "/x.zip": {}, "0.17.8": {BaseURL: s.URL}} {
		s.requests.Store(0)
		o.Held, o.SHA256 = never, sumOf(after)
		if got, b, err := fetch(t, arg, o); err != nil || !bytes.Equal(b, after) || s.requests.Load() != 1 || got.HeldNote != "" {
			t.Errorf("%s: %d requests, %+v, %v", arg, s.requests.Load(), got, err)
		}
	}
	s.requests.Store(0)
	s.sent.Store(0) // an archive under the name that a mirror has
	if got, b, err := fetch(t, "0.17.8", Options{Held: never, Mirror: s.URL, SHA256: sumOf(after)}); err != nil || !bytes.Equal(b, after) || s.requests.Load() != 2 || s.sent.Load() != int64(len(zip)) || got.HeldNote != "" {
		t.Errorf("%d requests, %d bytes, %+v, %v", s.requests.Load(), s.sent.Load(), got, err)
	}
	foreign := testbin.Build(t, testbin.Spec{Seed: 77})
	bare := newPartServer(t, after, nil)
	if got, b, err := fetch(t, bare.URL+"/bare", Options{Held: heldIn(t, foreign), SHA256: sumOf(after)}); err != nil || !bytes.Equal(b, after) || got.BytesHeld != 0 || bare.sent.Load() > int64(len(after))+headSize {
		t.Errorf("%d bytes, %+v, %v", bare.sent.Load(), got, err)
	}
	bare.requests.Store(0) // nothing to compare the whole with
	if got, b, err := fetch(t, bare.URL+"/bare", Options{Held: never}); err != nil || !bytes.Equal(b, after) || bare.requests.Load() != 1 || !strings.Contains(got.HeldNote, "no digest or signature") {
		t.Errorf("%d requests, %+v, %v", bare.requests.Load(), got, err)
	}
	junk := append([]byte("\x7fELF"), bytes.Repeat([]byte("junk"), 100_000)...)
	if _, b, err := fetch(t, newPartServer(t, junk, nil).URL+"/bare", Options{Held: heldIn(t, before), SHA256: sumOf(junk)}); err != nil || !bytes.Equal(b, junk) {
		t.Errorf("%v", err) // what is wrong with it is for its reader to say
	}
	for _, small := range [][]byte{nil, []byte("\x7f"), []byte("\x7fELF")} {
		_, b, err := fetch(t, newPartServer(t, small, nil).URL+"/bare", Options{Held: heldIn(t, before), SHA256: sumOf(small)})
		if kind := (*KindError)(nil); len(small) < 4 && !errors.As(err, &kind) || len(small) == 4 && !bytes.Equal(b, small) {
			t.Errorf("%q: %v", small, err)
		}
	}
}

// TestPartsCancelled ends at once, and says so.
func TestPartsCancelled(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	for at := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		s := newPartServer(t, after, func(number int, w http.ResponseWriter, r *http.Request) bool {
			if number == at {
				cancel()
			}
			return false
		})
		a, err := resolve(s.URL+"/bare", Options{Held: heldIn(t, before), Retry: quick, Platform: LinuxX86_64, SHA256: sumOf(after)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Fetch(ctx, &buffer{}); !errors.Is(err, context.Canceled) {
			t.Errorf("at request %d: %v", at, err)
		}
	}
}
