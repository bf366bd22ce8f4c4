package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCuts breaks the connection after each percent of the file, in turn with everything that can be
// different about a server. Each download ends in the right bytes, and where the server allows it, no
// byte comes twice.
func TestCuts(t *testing.T) {
	t.Parallel()
	executable := program(100_000, 1)
	zip := zipped(t, executable)
	for name, f := range map[string]file{
		"strong etag":             {etag: `"1"`},
		"old last-modified":       {modified: time.Now().Add(-time.Hour)},
		"weak etag":               {etag: `W/"1"`},
		"new last-modified":       {modified: time.Now().Add(time.Hour)},
		"no validator":            {},
		"no ranges":               {etag: `"1"`, noRange: true},
		"no length":               {etag: `"1"`, chunked: true},
		"no length, no validator": {chunked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exact := name == "strong etag" || name == "old last-modified" || name == "no length"
			for percent := 1; percent < 100; percent += 7 {
				cut := f
				at := len(zip) * percent / 100
				cut.data, cut.cuts = zip, []int{at}
				s := newServer(t, map[string]*file{assetPath: &cut})
				got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL})
				if err != nil || !bytes.Equal(b, executable) {
					t.Fatalf("cut at %d %%: %v", percent, err)
				}
				want := int64(len(zip))
				if !exact {
					want += int64(at)
				}
				if got.BytesFetched != want || got.Attempts != 2 || got.Restarts != 0 {
					t.Errorf("cut at %d %%: %d bytes fetched, want %d; %d attempts, %d restarts", percent, got.BytesFetched, want, got.Attempts, got.Restarts)
				}
			}
		})
	}
}

// TestKeep fetches twice what the first time was only looked at: the second time one byte comes, and
// another file whole. Without Keep nothing stays.
func TestKeep(t *testing.T) {
	t.Parallel()
	executable, other := program(100_000, 1), program(90_000, 2)
	zip, next := zipped(t, executable), zipped(t, other)
	for name, f := range map[string]file{"etag": {etag: `"1"`}, "no length": {etag: `"1"`, chunked: true}} {
		f.data = zip
		s := newServer(t, map[string]*file{assetPath: &f})
		cache := t.TempDir()
		for round, want := range []int64{int64(len(zip)), 1, 1} {
			got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache, Keep: round < 2})
			if err != nil || !bytes.Equal(b, executable) || got.BytesFetched != want || got.BytesFetched+got.BytesResumed != int64(len(zip)) {
				t.Errorf("%s, round %d: %d bytes fetched, %d resumed: %v", name, round, got.BytesFetched, got.BytesResumed, err)
			}
		}
		if left, err := os.ReadDir(filepath.Join(cache, downloadsName)); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
	f := file{data: zip, etag: `"1"`, swap: &file{data: next, etag: `"2"`}}
	s := newServer(t, map[string]*file{assetPath: &f})
	cache := t.TempDir()
	for _, want := range [][]byte{executable, other} {
		got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache, Keep: true})
		if err != nil || !bytes.Equal(b, want) || got.BytesFetched < int64(len(want))/2 {
			t.Errorf("%d bytes fetched: %v", got.BytesFetched, err)
		}
	}
}

// TestCutAlways breaks every connection after a little; progress forgives the failures before it.
func TestCutAlways(t *testing.T) {
	t.Parallel()
	executable := program(2<<20, 1)
	zip := zipped(t, executable)
	f := &file{data: zip, etag: `"1"`}
	for range 40 {
		f.cuts = append(f.cuts, progressWorth)
	}
	s := newServer(t, map[string]*file{assetPath: f})
	got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL})
	if err != nil || !bytes.Equal(b, executable) || got.BytesFetched != int64(len(zip)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := len(zip)/progressWorth + 1; got.Attempts != want {
		t.Errorf("%d attempts, want %d", got.Attempts, want)
	}

	f.cuts = f.cuts[:0]
	for range 100 {
		f.cuts = append(f.cuts, progressWorth)
	}
	retry := quick
	retry.Attempts, retry.AttemptsMax = 2, 5
	got, _, err = fetch(t, "0.17.8", Options{BaseURL: s.URL, Retry: retry})
	var transfer *TransferError
	if got.Attempts != 5 || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &transfer) || transfer.Received != 5*progressWorth {
		t.Errorf("hard maximum: %d attempts, %v", got.Attempts, err)
	}
}

// interrupted makes a first run that ends after at bytes, and keeps them.
func interrupted(t *testing.T, s *server, f *file, at int, cache string) {
	t.Helper()
	f.cuts, f.status = []int{at}, []int{0, http.StatusForbidden}
	got, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache})
	var transfer *TransferError
	if !errors.As(err, &transfer) || !transfer.Kept || transfer.Received != int64(at) || got.BytesFetched != int64(at) {
		t.Fatalf("first run: %+v, %v", got, err)
	}
	s.mu.Lock()
	s.sent, s.requests = 0, nil
	s.mu.Unlock()
}

