package remote

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
)

const (
	pullToken = "pull.this-one"
	headsOnly = 64 << 10 // bytes that are asked for to find the headers, and then again
)

// blobs is a registry that has one blob for those who have the token, and the requests that it got for others.
type blobs struct {
	*httptest.Server
	data    []byte // that is sent
	digest  string // under which it is
	breaks  atomic.Int64
	strange atomic.Int64
}

func newBlobs(t *testing.T, digest string, data []byte) *blobs {
	t.Helper()
	b := &blobs{data: data, digest: digest}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/v2/tb/blobs/sha256:"+digest:
			b.strange.Add(1)
			http.NotFound(w, r)
		case r.Header.Get("Authorization") != "Bearer "+pullToken:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("ETag", `"`+digest+`"`)
			if b.breaks.Add(-1) >= 0 {
				w = &breaking{w, int64(len(data)) / 3}
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.data))
		}
	}))
	b.Config.ErrorLog = silent()
	t.Cleanup(b.Close)
	return b
}

// breaking is an answer that breaks off.
type breaking struct {
	http.ResponseWriter
	left int64
}

func (b *breaking) Write(data []byte) (int, error) {
	if b.left -= int64(len(data)); b.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(data)
}

func (b *blobs) of(artifact []byte) CopyRequest {
	return CopyRequest{Artifact: digestOf(artifact), Size: int64(len(artifact)), URL: b.URL + "/v2/tb/blobs/sha256:" + b.digest, Token: pullToken}
}

// TestFetch fetches from a registry what a host lacks, goes on where the registry breaks off, and has the same bytes then.
func TestFetch(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	for name, tc := range map[string]struct {
		installed []byte
		breaks    int64
		most      int64 // bytes
	}{
		"one behind": {one, 0, int64(len(next)) * 3 / 4}, "nothing": {nil, 0, int64(len(next)) + headsOnly},
		"damaged": {spoil(t, one, 0), 0, int64(len(next)) + headsOnly}, "it breaks off": {nil, 2, int64(len(next)) * 5 / 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBlobs(t, digestOf(next), next)
			b.breaks.Store(tc.breaks)
			r := newReceiver(t, tc.installed)
			r.Registries = []string{b.URL}
			answer, err := r.copies(b.of(next))
			if err != nil || answer.How != HowParts || answer.Came > tc.most || answer.Came == 0 || answer.From != strings.TrimPrefix(b.URL, "http://") || answer.Artifact.SHA256 != digestOf(next) {
				t.Errorf("%+v, %v, of %d", answer, err, len(next))
			}
			r.has(t, next)
			again, err := r.copies(b.of(next))
			if err != nil || again.Came != 0 || again.From != "" {
				t.Errorf("again: %+v, %v", again, err)
			}
			left := 0
			err = filepath.WalkDir(filepath.Dir(r.target()), func(path string, entry os.DirEntry, err error) error {
				if err == nil && entry.Type().IsRegular() {
					text, readErr := os.ReadFile(path)
					if left++; readErr != nil || bytes.Contains(text, []byte(pullToken)) {
						t.Errorf("%s has the token, %v", path, readErr)
					}
				}
				return err
			})
			if err != nil || left == 0 {
				t.Errorf("%d files, %v", left, err)
			}
		})
	}
}

// TestFetchRefused holds that nothing is asked for but the blob with the artifact's digest, in a registry of the host's own configuration.
func TestFetchRefused(t *testing.T) {
	t.Parallel()
	_, _, next := binaries(t)
	b := newBlobs(t, digestOf(next), next)
	good := b.of(next)
	for name, tc := range map[string]struct {
		change     func(*CopyRequest)
		registries []string
		class      fault.Class
	}{
		"no registries":    {func(*CopyRequest) {}, nil, fault.Refused},
		"another registry": {func(*CopyRequest) {}, []string{"https://registry.internal", strings.Replace(b.URL, "http:", "https:", 1), b.URL + "0"}, fault.Refused},
		"another blob":     {func(c *CopyRequest) { c.URL = strings.Replace(c.URL, c.Artifact, strings.Repeat("a", 64), 1) }, []string{b.URL}, fault.Usage},
		"another path":     {func(c *CopyRequest) { c.URL = b.URL + "/admin?" + c.URL }, []string{b.URL}, fault.Usage},
		"a query":          {func(c *CopyRequest) { c.URL += "?x" }, []string{b.URL}, fault.Usage},
		"a fragment":       {func(c *CopyRequest) { c.URL += "#x" }, []string{b.URL}, fault.Usage},
		"a way up":         {func(c *CopyRequest) { c.URL = strings.Replace(c.URL, "/tb/", "/../tb/", 1) }, []string{b.URL}, fault.Usage},
		"an escape":        {func(c *CopyRequest) { c.URL = strings.Replace(c.URL, "/tb/", "/%2e%2e%2f/", 1) }, []string{b.URL}, fault.Usage},
		"a password":       {func(c *CopyRequest) { c.URL = strings.Replace(c.URL, "://", "://a:b@", 1) }, []string{b.URL}, fault.Usage},
		"a file":           {func(c *CopyRequest) { c.URL = "file:///v2/tb/blobs/sha256:" + c.Artifact }, []string{b.URL}, fault.Usage},
		"a line":           {func(c *CopyRequest) { c.Token = "x\r\nHost: y" }, []string{b.URL}, fault.Usage},
		"a long token":     {func(c *CopyRequest) { c.Token = strings.Repeat("x", registryTokenMax+1) }, []string{b.URL}, fault.Usage},
		"no size":          {func(c *CopyRequest) { c.Size = 0 }, []string{b.URL}, fault.Usage},
	} {
		r := newReceiver(t, nil)
		r.Registries = tc.registries
		request := good
		tc.change(&request)
		if _, err := r.copies(request); fault.Of(err) != tc.class {
			t.Errorf("%s: %v", name, err)
		}
		r.has(t, nil)
	}
	if asked := b.strange.Load(); asked != 0 {
		t.Errorf("%d requests came that are for no blob", asked)
	}
}

