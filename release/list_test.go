package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

func tagsOf(l Listing) (tags []string) {
	for _, r := range l.Releases {
		tags = append(tags, string(r.Tag))
	}
	return tags
}

// TestList reads two pages, and on the second run gets by with conditional requests.
func TestList(t *testing.T) {
	t.Parallel()
	var calls, unchanged int
	server := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		tag := `"page` + r.URL.Query().Get("page") + `"`
		w.Header().Set("ETag", tag)
		if r.URL.Query().Get("page") == "" {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s/api/releases?per_page=100&page=2>; rel="next", <x>; rel="last"`, r.Host))
		}
		if r.Header.Get("If-None-Match") == tag {
			unchanged++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if r.URL.Query().Get("page") == "" {
			fmt.Fprintf(w, `[%s,{"tag_name":"nightly"},{"tag_name":"0.99.0","draft":true}]`, apiRelease("0.17.8", 7, `"sha256:`+sumOf(nil)+`"`))
			return
		}
		fmt.Fprintf(w, `[%s,{"tag_name":"0.17.5-1","prerelease":true},%s]`, apiRelease("0.17.5", 7, "null"), apiRelease("0.17.10", 7, "null"))
	})
	o := Options{APIURL: server.URL + "/api", CacheDir: newCache(t), Retry: quick}
	for run := range 2 {
		l, err := List(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"0.17.10", "0.17.8", "0.17.5-1", "0.17.5"}; !slices.Equal(tagsOf(l), want) || l.Skipped != 2 || l.Truncated {
			t.Errorf("run %d: %v, %+v", run, tagsOf(l), l)
		}
		r := l.Releases[1]
		if r.Assets[0] != (ListedAsset{"tigerbeetle-x86_64-linux.zip", 7, sumOf(nil)}) || r.Published.IsZero() || r.Release != "0.17.8" {
			t.Errorf("run %d: %+v", run, r)
		}
		if !l.Releases[2].Prerelease || l.Releases[2].Release != "0.17.5" || len(l.Releases[3].Advisories) == 0 {
			t.Errorf("run %d: %+v", run, l.Releases[2])
		}
	}
	if calls != 4 || unchanged != 2 {
		t.Errorf("%d calls, %d answered by the cache", calls, unchanged)
	}
}

// A fileServer has a page for every path, or nothing if it is empty.
type fileServer struct {
	t    *testing.T
	page string
}

func (f fileServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		f.t.Error("the token for GitHub goes to a mirror")
	}
	status := http.StatusOK
	if f.page == "" {
		status = http.StatusNotFound
	}
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(f.page)), Request: r}, nil
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	limited := newServer(t, map[string]*file{"/releases": {status: []int{403}, header: http.Header{
		"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Limit": {"60"}, "X-Ratelimit-Reset": {fmt.Sprint(reset.Unix())}}}})
	_, err := List(t.Context(), Options{APIURL: limited.URL, Retry: quick})
	var limit *RateLimitError
	if !errors.As(err, &limit) || limit.Limit != 60 || !limit.Reset.Equal(reset) || limit.Authenticated {
		t.Errorf("rate limit: %v", err)
	}
	if len(limited.paths()) != 1 {
		t.Errorf("asked again: %v", limited.paths())
	}
	for _, page := range []string{"", "<html>"} {
		o := Options{Mirror: "https://m.test/{tag}/{asset}", Token: "secret", Transport: fileServer{t, page}}
		if _, err := List(t.Context(), o); !errors.Is(err, ErrNotListable) {
			t.Errorf("mirror: %v", err)
		}
	}
	for name, header := range map[string]string{"another host": "<https://evil.test/x>", "endless": "<%s/releases?per_page=100>"} {
		var calls int
		s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			link := header
			if name == "endless" {
				link = fmt.Sprintf(header, "http://"+r.Host)
			}
			w.Header().Set("Link", link+`; rel="next"`)
			json.NewEncoder(w).Encode([]githubRelease{{TagName: "0.17.8"}})
		})
		l, err := List(t.Context(), Options{APIURL: s.URL, Retry: quick})
		if name == "endless" && (err != nil || !l.Truncated || calls != apiPagesMax) || name != "endless" && (err == nil || calls != 1) {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
	for name, body := range map[string]string{"no list": "{}", "no json": "<html>"} {
		s := newServer(t, map[string]*file{"/releases": {data: []byte(body)}})
		if _, err := List(t.Context(), Options{APIURL: s.URL, Retry: quick}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestListDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"0.17.8/tigerbeetle-x86_64-linux.zip", "0.17.8/README", "0.17.10/tigerbeetle-universal-macos-debug.zip",
		"0.17.9/nothing", "notes/tigerbeetle-x86_64-linux.zip", "tigerbeetle-aarch64-linux.zip", "0.17.11"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, asked := range []Options{{Platform: LinuxX86_64}, {Platform: MacOSUniversal, Debug: true}, {Platform: WindowsX86_64}} {
		asked.Mirror = dir
		l, err := List(t.Context(), asked)
		if want := map[multiversion.Platform][]string{LinuxX86_64: {"0.17.8"}, MacOSUniversal: {"0.17.10"}}[asked.Platform]; err != nil || !slices.Equal(tagsOf(l), want) {
			t.Errorf("for %s: %q, %v", asked.Platform, tagsOf(l), err)
		}
	}
	l, err := List(t.Context(), Options{Mirror: dir})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"0.17.10", "0.17.8", ""}; !slices.Equal(tagsOf(l), want) {
		t.Errorf("%q", tagsOf(l))
	}
	if a := l.Releases[1].Assets; len(a) != 1 || a[0] != (ListedAsset{Name: "tigerbeetle-x86_64-linux.zip", Size: 5}) {
		t.Errorf("%+v", a)
	}
	if _, err := List(t.Context(), Options{Mirror: filepath.Join(dir, "none")}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if l, err := List(t.Context(), Options{Mirror: t.TempDir()}); err != nil || len(l.Releases) != 0 {
		t.Errorf("%v, %v", l, err)
	}
}

// TestListDirectoryTooLarge refuses more entries than are read: which ones come first is the disk's
// choice, and the newest could be missing.
func TestListDirectoryTooLarge(t *testing.T) {
	t.Parallel()
	const asset = "tigerbeetle-x86_64-linux.zip"
	mirror := t.TempDir()
	crowded := filepath.Join(mirror, "0.17.8")
	if err := os.Mkdir(crowded, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(crowded, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(asset)
	for i := range directoryEntryMax - 1 {
		write(fmt.Sprint(i))
	}
	// The crowd is a release's, or the mirror's own.
	for directory, want := range map[string]string{mirror: "0.17.8", crowded: ""} {
		l, err := List(t.Context(), Options{Mirror: directory})
		if err != nil || !slices.Equal(tagsOf(l), []string{want}) {
			t.Errorf("as many as are read: %q, %v", tagsOf(l), err)
		}
	}
	write("one more")
	for _, directory := range []string{mirror, crowded} {
		o := Options{Mirror: directory, Platform: LinuxX86_64}
		_, listErr := List(t.Context(), o)
		_, resolveErr := resolve("latest", o)
		for _, err := range []error{listErr, resolveErr} {
			if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), crowded) || !strings.Contains(err.Error(), fmt.Sprint(directoryEntryMax)) {
				t.Errorf("one more: %v", err)
			}
		}
	}
}

// TestListWhatIsNoDirectory names a mirror that is a file, and skips what is beside the releases.
func TestListWhatIsNoDirectory(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	file := filepath.Join(directory, "0.17.9")
	if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Symlink("nowhere", filepath.Join(directory, "0.17.8"))); err != nil {
		t.Fatal(err)
	}
	if listing, err := List(t.Context(), Options{Mirror: directory}); err != nil || len(listing.Releases) > 0 {
		t.Errorf("%+v, %v", listing, err)
	}
	if _, err := List(t.Context(), Options{Mirror: file}); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("%v", err)
	}
	if os.Geteuid() == 0 {
		t.Log("skipped for root, who may read everything: a release's directory that cannot be read")
		return
	}
	if err := os.Mkdir(filepath.Join(directory, "0.17.7"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := List(t.Context(), Options{Mirror: directory}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
}