func partials(t *testing.T, cache string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, downloadsName, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestResumeAcrossRuns continues in a second run what a first one has received.
func TestResumeAcrossRuns(t *testing.T) {
	t.Parallel()
	executable := program(200_000, 1)
	zip := zipped(t, executable)
	for percent := 1; percent <= 100; percent += 9 {
		t.Run(fmt.Sprint(percent), func(t *testing.T) {
			t.Parallel()
			cache := newCache(t)
			f := &file{data: zip, etag: `"1"`}
			s := newServer(t, map[string]*file{assetPath: f})
			at := min(len(zip)*percent/100, len(zip)-1)
			interrupted(t, s, f, at, cache)
			got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache})
			if err != nil || !bytes.Equal(b, executable) {
				t.Fatal(err)
			}
			missing := int64(len(zip) - at)
			if got.BytesFetched > missing+1 || s.bytesSent() > missing+1 || got.BytesResumed != int64(at)-1 {
				t.Errorf("%d bytes were missing: %d fetched, %d sent, %d resumed", missing, got.BytesFetched, s.bytesSent(), got.BytesResumed)
			}
			if left := partials(t, cache); len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// TestResumeNeedsProof begins again whenever the bytes of an earlier run may be of another file.
func TestResumeNeedsProof(t *testing.T) {
	t.Parallel()
	executable, other := program(2<<20, 1), program(2<<20, 7)
	zip, otherZip := zipped(t, executable), zipped(t, other)
	for name, tc := range map[string]struct {
		change func(f *file, partial string)
		other  bool
		fresh  bool // without a single byte of the earlier run
		resets int
	}{
		"unchanged":        {change: func(*file, string) {}},
		"other etag":       {change: func(f *file, _ string) { f.data, f.etag = otherZip, `"2"` }, other: true, fresh: true},
		"etag now weak":    {change: func(f *file, _ string) { f.etag = `W/"1"` }, fresh: true},
		"no ranges now":    {change: func(f *file, _ string) { f.noRange = true }, fresh: true},
		"shorter now":      {change: func(f *file, _ string) { f.data = f.data[:50_000]; f.etag = "" }, fresh: true},
		"head damaged":     {change: func(_ *file, p string) { overwrite(p, 0, "x") }, fresh: true},
		"of another url":   {change: func(_ *file, p string) { overwrite(p, bytes.Index(read(p), []byte(`url_sha256":"`))+13, "0000") }, fresh: true},
		"too old":          {change: func(_ *file, p string) { age(p) }, fresh: true},
		"empty":            {change: func(_ *file, p string) { os.Truncate(p, 0) }, fresh: true},
		"head alone":       {change: func(_ *file, p string) { os.Truncate(p, partialHead) }, fresh: true},
		"data damaged":     {change: func(_ *file, p string) { overwrite(p, partialHead+600_000, "damage") }, fresh: true, resets: 1},
		"data torn":        {change: func(_ *file, p string) { overwrite(p, partialHead+600_000, strings.Repeat("\x00", 4096)) }, fresh: true, resets: 1},
		"first bytes gone": {change: func(_ *file, p string) { overwrite(p, partialHead, "\x00\x00\x00\x00") }, fresh: true},
		"condition ignored, other file": {change: func(f *file, _ string) {
			f.data = otherZip
			f.range206 = func(w http.ResponseWriter, _, _ int64) { w.Header().Set("ETag", `"2"`) }
		}, other: true, fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := newCache(t)
			f := &file{data: zip, etag: `"1"`}
			s := newServer(t, map[string]*file{assetPath: f})
			interrupted(t, s, f, 1<<20, cache)
			tc.change(f, partials(t, cache)[0])
			o := Options{BaseURL: s.URL, CacheDir: cache, Platform: LinuxX86_64, Retry: quick}
			a, err := resolve("0.17.8", o)
			if err != nil {
				t.Fatal(err)
			}
			var b buffer
			got, err := a.Fetch(t.Context(), &b)
			if name == "shorter now" {
				if err == nil || len(partials(t, cache)) != 0 {
					t.Fatalf("%v, %v", err, partials(t, cache))
				}
				return
			}
			want := executable
			if tc.other {
				want = other
			}
			if err != nil || !bytes.Equal(b.Bytes(), want) || b.resets != tc.resets {
				t.Fatalf("%v, %d bytes, %d resets", err, b.Len(), b.resets)
			}
			if tc.fresh == (got.BytesResumed > 0) {
				t.Errorf("%d bytes resumed", got.BytesResumed)
			}
			if left := partials(t, cache); len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

func read(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return b
}

func overwrite(path string, at int, text string) {
	b := read(path)
	copy(b[at:], text)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		panic(err)
	}
}

// age makes the head of a partial file a week older.
func age(path string) {
	b := read(path)
	i := bytes.Index(b, []byte(`"time":"`)) + 8
	copy(b[i:], time.Now().Add(-PartialAgeMax-time.Hour).UTC().Format("2006-01-02"))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		panic(err)
	}
}

// TestTwoAtOnce lets a second download run while a first holds the partial file: both end well, and
// only the first one keeps what came.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	executable := program(200_000, 1)
	zip := zipped(t, executable)
	cache := newCache(t)
	f := &file{data: zip, etag: `"1"`, stall: []int{50_000}}
	s := newServer(t, map[string]*file{assetPath: f})
	o := Options{BaseURL: s.URL, CacheDir: cache, Platform: LinuxX86_64, Retry: quick}
	started := make(chan struct{}, 1000)
	first := o
	first.Progress = func(p Progress) {
		if p.Done > 0 {
			select {
			case started <- struct{}{}:
			default:
			}
		}
	}
	a, err := resolve("0.17.8", first)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := a.Fetch(ctx, io.Discard)
		result <- err
	}()
	<-started
	got, b, err := fetch(t, "0.17.8", o)
	if err != nil || !bytes.Equal(b, executable) || got.CacheNote == "" || got.BytesResumed != 0 {
		t.Errorf("second: %+v, %v", got, err)
	}
	cancel()
	err = <-result
	var transfer *TransferError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &transfer) || !transfer.Kept {
		t.Errorf("first: %v", err)
	}
	got, b, err = fetch(t, "0.17.8", o)
	if err != nil || !bytes.Equal(b, executable) || got.BytesResumed == 0 {
		t.Errorf("third: %+v, %v", got, err)
	}
}

// TestSweep removes what is too old, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	cache := newCache(t)
	directory := filepath.Join(cache, downloadsName)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-PartialAgeMax - time.Hour)
	for name, at := range map[string]time.Time{"old.partial": old, "new.partial": time.Now(), "old.other": old} {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, map[string]*file{assetPath: {data: zipped(t, program(100, 1))}})
	if _, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache}); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, path := range partials(t, cache) {
		left = append(left, filepath.Base(path))
	}
	if fmt.Sprint(left) != "[new.partial old.other]" {
		t.Errorf("left: %v", left)
	}
}