// TestFetchFails holds that what does not come, or is not the artifact, is told and not stored.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	for name, tc := range map[string]struct {
		change func(*blobs, *CopyRequest)
		class  fault.Class
		says   string
	}{
		"tampered": {func(b *blobs, _ *CopyRequest) { b.data = bytes.Clone(b.data); b.data[len(b.data)-1] ^= 1 }, fault.Rejected, digestOf(next)},
		"longer":   {func(b *blobs, _ *CopyRequest) { b.data = append(bytes.Clone(b.data), 1) }, fault.Rejected, "bytes"},
		"shorter":  {func(b *blobs, _ *CopyRequest) { b.data = b.data[:len(b.data)-1] }, fault.Rejected, ""},
		"denied":   {func(_ *blobs, c *CopyRequest) { c.Token = "" }, fault.Failed, "401"},
		"missing":  {func(_ *blobs, c *CopyRequest) { c.URL = strings.Replace(c.URL, "/tb/", "/other/", 1) }, fault.Failed, "404"},
		"no route": {func(b *blobs, _ *CopyRequest) { b.Close() }, fault.Failed, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBlobs(t, digestOf(next), next)
			request := b.of(next)
			tc.change(b, &request)
			r := newReceiver(t, one)
			r.Registries = []string{b.URL}
			_, err := r.copies(request)
			if fault.Of(err) != tc.class || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), strings.TrimPrefix(b.URL, "http://")) || strings.Contains(err.Error(), pullToken) {
				t.Errorf("%v: %v", fault.Of(err), err)
			}
			r.has(t, nil)
		})
	}
}

// TestFetchRedirected holds that a redirect is followed to registries of the host's own configuration alone, and that the token
// stays with the first.
func TestFetchRedirected(t *testing.T) {
	t.Parallel()
	_, _, next := binaries(t)
	var seen atomic.Pointer[http.Header]
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Clone()
		seen.Store(&header)
		w.Header().Set("ETag", `"x"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(next))
	}))
	defer elsewhere.Close()
	first := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/storage", http.StatusTemporaryRedirect))
	defer first.Close()
	request := (&blobs{Server: first, digest: digestOf(next)}).of(next)
	r := newReceiver(t, nil)
	r.Registries = []string{first.URL}
	if _, err := r.copies(request); fault.Of(err) != fault.Failed || !strings.Contains(err.Error(), "does not name") || seen.Load() != nil {
		t.Errorf("%v, and it was asked: %v", err, seen.Load())
	}
	r.has(t, nil)
	r.Registries = append(r.Registries, elsewhere.URL)
	if _, err := r.copies(request); err != nil || seen.Load() == nil || seen.Load().Get("Authorization") != "" {
		t.Errorf("%v, with %v", err, seen.Load())
	}
	r.has(t, next)
}

// TestFetchOwnFault holds that the message names the store that cannot be written.
func TestFetchOwnFault(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	b := newBlobs(t, digestOf(next), next)
	r := newReceiver(t, one)
	r.Registries = []string{b.URL}
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.target()), "store"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.copies(b.of(next)); err == nil || !strings.Contains(err.Error(), "store") || errors.As(err, new(*SourceError)) {
		t.Errorf("%v", err)
	}
}

// TestCheckRegistries holds which settings name registries.
func TestCheckRegistries(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{
		"https://registry.internal": true, "http://127.0.0.1:5000": true, "https://[::1]:5000": true,
		"": false, "registry.internal": false, "https://": false, "https://a/": false, "https://a/b": false, "https://u@a": false, "https://a?x": false, "oci://a": false, "https://a#": false,
	} {
		if err := CheckRegistries([]string{value}); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
}
