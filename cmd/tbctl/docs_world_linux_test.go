package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// docsChains are the releases in the documents' world. Each is packed with what the
// one before it holds, as upstream does it; the first has a past of its own.
var docsChains = [][]string{
	{"0.15.4"}, {"0.16.60"}, {"0.17.6", "0.17.7", "0.17.8", "0.17.9"},
}

const (
	docsAsset  = "tigerbeetle-x86_64-linux.zip"
	docsGitHub = "https://github.com/tigerbeetle/tigerbeetle"
	docsMirror = "https://mirror.internal"
)

// docsWorld is what all sandboxes share: the releases and the server.
type docsWorld struct {
	dir    string // mirror/TAG/ASSET, plain executables, damaged files
	url    string
	key    string // the public key file
	binary map[string][]byte
}

// docsStores are where the documents' stores of artifacts are on the server.
var docsStores = map[string]string{
	"https://artifactory.internal/artifactory/tigerbeetle": "/artifactory",
	"https://nexus.internal/repository/tigerbeetle":        "/nexus",
	"https://tb.s3.eu-central-1.amazonaws.com":             "/bucket",
}

// serveStore answers as a store does that wants credentials, or makes the file of a checksum itself.
func (w *docsWorld) serveStore(answer http.ResponseWriter, request *http.Request) {
	store, path, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	user, password, _ := request.BasicAuth()
	name := filepath.Join(w.dir, "mirror", filepath.Clean("/"+path))
	asset, sidecar := strings.CutSuffix(name, ".sha256")
	switch {
	case store == "artifactory" && request.Header.Get("Authorization") != "Bearer t0ken",
		store == "nexus" && (user != "tbctl" || password != "s3cret"),
		store == "s3" && request.URL.RawQuery != "X-Amz-Signature=s3cret":
		http.Error(answer, "", http.StatusUnauthorized)
	case store == "artifactory" && filepath.Base(name) == "SHA256SUMS":
		http.NotFound(answer, request)
	case store == "artifactory" && sidecar:
		data, err := os.ReadFile(asset)
		if err != nil {
			http.NotFound(answer, request)
			return
		}
		fmt.Fprintf(answer, "%x", sha256.Sum256(data))
	default:
		http.ServeFile(answer, request, name)
	}
}

func newDocsWorld(t *testing.T) *docsWorld {
	t.Helper()
	w := &docsWorld{dir: t.TempDir(), binary: make(map[string][]byte)}
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.key = filepath.Join(w.dir, "release.pub")
	writeDoc(t, w.key, []byte("untrusted comment: key of the documents\n"+public.String()+"\n"), 0o644)
	for _, chain := range docsChains {
		var before []byte
		for _, tag := range chain {
			before = docsBinary(t, tag, before)
			w.publish(t, tag, before, private)
		}
	}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// docsBinary builds a release on top of the one before.
func docsBinary(t *testing.T, tag string, before []byte) []byte {
	t.Helper()
	current := testbin.Release(tag)
	if before == nil {
		past := current - 1
		return standin.Binary(t, tag, past.String())
	}
	return testbin.Build(t, testbin.Spec{
		Platform: multiversion.PlatformX86_64Linux, Current: current, Executable: standin.Executable(t, current), From: before,
	})
}

// publish puts a release on the server.
func (w *docsWorld) publish(t *testing.T, tag string, data []byte, private minisign.PrivateKey) {
	t.Helper()
	w.binary[tag] = data
	archive := zipOf(t, data)
	sum := sha256.Sum256(archive)
	place := filepath.Join(w.dir, "mirror", tag)
	writeDoc(t, filepath.Join(place, docsAsset), archive, 0o644)
	writeDoc(t, filepath.Join(place, "SHA256SUMS"), fmt.Appendf(nil, "%x  %s\n", sum, docsAsset), 0o644)
	message := minisign.NewReader(bytes.NewReader(archive)) // hashes first, as minisign does by default
	if _, err := io.Copy(io.Discard, message); err != nil {
		t.Fatal(err)
	}
	writeDoc(t, filepath.Join(place, docsAsset+".minisig"), message.Sign(private), 0o644)
}

// zipOf makes a release archive as upstream does, but of deflate's stored blocks: the scripts read
// archives whose blocks are compressed, and each of some fifty commands here would inflate as much again.
func zipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	writer.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.NoCompression) })
	header := &zip.FileHeader{Name: "tigerbeetle", Method: zip.Deflate}
	header.SetMode(0o755)
	entry, err := writer.CreateHeader(header)
	if err == nil {
		_, err = entry.Write(data)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// ServeHTTP answers as GitHub's downloads, as its API, and as a mirror do.
func (w *docsWorld) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	path := request.URL.Path
	switch {
	case strings.HasPrefix(path, "/api/"):
		w.serveAPI(answer, strings.TrimPrefix(path, "/api"))
	case strings.HasPrefix(path, "/github/releases/latest/download/"):
		http.Redirect(answer, request, "/github/releases/download/0.17.9/"+filepath.Base(path), http.StatusFound)
	case strings.HasPrefix(path, "/github/releases/download/"):
		tag := filepath.Base(filepath.Dir(path))
		if strings.HasSuffix(path, docsAsset) { // SHA256SUMS and signatures are the mirror's
			http.ServeFile(answer, request, filepath.Join(w.dir, "mirror", tag, docsAsset))
			return
		}
		http.NotFound(answer, request)
	case strings.HasPrefix(path, "/mirror/login/"):
		answer.Header().Set("Content-Type", "text/html")
		fmt.Fprint(answer, "<!DOCTYPE html><html><body>Please log in</body></html>")
	case strings.HasPrefix(path, "/artifactory/"), strings.HasPrefix(path, "/nexus/"), strings.HasPrefix(path, "/s3/"), strings.HasPrefix(path, "/bucket/"):
		w.serveStore(answer, request)
	default:
		http.StripPrefix("/mirror", http.FileServer(http.Dir(filepath.Join(w.dir, "mirror")))).ServeHTTP(answer, request)
	}
}

func (w *docsWorld) serveAPI(answer http.ResponseWriter, path string) {
	release := func(tag string) map[string]any {
		return map[string]any{
			"tag_name": tag, "published_at": "2026-01-02T03:04:05Z",
			"assets": []map[string]any{{"name": docsAsset, "size": 1, "digest": nil}},
		}
	}
	switch {
	case path == "/releases":
		_ = json.NewEncoder(answer).Encode([]any{release("0.17.9"), release("0.17.8"), release("0.17.7"), release("0.17.6"), release("0.16.60")})
	case path == "/releases/latest":
		_ = json.NewEncoder(answer).Encode(release("0.17.9"))
	case strings.HasPrefix(path, "/releases/tags/"):
		_ = json.NewEncoder(answer).Encode(release(filepath.Base(path)))
	default:
		http.Error(answer, "no such thing", http.StatusNotFound)
	}
}

func writeDoc(t *testing.T, name string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	// A process that another test starts meanwhile would have the file open for
	// writing for a moment, and then nobody could execute it.
	syscall.ForkLock.RLock()
	err := os.WriteFile(name, data, mode)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Chmod(name, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
