package release

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

// newCache is a cache directory that does not exist yet, so that the umask of whoever runs the tests has
// no part in its mode.
func newCache(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "cache")
}

// must ends a test on an error of the disk.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestForgedPartial plants a partial file with another program's bytes and the right validator. It is
// taken only where nobody but this user and root could have written it; else the download goes on without.
func TestForgedPartial(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the system tells no owner")
	}
	executable, forged := program(200_000, 1), program(200_000, 9)
	zip, forgedZip := zipped(t, executable), zipped(t, forged)
	root := os.Geteuid() == 0
	for name, tc := range map[string]struct {
		plant func(t *testing.T, cache, downloads, partial string)
		note  string // part of it
		root  bool
	}{
		"writable cache":      {plant: func(t *testing.T, cache, _, _ string) { must(t, os.Chmod(cache, 0o777)) }, note: "cache can be written by others (mode 0777)"},
		"sticky cache":        {plant: func(t *testing.T, cache, _, _ string) { must(t, os.Chmod(cache, 0o777|os.ModeSticky)) }, note: "(mode 1777)"},
		"writable directory":  {plant: func(t *testing.T, _, downloads, _ string) { must(t, os.Chmod(downloads, 0o720)) }, note: "downloads can be written by others (mode 0720)"},
		"writable file":       {plant: func(t *testing.T, _, _, partial string) { must(t, os.Chmod(partial, 0o602)) }, note: ".partial can be written by others (mode 0602)"},
		"file with two links": {plant: func(t *testing.T, cache, _, partial string) { must(t, os.Link(partial, cache+"/other")) }, note: "2 links"},
		"file is a link":      {plant: func(t *testing.T, cache, _, partial string) { linked(t, partial, cache+"/other") }, note: "symlink"},
		"directory is a link": {plant: func(t *testing.T, cache, downloads, _ string) { linked(t, downloads, cache+"/other") }, note: "downloads is no directory, but a symlink"},
		"another's cache":     {plant: func(t *testing.T, cache, _, _ string) { must(t, os.Chown(cache, 4242, -1)) }, note: "cache belongs to user 4242", root: true},
		"another's directory": {plant: func(t *testing.T, _, downloads, _ string) { must(t, os.Chown(downloads, 4242, -1)) }, note: "downloads belongs to user 4242", root: true},
		"another's file":      {plant: func(t *testing.T, _, _, partial string) { must(t, os.Chown(partial, 4242, -1)) }, note: ".partial belongs to user 4242", root: true},
		"a file, no directory": {plant: func(t *testing.T, _, downloads, _ string) {
			must(t, os.RemoveAll(downloads), os.WriteFile(downloads, nil, 0o600))
		}, note: "but a file"},
		"readable by everybody": {plant: func(t *testing.T, cache, downloads, partial string) {
			must(t, os.Chmod(cache, 0o755), os.Chmod(downloads, 0o755), os.Chmod(partial, 0o644))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.root && !root {
				t.Skip("giving files away needs root")
			}
			cache := newCache(t)
			f := &file{data: zip, etag: `"1"`}
			s := newServer(t, map[string]*file{assetPath: f})
			interrupted(t, s, f, len(zip)/2, cache)
			partial := partials(t, cache)[0]
			if tc.note != "" { // the forger replaces what came by all of their own but the end
				b := append(bytes.Clone(read(partial)[:partialHead]), forgedZip[:len(zip)/2]...)
				must(t, os.WriteFile(partial, b, 0o600))
			}
			tc.plant(t, cache, filepath.Dir(partial), partial)
			got, b, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache})
			if err != nil || !bytes.Equal(b, executable) {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
			if tc.note == "" {
				if got.CacheNote != "" || got.BytesResumed == 0 {
					t.Errorf("note %q, %d bytes resumed", got.CacheNote, got.BytesResumed)
				}
				return
			}
			if !strings.Contains(got.CacheNote, tc.note) || got.BytesResumed != 0 || got.BytesFetched != int64(len(zip)) {
				t.Errorf("note %q, %d bytes resumed, %d fetched", got.CacheNote, got.BytesResumed, got.BytesFetched)
			}
		})
	}
}

