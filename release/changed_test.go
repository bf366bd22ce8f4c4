package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// TestChangedHalfWay replaces the file on the server while it is fetched.
func TestChangedHalfWay(t *testing.T) {
	t.Parallel()
	executable, other := program(3<<20, 1), program(3<<20, 7)
	zip, otherZip := zipped(t, executable), zipped(t, other)
	for name, f := range map[string]file{
		"other etag":        {etag: `"1"`, swap: &file{data: otherZip, etag: `"2"`}},
		"other length":      {swap: &file{data: zipped(t, program(1000, 3))}},
		"same length":       {swap: &file{data: otherZip}},
		"shorter, no etag":  {etag: `"1"`, swap: &file{data: zip[:10], etag: `"1"`}},
		"etag gone":         {etag: `"1"`, swap: &file{data: otherZip}},
		"no length at all":  {chunked: true, swap: &file{data: otherZip, chunked: true}},
		"resumed elsewhere": {etag: `"1"`, swap: &file{data: otherZip, etag: `"1"`, range206: func(w http.ResponseWriter, first, total int64) { w.Header().Set("ETag", `"3"`) }}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := func(dst io.Writer) (Fetched, error) {
				f := f
				f.data, f.cuts = zip, []int{2 << 20}
				s := newServer(t, map[string]*file{assetPath: &f})
				a, err := resolve("0.17.8", Options{BaseURL: s.URL, Platform: LinuxX86_64, Retry: quick})
				if err != nil {
					t.Fatal(err)
				}
				return a.Fetch(t.Context(), dst)
			}
			var b buffer
			got, err := run(&b)
			if len(f.swap.data) == 10 {
				if err == nil {
					t.Error("accepted")
				}
				return
			}
			want := other
			if len(f.swap.data) < 10_000 {
				want = program(1000, 3)
			}
			if err != nil || !bytes.Equal(b.Bytes(), want) || got.Restarts != 1 || b.resets != 1 {
				t.Fatalf("%v, %d bytes, %+v", err, b.Len(), got)
			}
			var once bytes.Buffer
			if _, err := run(onlyWriter{&once}); !errors.Is(err, ErrChanged) {
				t.Errorf("without Reset: %v", err)
			}
		})
	}
}

// TestRangesThatLie falls back to the whole file when a server's ranges are not what was asked for.
func TestRangesThatLie(t *testing.T) {
	t.Parallel()
	executable := program(100_000, 1)
	zip := zipped(t, executable)
	for name, header := range map[string]func(h http.Header, first, total int64){
		"other start": func(h http.Header, first, total int64) {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first+1, total-1, total))
		},
		"other end": func(h http.Header, first, total int64) {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, total-2, total))
		},
		"other total": func(h http.Header, first, total int64) {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, total, total+1))
		},
		"no total": func(h http.Header, first, total int64) {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", first, total-9))
		},
		"none":     func(h http.Header, _, _ int64) { h.Del("Content-Range") },
		"nonsense": func(h http.Header, _, _ int64) { h.Set("Content-Range", "bytes 5-4/x") },
		"multipart": func(h http.Header, _, _ int64) {
			h.Del("Content-Range")
			h.Set("Content-Type", "multipart/byteranges; boundary=x")
		},
		"other etag": func(h http.Header, _, _ int64) { h.Set("ETag", `"2"`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &file{data: zip, etag: `"1"`, cuts: []int{40_000}}
			f.range206 = func(w http.ResponseWriter, first, total int64) { header(w.Header(), first, total) }
			s := newServer(t, map[string]*file{assetPath: f})
			got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL})
			if err != nil || !bytes.Equal(b, executable) || got.Attempts != 3 || got.Restarts != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
}

// TestLengthThatLies ends in an error that says how much came, whatever the server claims.
func TestLengthThatLies(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(100_000, 1))
	for _, lie := range []int64{1, 1000, -1, -1000} {
		s := newServer(t, map[string]*file{assetPath: {data: zip, etag: `"1"`, lie: lie}})
		_, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL})
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrChanged) {
			t.Errorf("%+d: %v", lie, err)
		}
	}
	huge := http.Header{"Content-Length": {strconv.FormatInt(AssetSizeMax+1, 10)}}
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Length"] = huge["Content-Length"] })
	if f, _, err := fetch(t, s.URL+"/x.zip", Options{}); !errors.Is(err, ErrTooLarge) || f.Attempts != 1 {
		t.Errorf("huge: %v", err)
	}
}

// FuzzHeaders holds that what a server states in headers is either refused or makes sense.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 1-2/*", "bytes */7", `"strong"`, `W/"weak"`, "Fri, 01 Aug 2025 00:00:00 GMT", "120", `<https://a/b>; rel="next"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		header := http.Header{"Content-Range": {text}, "Etag": {text}, "Last-Modified": {text}, "Date": {"Sat, 02 Aug 2025 00:00:00 GMT"}, "Retry-After": {text}}
		if first, last, total, ok := contentRange(header); ok && (first < 0 || last < first || total >= 0 && last >= total) {
			t.Errorf("%d-%d/%d", first, last, total)
		}
		if v := validatorOf(header); v != "" && !validatorHeld(header, v) {
			t.Errorf("validator %q", v)
		}
		if retryAfter(header, time.Now()) < 0 {
			t.Error("negative pause")
		}
		if next := nextPage(text); len(next) > len(text) {
			t.Error("next page")
		}
	})
}
