package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestHostileAnswers reads answers of the API that are made to take memory: of any size, and of many small things.
// It is not parallel, so that what is allocated is its own.
func TestHostileAnswers(t *testing.T) {
	endless := func(begin, again string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, err := io.WriteString(w, begin)
			for chunk := strings.Repeat(again, 10_000); err == nil; {
				_, err = io.WriteString(w, chunk)
			}
		}
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		ok     bool
	}{
		"releases": {endless(`[{}`, `,{}`), true},
		"assets":   {endless(`[{"tag_name":"0.17.8","assets":[{}`, `,{}`), false},
		"assets, closed": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `[{"tag_name":"0.17.8","assets":[{}%s]}]`, strings.Repeat(`,{}`, 1<<20))
		}, true},
		"a name":  {endless(`[{"tag_name":"`, `x`), false},
		"a field": {endless(`[{"body":"`, `x`), false},
		"depth":   {endless(`[{"body":`, `[`), false},
		"blanks":  {endless(`[`, ` `), false},
		"numbers": {endless(`[{"x":[1`, `,1`), false},
	} {
		s := httpServer(t, tc.answer)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l, err := List(t.Context(), Options{APIURL: s.URL, Retry: quick, CacheDir: newCache(t)})
		runtime.ReadMemStats(&after)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, errProtocol) {
			t.Errorf("%s: %v", name, err)
		}
		if len(l.Releases) > listedMax || name == "releases" && !l.Truncated {
			t.Errorf("%s: %d releases, truncated %v", name, len(l.Releases), l.Truncated)
		}
		for _, r := range l.Releases {
			if len(r.Assets) > apiAssetsMax {
				t.Errorf("%s: %d assets", name, len(r.Assets))
			}
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 64<<20 {
			t.Errorf("%s: %d MiB were allocated", name, allocated>>20)
		}
	}
}

// TestHostileNeighbours reads a list and a signature of any size, and no more of them than they may have.
func TestHostileNeighbours(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	public, _ := keys(t)
	for suffix, tc := range map[string]struct {
		o    Options
		most int
	}{
		"/SHA256SUMS": {Options{}, sumsSizeMax}, ".sha256": {Options{}, sidecarSizeMax}, ".minisig": {Options{PublicKey: public}, signatureSizeMax},
	} {
		sent := 0
		s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, suffix) {
				if strings.HasSuffix(r.URL.Path, ".zip") {
					w.Write(zip)
					return
				}
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000000000000")
			for chunk := bytes.Repeat([]byte("x"), 4<<10); ; {
				n, err := w.Write(chunk)
				if sent += n; err != nil {
					return
				}
			}
		})
		f, _, err := fetch(t, "0.17.8", Options{Mirror: s.URL, PublicKey: tc.o.PublicKey})
		if tc.o.PublicKey == "" && err != nil || tc.o.PublicKey != "" && err == nil {
			t.Errorf("%s: %v", suffix, err)
		}
		at := slices.IndexFunc(f.Evidence, func(e Evidence) bool { return e.Status == StatusNotChecked })
		if at < 0 {
			t.Fatalf("%s: %+v", suffix, f.Evidence)
		}
		last := f.Evidence[at]
		if !strings.Contains(last.Detail, fmt.Sprintf("more than %d bytes", tc.most)) {
			t.Errorf("%s: %+v", suffix, last)
		}
	}
}