// linked moves something away and leaves a symbolic link in its place.
func linked(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.Rename(from, to), os.Symlink(to, from))
}

// TestSweepStaysInside removes an expired partial file of the cache, but none through a link.
func TestSweepStaysInside(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege")
	}
	s := newServer(t, map[string]*file{assetPath: {data: zipped(t, program(10_000, 1)), etag: `"1"`}})
	elsewhere := t.TempDir()
	expired := func(dir string) string {
		path := filepath.Join(dir, "old"+partialSuffix)
		at := time.Now().Add(-2 * PartialAgeMax)
		must(t, os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, at, at))
		return path
	}
	kept := expired(elsewhere)
	cache := newCache(t)
	must(t, os.MkdirAll(cache, 0o700), os.Symlink(elsewhere, filepath.Join(cache, downloadsName)))
	if got, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache}); err != nil || got.CacheNote == "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := os.Lstat(kept); err != nil {
		t.Error(err)
	}
	cache = newCache(t)
	must(t, os.MkdirAll(filepath.Join(cache, downloadsName), 0o700))
	gone := expired(filepath.Join(cache, downloadsName))
	if got, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: cache}); err != nil || got.CacheNote != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := os.Lstat(gone); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestForgedAnswer does not compare with an answer of the API that somebody else could have written.
func TestForgedAnswer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the system tells no owner")
	}
	for name, change := range map[string]func(t *testing.T, cache, answer string){
		"unchanged":          func(*testing.T, string, string) {},
		"writable cache":     func(t *testing.T, cache, _ string) { must(t, os.Chmod(cache, 0o777)) },
		"writable directory": func(t *testing.T, _, answer string) { must(t, os.Chmod(filepath.Dir(answer), 0o770)) },
		"writable file":      func(t *testing.T, _, answer string) { must(t, os.Chmod(answer, 0o666)) },
		"link":               func(t *testing.T, cache, answer string) { linked(t, answer, cache+"/other") },
		"directory linked":   func(t *testing.T, cache, answer string) { linked(t, filepath.Dir(answer), cache+"/other") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"1"`)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				w.Write([]byte(`[{"tag_name":"0.17.8","published_at":"2025-08-01T00:00:00Z"}]`))
			})
			o := Options{APIURL: s.URL, CacheDir: newCache(t), Retry: quick}
			if _, err := List(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			answers, err := filepath.Glob(filepath.Join(o.CacheDir, answersName, "*.json"))
			if err != nil || len(answers) != 1 {
				t.Fatalf("%v, %v", answers, err)
			}
			forged := bytes.ReplaceAll(read(answers[0]), []byte("0.17.8"), []byte("6.6.6"))
			must(t, os.WriteFile(answers[0], forged, 0o600))
			change(t, o.CacheDir, answers[0])
			listed, err := List(t.Context(), o)
			want := Tag("0.17.8")
			if name == "unchanged" {
				want = "6.6.6"
			}
			if err != nil || len(listed.Releases) != 1 || listed.Releases[0].Tag != want {
				t.Errorf("%+v, %v", listed, err)
			}
		})
	}
}

// TestCacheMode makes the directories and files of the cache for their owner alone.
func TestCacheMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the system knows no modes")
	}
	cache := newCache(t)
	f := &file{data: zipped(t, program(10_000, 1)), etag: `"1"`}
	interrupted(t, newServer(t, map[string]*file{assetPath: f}), f, 5000, cache)
	for path, want := range map[string]vfs.Mode{
		cache: cacheDirMode, filepath.Join(cache, downloadsName): cacheDirMode, partials(t, cache)[0]: cacheFileMode,
	} {
		if info, err := os.Lstat(path); err != nil || vfs.Mode(info.Mode().Perm()) != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}
