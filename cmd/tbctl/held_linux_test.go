package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// heldWorld is a store that is served as a mirror with one release, and the release before it.
type heldWorld struct {
	before, after []byte
	lacking       int64 // bytes of the release that are not in the one before
	url           string
	sent          atomic.Int64
	noParts       atomic.Bool
	deltas        bool // are offered
}

func newHeldWorld(t *testing.T) *heldWorld {
	t.Helper()
	platform, err := release.HostPlatform()
	if err != nil {
		t.Fatal(err)
	}
	w := &heldWorld{}
	w.before = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.5", "0.17.6")})
	w.after = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.8"), From: w.before})
	w.serve(t)
	return w
}

// serve serves a store that has the release.
func (w *heldWorld) serve(t *testing.T) {
	t.Helper()
	recipe, err := delta.Of(testbin.Load(t, w.after))
	if err != nil {
		t.Fatal(err)
	}
	_, w.lacking = recipe.Lacking()
	store := depot.Open(vfs.OS(), t.TempDir())
	artifact, err := store.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Write(w.after); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Commit(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	handler := (&serve.Server{Depot: store}).Handler()
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if w.noParts.Load() {
			r.Header.Del("Range")
		}
		handler.ServeHTTP(sentCounter{answer, &w.sent, !w.deltas}, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
}

// sentCounter counts the bytes of answers.
type sentCounter struct {
	http.ResponseWriter
	sent     *atomic.Int64
	noDeltas bool // are offered
}

func (s sentCounter) WriteHeader(status int) {
	if s.noDeltas {
		s.Header().Del(delta.Header)
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s sentCounter) Write(data []byte) (int, error) {
	s.sent.Add(int64(len(data))) // before who reads it may ask
	return s.ResponseWriter.Write(data)
}

func (s sentCounter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// TestInstallFetchesWhatIsLacking installs a release over the one before it from a store that is served: only what this host
// lacks is sent, and everything else is as it is when all of it was.
func TestInstallFetchesWhatIsLacking(t *testing.T) {
	t.Parallel()
	w := newHeldWorld(t)
	dir := t.TempDir()
	target := filepath.Join(dir, "tigerbeetle")
	testbin.WriteFile(t, target, w.before)
	env := map[string]string{"TBCTL_STATE_DIR": filepath.Join(dir, "state")}
	args := []string{"install", "0.17.8", target, "--mirror", w.url, "--require", "digest", "--store", filepath.Join(dir, "store")}
	most := w.lacking + 4*64<<10

	r := tell(t, env, append(args, "--dry-run", "--cache-dir", filepath.Join(dir, "cache"))...)
	if said := unwrapped(r.out); r.code != 0 || !strings.Contains(said, "over the network; ") || !strings.Contains(said, " of it was on this host") {
		t.Errorf("dry run: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, w.before) {
		t.Errorf("a dry run changed the target: %v", err)
	}
	if sent := w.sent.Swap(0); sent > most {
		t.Errorf("%d bytes were sent, and %d are lacking", sent, w.lacking)
	}
	origin := installedOrigin(t, tell(t, env, append(args, "--json", "--cache-dir", filepath.Join(dir, "other cache"))...))
	sent := w.sent.Swap(0)
	if sent > most || origin.Fetched > sent || origin.Fetched < w.lacking || origin.Held != int64(len(w.after))-w.lacking || !origin.Trusted {
		t.Errorf("%d bytes were sent, %d are lacking: %+v", sent, w.lacking, origin)
	}
	t.Logf("%d bytes of %d were sent", sent, len(w.after))
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, w.after) {
		t.Errorf("at the target is something else: %v", err)
	}

	// What the store has serves as well, for other commands too.
	before := filepath.Join(dir, "before")
	testbin.WriteFile(t, before, w.before)
	if r := tell(t, env, "store", "import", before, "--store", filepath.Join(dir, "store")); r.code != 0 {
		t.Fatal(r.err)
	}
	file := filepath.Join(dir, "file")
	if r := tell(t, env, "download", "0.17.8", "-o", file, "--mirror", w.url, "--store", filepath.Join(dir, "store")); r.code != 0 || !strings.Contains(unwrapped(r.out), "was on this host") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if sent := w.sent.Swap(0); sent > most {
		t.Errorf("download: %d bytes were sent", sent)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, w.after) {
		t.Errorf("the download is something else: %v", err)
	}
	if r := tell(t, env, "store", "import", "0.17.8", "--mirror", w.url, "--store", filepath.Join(dir, "store")); r.code != 0 || !strings.Contains(unwrapped(r.out), "was on this host") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if sent := w.sent.Swap(0); sent > most {
		t.Errorf("store import: %d bytes were sent", sent)
	}
}

func installedOrigin(t *testing.T, r told) install.Origin {
	t.Helper()
	var document struct{ Result install.Outcome }
	if err := json.Unmarshal([]byte(r.out), &document); err != nil || r.code != 0 || document.Result.Plan == nil {
		t.Fatalf("exit code %d, %v\n%s", r.code, err, r.out)
	}
	return document.Result.Plan.Origin
}

// TestInstallFetchesWhole says in a line why all of it came, where parts are not sent or a file of this host is damaged, and fetches no parts for
// a host that has nothing.
func TestInstallFetchesWhole(t *testing.T) {
	t.Parallel()
	w := newHeldWorld(t)
	damaged := bytes.Clone(w.before)
	damaged[testbin.Load(t, damaged).Images[0].PastExtent(0).Offset+1000] ^= 1
	for name, tc := range map[string]struct {
		installed []byte
		noParts   bool
		said      string
		held      bool
	}{
		"nothing is here": {nil, false, "", false},
		"no parts":        {w.before, true, "what this host has of it was fetched too: the server sends no parts of a file", false},
		"a damaged one":   {damaged, false, delta.ErrDamaged.Error(), true},
	} {
		dir := t.TempDir()
		target := filepath.Join(dir, "tigerbeetle")
		if tc.installed != nil {
			testbin.WriteFile(t, target, tc.installed)
		}
		w.noParts.Store(tc.noParts)
		r := tell(t, map[string]string{"TBCTL_STATE_DIR": filepath.Join(dir, "state")}, "install", "0.17.8", target, "--mirror", w.url, "--store", filepath.Join(dir, "store"))
		if said := unwrapped(r.err); r.code != 0 || tc.said != "" && strings.Count(said, tc.said) != 1 || tc.said == "" && strings.Contains(said, "was fetched too") {
			t.Errorf("%s: exit code %d\n%s", name, r.code, r.err)
		}
		if strings.Contains(r.out, "was on this host") != tc.held {
			t.Errorf("%s:\n%s", name, r.out)
		}
		if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, w.after) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A server that breaks off for good leaves the target as it was.
	target := filepath.Join(t.TempDir(), "tigerbeetle")
	testbin.WriteFile(t, target, w.before)
	broken := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if number := w.sent.Add(1); strings.HasSuffix(r.URL.Path, ".zip") && number > 4 {
			http.Error(answer, "", http.StatusForbidden)
			return
		}
		if !strings.HasSuffix(r.URL.Path, ".zip") {
			http.NotFound(answer, r)
			return
		}
		answer.Header().Set("ETag", `"1"`)
		http.ServeContent(answer, r, "", time.Time{}, bytes.NewReader(w.after))
	}))
	defer broken.Close()
	w.sent.Store(0)
	if r := tell(t, nil, "install", "0.17.8", target, "--mirror", broken.URL, "--sha256", digestOf(w.after)); r.code != 1 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, w.before) {
		t.Errorf("the target was touched: %v", err)
	}
	if _, err := os.Lstat(target + "-old"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