// TestCacheUnusable downloads without a cache when there cannot be one, and says so.
func TestCacheUnusable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, map[string]*file{assetPath: {data: zipped(t, program(100, 1)), etag: `"1"`}})
	f, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: path})
	if err != nil || !strings.HasPrefix(f.CacheNote, "the cache is not used: ") || !strings.Contains(f.CacheNote, path) {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestNothingToKeepBy: of what a server sends without an ETag nothing is kept, and that is said.
func TestNothingToKeepBy(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]*file{assetPath: {data: zipped(t, program(100, 1))}})
	f, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: newCache(t), Keep: true})
	if err != nil || f.Kept || f.CacheNote != "the server names no ETag, nor an old date, by which it could be continued" {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestKeptAfterCuts gives up after too many cuts with what came kept, and says so.
func TestKeptAfterCuts(t *testing.T) {
	t.Parallel()
	executable := program(200_000, 1)
	zip := zipped(t, executable)
	cache := newCache(t)
	s := newServer(t, map[string]*file{assetPath: {data: zip, etag: `"1"`, cuts: []int{50_000, 0, 0, 0, 0, 0}}})
	_, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache})
	var transfer *TransferError
	if !errors.As(err, &transfer) || !transfer.Kept || transfer.Received != 50_000 || transfer.Total != int64(len(zip)) || transfer.Attempts != 6 {
		t.Fatalf("%v", err)
	}
	f, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache})
	if err != nil || !bytes.Equal(b, executable) || f.BytesResumed != 49_999 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestKeptOnlyForTheNextTry keeps what came unless the next try would meet the same end there.
func TestKeptOnlyForTheNextTry(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(200_000, 1))
	const at = 50_000
	for name, tc := range map[string]struct {
		then *file // what is there after the first connection broke
		want error
		kept bool
	}{
		"too large": {&file{data: zip, etag: `"2"`, lie: AssetSizeMax}, ErrTooLarge, false},
		"encoded":   {&file{data: zip, etag: `"1"`, header: http.Header{"Content-Encoding": {"gzip"}}}, errProtocol, false},
		"no answer": {&file{data: zip, etag: `"1"`, status: []int{http.StatusNoContent}}, errProtocol, false},
		"forbidden": {&file{status: []int{http.StatusForbidden}}, nil, true},
		"redirect":  {&file{status: []int{http.StatusFound}, header: http.Header{"Location": {"ftp://elsewhere.test/"}}}, ErrRedirect, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := newCache(t)
			s := newServer(t, map[string]*file{assetPath: {data: zip, etag: `"1"`, chunked: true, cuts: []int{at}, swap: tc.then}})
			_, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache})
			var transfer *TransferError
			if !errors.As(err, &transfer) || transfer.Received != at || transfer.Attempts != 2 || tc.want != nil && !errors.Is(err, tc.want) {
				t.Fatalf("%v", err)
			}
			if transfer.Kept != tc.kept || len(partials(t, cache)) > 0 != tc.kept || strings.Contains(err.Error(), "continues there") != tc.kept {
				t.Errorf("kept %v, %v, %v", transfer.Kept, partials(t, cache), err)
			}
		})
	}
}

// TestEncoded refuses bytes in an encoding that was not asked for.
func TestEncoded(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]*file{assetPath: {data: zipped(t, program(100, 1)), header: http.Header{"Content-Encoding": {"gzip"}}}})
	if f, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL}); !errors.Is(err, errProtocol) || f.Attempts != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
