package main

import (
	"bytes"
	"compress/flate"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/release"
)

// newDeltaWorld serves a store as a mirror that offers deltas, with builds that differ as releases do: the release, the one before
// it, and the one before that.
func newDeltaWorld(t *testing.T) (w *heldWorld, two []byte) {
	t.Helper()
	platform, err := release.HostPlatform()
	if err != nil {
		t.Fatal(err)
	}
	builds := testbin.Successive(t, 3)
	past := testbin.PastOf("0.17.3", "0.17.4", "0.17.5")
	for number := range past {
		past[number].Executable = bytes.Clone(builds[0])
		past[number].Executable[len(builds[0])/2] ^= byte(number + 1)
	}
	w = &heldWorld{deltas: true}
	two = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.6"), Executable: builds[0], Past: past})
	w.before = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.7"), Executable: builds[1], From: two})
	w.after = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.8"), Executable: builds[2], From: w.before})
	w.serve(t)
	return w, two
}

func deflatedSize(t *testing.T, data []byte) int64 {
	t.Helper()
	var deflated bytes.Buffer
	to, err := flate.NewWriter(&deflated, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Write(data); err != nil || to.Close() != nil {
		t.Fatal(err)
	}
	return int64(deflated.Len())
}

// TestInstallFetchesADelta installs, downloads and imports a release from a store that is served, on hosts that have the
// one before it, and the one before that: what is sent is a small part of the deflated file, and what is there is the release.
func TestInstallFetchesADelta(t *testing.T) {
	t.Parallel()
	w, two := newDeltaWorld(t)
	deflated := deflatedSize(t, w.after)
	for _, tc := range []struct {
		behind    string
		installed []byte
		most      int64 // percent of the deflated file
	}{{"one release", w.before, 10}, {"two releases", two, 20}} {
		dir := t.TempDir()
		target, file := filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, "file")
		testbin.WriteFile(t, target, tc.installed)
		config := filepath.Join(dir, "config.toml")
		if err := os.WriteFile(config, []byte("target = \""+target+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"TBCTL_STATE_DIR": filepath.Join(dir, "state"), "TBCTL_CONFIG": config}
		for _, args := range [][]string{
			{"download", "0.17.8", "-o", file}, {"store", "import", "0.17.8"}, {"install", "0.17.8", target},
		} {
			w.sent.Store(0)
			r := tell(t, env, append(args, "--mirror", w.url, "--store", filepath.Join(dir, args[0]), "--cache-dir", filepath.Join(dir, "cache"))...)
			sent := w.sent.Load()
			if r.code != 0 || !strings.Contains(unwrapped(r.out), "was on this host") || strings.Contains(unwrapped(r.err), "delta") {
				t.Errorf("%s behind, %s: exit code %d\n%s%s", tc.behind, args[0], r.code, r.out, r.err)
			}
			if sent*100 > tc.most*deflated {
				t.Errorf("%s behind, %s: %d bytes were sent, and the deflated file has %d", tc.behind, args[0], sent, deflated)
			}
			t.Logf("%s behind, %s: %d bytes sent of %d, deflated %d: %.1f %%", tc.behind, args[0], sent, len(w.after), deflated, 100*float64(sent)/float64(deflated))
		}
		for _, path := range []string{target, file} {
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, w.after) {
				t.Errorf("%s behind: at %s is something else: %v", tc.behind, path, err)
			}
		}
	}
}

// TestInstallWithoutADelta installs what a server offers deltas of and gives none: the rest comes in parts, and a line says why.
func TestInstallWithoutADelta(t *testing.T) {
	t.Parallel()
	w := newHeldWorld(t)
	w.deltas = true
	stripped := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/delta") {
			http.Error(answer, "", http.StatusServiceUnavailable)
			return
		}
		asked, err := http.NewRequestWithContext(r.Context(), r.Method, w.url+r.URL.Path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		asked.Header = r.Header
		got, err := http.DefaultTransport.RoundTrip(asked)
		if err != nil {
			t.Error(err)
			return
		}
		defer got.Body.Close()
		for name := range got.Header {
			answer.Header().Set(name, got.Header.Get(name))
		}
		answer.WriteHeader(got.StatusCode)
		var body bytes.Buffer
		_, _ = body.ReadFrom(got.Body) // it is not read to its end where parts are given up
		_, _ = answer.Write(body.Bytes())
	}))
	t.Cleanup(stripped.Close)
	dir := t.TempDir()
	target := filepath.Join(dir, "tigerbeetle")
	testbin.WriteFile(t, target, w.before)
	r := tell(t, map[string]string{"TBCTL_STATE_DIR": filepath.Join(dir, "state")}, "install", "0.17.8", target, "--mirror", stripped.URL, "--store", filepath.Join(dir, "store"), "--cache-dir", filepath.Join(dir, "cache"))
	if said := unwrapped(r.err); r.code != 0 || strings.Count(said, "the delta that the server offers was not used") != 1 || !strings.Contains(said, "503") || !strings.Contains(unwrapped(r.out), "was on this host") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, w.after) {
		t.Errorf("%v", err)
	}
}
