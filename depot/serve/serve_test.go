package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// put stores bytes and returns their digest.
func put(t *testing.T, d *depot.Depot, data []byte) string {
	t.Helper()
	w, err := d.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	artifact, err := w.Commit(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return artifact.SHA256
}

type world struct {
	depot  *depot.Depot
	server *serve.Server
	web    *httptest.Server
	binary []byte
	digest string
}

func newWorld(t *testing.T, change func(*serve.Server)) *world {
	t.Helper()
	d := depot.Open(vfs.OS(), t.TempDir())
	w := &world{depot: d, server: &serve.Server{Depot: d}, binary: testbin.Build(t, testbin.Spec{})}
	w.digest = put(t, d, w.binary)
	if change != nil {
		change(w.server)
	}
	w.web = httptest.NewServer(w.server.Handler())
	t.Cleanup(w.web.Close)
	return w
}

type got struct {
	*http.Response

	body []byte
}

func (w *world) ask(t *testing.T, method, path string, header ...string) got {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for index := 0; index < len(header); index += 2 {
		request.Header.Set(header[index], header[index+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{answer, body}
}

func digestHeader(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func TestArtifact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path, etag := "/sha256/"+w.digest, `"sha256-`+w.digest+`"`
	whole := w.ask(t, http.MethodGet, path)
	if whole.StatusCode != http.StatusOK || !bytes.Equal(whole.body, w.binary) {
		t.Errorf("%s, %d bytes", whole.Status, len(whole.body))
	}
	for name, want := range map[string]string{
		"ETag": etag, "Content-Digest": digestHeader(w.binary), "Repr-Digest": digestHeader(w.binary), "Accept-Ranges": "bytes",
		"Cache-Control": "public, max-age=31536000, immutable", "Content-Length": fmt.Sprint(len(w.binary)),
	} {
		if found := whole.Header.Get(name); found != want {
			t.Errorf("%s: %q, want %q", name, found, want)
		}
	}
	head := w.ask(t, http.MethodHead, path)
	if head.StatusCode != http.StatusOK || len(head.body) > 0 || head.Header.Get("ETag") != etag || head.ContentLength != int64(len(w.binary)) {
		t.Errorf("HEAD: %s, %d bytes, %v", head.Status, len(head.body), head.Header)
	}
	size := len(w.binary)
	many := strings.TrimSuffix(strings.Repeat("0-0,", serve.RangesMax+1), ",")
	for _, test := range []struct {
		header string
		status int
		from   int
		to     int // behind the last
	}{
		{"bytes=0-0", 206, 0, 1}, {"bytes=10-", 206, 10, size}, {"bytes=-5", 206, size - 5, size}, {fmt.Sprintf("bytes=10-%d", size+1000), 206, 10, size},
		{fmt.Sprintf("bytes=-%d", size+5), 206, 0, size}, {"bytes=9223372036854775807-", 416, 0, 0}, {"bytes=5-2", 416, 0, 0}, {fmt.Sprintf("bytes=%d-", size), 416, 0, 0},
		{"bytes=" + many, 416, 0, 0}, {"bytes=0-10,5-20", 416, 0, 0}, {"bytes=0-,0-", 416, 0, 0}, {"bytes=0-9,-" + fmt.Sprint(size), 416, 0, 0},
		{"bytes=a-b", 416, 0, 0}, {"bytes=--5", 416, 0, 0}, {"lines=1-2", 416, 0, 0},
	} {
		part := w.ask(t, http.MethodGet, path, "Range", test.header)
		if part.StatusCode != test.status {
			t.Errorf("%s: %s, want %d", test.header, part.Status, test.status)
			continue
		}
		if test.status == 206 && !bytes.Equal(part.body, w.binary[test.from:test.to]) {
			t.Errorf("%s: %d bytes", test.header, len(part.body))
		}
		if part.Header.Get("Content-Digest") != "" || test.status == 206 && part.Header.Get("Repr-Digest") == "" {
			t.Errorf("%s: the digest of a part: %v", test.header, part.Header)
		}
	}
	if two := w.ask(t, http.MethodGet, path, "Range", "bytes=0-3,10-12"); two.StatusCode != 206 || !strings.HasPrefix(two.Header.Get("Content-Type"), "multipart/byteranges") {
		t.Errorf("two ranges: %s %v", two.Status, two.Header)
	}
	if same := w.ask(t, http.MethodGet, path, "Range", "bytes=0-3", "If-Range", etag); same.StatusCode != 206 || string(same.body) != string(w.binary[:4]) {
		t.Errorf("If-Range with its ETag: %s", same.Status)
	}
	for _, other := range []string{`"sha256-` + strings.Repeat("0", 64) + `"`, "W/" + etag, "Thu, 01 Jan 2026 00:00:00 GMT"} {
		if whole := w.ask(t, http.MethodGet, path, "Range", "bytes=0-3", "If-Range", other); whole.StatusCode != 200 || !bytes.Equal(whole.body, w.binary) {
			t.Errorf("If-Range %s: %s, %d bytes", other, whole.Status, len(whole.body))
		}
	}
	if known := w.ask(t, http.MethodGet, path, "If-None-Match", etag); known.StatusCode != http.StatusNotModified || len(known.body) > 0 {
		t.Errorf("If-None-Match: %s", known.Status)
	}
}

// TestRefused holds that nothing else can be asked for, and that it is counted.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := "/sha256/" + w.digest
	for _, method := range []string{"PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"} {
		if got := w.raw(t, method+" "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"); !strings.HasPrefix(got, "HTTP/1.1 405 ") || !strings.Contains(got, "Allow: GET, HEAD\r\n") {
			t.Errorf("%s: %.200q", method, got)
		}
	}
	if counters := w.server.Counters(); counters.WrongMethod != 8 {
		t.Errorf("%+v", counters)
	}
	secret := filepath.Join(filepath.Dir(w.depot.Path("")), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := []string{
		"/", "//", "/sha256", "/sha256/../secret", "/sha256/..%2fsecret", "/sha256/.lock", path + "/", path + ".receipts", path + "/..", "/./sha256/" + w.digest, "/sha256//" + w.digest,
		"/sha256/" + strings.ToUpper(w.digest), "/sha256/%" + fmt.Sprintf("%x", w.digest[0]) + w.digest[1:], "/%73ha256/" + w.digest, "/sha256/" + w.digest[:63], "/" + w.digest, "/latest/tigerbeetle-x86_64-linux.zip",
		"/0.17.1/", "/0.17.1/../secret", "/0.17.1/x/SHA256SUMS", "/9.9.9/SHA256SUMS", "/9.9.9/" + release.AssetName(release.Platforms()[0], false) + ".sha256", "/v1/store", path + "%00",
	}
	for _, path := range paths {
		if got := w.raw(t, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 404 ") || strings.Contains(got, "secret\n") {
			t.Errorf("%s: %.200q", path, got)
		}
	}
	if counters := w.server.Counters(); counters.NotFound != int64(len(paths)) {
		t.Errorf("%d asked, %+v", len(paths), counters)
	}
	if err := w.depot.Check(t.Context(), w.digest); err != nil {
		t.Error(err)
	}
}

// raw sends bytes and returns what comes until the other end closes.
func (w *world) raw(t *testing.T, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", w.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

func TestToken(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	w := newWorld(t, func(s *serve.Server) { s.Token = token })
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("any:"+password))
	}
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer " + token + "x": 401, "Bearer " + token[:15]: 401, token: 401, basic("x"): 401, "Bearer " + token: 200, basic(token): 200,
	} {
		for _, path := range []string{"/sha256/", "/sha256/" + w.digest} {
			got := w.ask(t, http.MethodGet, path, "Authorization", header)
			if got.StatusCode != want || want == 401 && got.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%q: %s", header, got.Status)
			}
			if strings.Contains(got.Header.Get("Cache-Control"), "public") {
				t.Errorf("%q: others may keep it: %s", header, got.Header.Get("Cache-Control"))
			}
		}
	}
	if got := w.ask(t, http.MethodDelete, "/sha256/"+w.digest); got.StatusCode != 401 {
		t.Errorf("without a token it is told what there is: %s", got.Status)
	}
	if counters := w.server.Counters(); counters.Unauthorized != 15 {
		t.Errorf("%+v", counters)
	}
}

// TestMirror fetches from the server as from a mirror.
func TestMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	binary, err := multiversion.Parse(bytes.NewReader(w.binary), int64(len(w.binary)))
	if err != nil {
		t.Fatal(err)
	}
	tag, asset := binary.Current().String(), release.AssetName(binary.Platform(), false)
	sums := w.ask(t, http.MethodGet, "/"+tag+"/SHA256SUMS")
	if want := w.digest + "  " + asset + "\n"; sums.StatusCode != 200 || string(sums.body) != want {
		t.Errorf("%s %q, want %q", sums.Status, sums.body, want)
	}
	if own := w.ask(t, http.MethodGet, "/"+tag+"/"+asset+".sha256"); own.StatusCode != 200 || string(own.body) != string(sums.body) {
		t.Errorf("%s %q", own.Status, own.body)
	}
	artifact, err := release.Resolve(t.Context(), tag, release.Options{Mirror: w.web.URL, Platform: binary.Platform(), Require: release.RequireDigest})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	fetched, err := artifact.Fetch(t.Context(), &out)
	if err != nil || !bytes.Equal(out.Bytes(), w.binary) || !fetched.Trusted || fetched.Validator != `"sha256-`+w.digest+`"` {
		t.Errorf("%v, %d bytes, %+v", err, out.Len(), fetched)
	}
	listed, err := release.List(t.Context(), release.Options{Mirror: w.web.URL + "/{tag}/{asset}"})
	if err != nil || listed.Source != release.SourceMirror || len(listed.Releases) != 1 || string(listed.Releases[0].Tag) != tag || len(listed.Releases[0].Assets) != 1 {
		t.Errorf("%+v, %v", listed, err)
	} else if found := listed.Releases[0].Assets[0]; found.Name != asset || found.SHA256 != w.digest || found.Size != int64(len(w.binary)) {
		t.Errorf("%+v", found)
	}
	var listing serve.Listing
	if err := json.Unmarshal(w.ask(t, http.MethodGet, "/sha256/").body, &listing); err != nil || len(listing.Artifacts) != 1 || listing.Artifacts[0].SHA256 != w.digest || listing.Artifacts[0].Release != binary.Current() {
		t.Errorf("%+v, %v", listing, err)
	}
	// Of a release that two artifacts are of, none is chosen.
	other := put(t, w.depot, testbin.Build(t, testbin.Spec{Seed: 7}))
	if got := w.ask(t, http.MethodGet, "/"+tag+"/"+asset); got.StatusCode != http.StatusConflict || !strings.Contains(string(got.body), other) || !strings.Contains(string(got.body), w.digest) {
		t.Errorf("two of one release: %s %s", got.Status, got.body)
	}
}

// TestChanged holds that what changed is not given, also when it changes while the server runs, and that it is
// given again when it is there again.
func TestChanged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	w := newWorld(t, func(s *serve.Server) {
		s.Tell = func(text string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, text)
		}
	})
	path := "/sha256/" + w.digest
	for round := range 2 {
		if got := w.ask(t, http.MethodGet, path); got.StatusCode != 200 {
			t.Fatalf("round %d: %s", round, got.Status)
		}
		damaged := bytes.Clone(w.binary)
		damaged[len(damaged)/2] ^= 1
		if err := os.WriteFile(w.depot.Path(w.digest), damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := w.ask(t, http.MethodGet, path); got.StatusCode != http.StatusNotFound || got.Header.Get("ETag") != "" || got.Header.Get("Cache-Control") != "" {
			t.Errorf("round %d: what has changed: %s %v", round, got.Status, got.Header)
		}
		if got := w.ask(t, http.MethodHead, path); got.StatusCode != http.StatusNotFound {
			t.Errorf("round %d: then: %s", round, got.Status)
		}
		if counters := w.server.Counters(); counters.Changed != int64(round+1) {
			t.Errorf("%+v", counters)
		}
		if digest := put(t, w.depot, w.binary); digest != w.digest {
			t.Fatal(digest)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 2 || !strings.Contains(told[0], "set aside as "+w.digest+".damaged-0") {
		t.Errorf("told %q", told)
	}
}

// TestFlood holds that more requests than are answered at once wait, and are then sent away, and that the ones before them are answered.
func TestFlood(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	large := bytes.Repeat([]byte("an artifact that no socket's buffer takes"), 1<<20)
	digest := put(t, d, large)
	server := &serve.Server{Depot: d, RequestsMax: 2, Wait: time.Millisecond}
	web := httptest.NewServer(server.Handler())
	defer web.Close()
	var slow []net.Conn
	for range 2 { // which read the beginning and no more
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /sha256/%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", digest)
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	answer, err := http.Get(web.URL + "/sha256/" + digest)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || server.Counters().Busy != 1 {
		t.Errorf("%s, %+v", answer.Status, server.Counters())
	}
	for _, conn := range slow {
		response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader("H"), conn)), nil)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, response.Body); err != nil || hex.EncodeToString(sum.Sum(nil)) != digest {
			t.Errorf("the one before: %v", err)
		}
		response.Body.Close()
	}
}

// TestSlow holds that who takes nothing is cut, and has no place any more.
func TestSlow(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	digest := put(t, d, bytes.Repeat([]byte("an artifact that no socket's buffer takes"), 1<<20))
	server := &serve.Server{Depot: d, RequestsMax: 1, Idle: time.Second, Wait: time.Minute}
	web := httptest.NewServer(server.Handler())
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /sha256/%s HTTP/1.1\r\nHost: h\r\n\r\n", digest)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it has the only place
		t.Fatal(err)
	}
	answer, err := http.Head(web.URL + "/sha256/" + digest) // which waits for it
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if counters := server.Counters(); answer.StatusCode != http.StatusOK || counters.Cut != 1 {
		t.Errorf("%s, %+v", answer.Status, counters)
	}
}

// TestConnections holds that more connections than are wanted wait until there is a place, and that the server ends though
// they are there.
func TestConnections(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	digest := put(t, d, []byte("an artifact"))
	server := &serve.Server{Depot: d, ConnectionsMax: 2}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	idle := []net.Conn{dial(), dial()} // they say nothing, and have the places
	waits := dial()
	fmt.Fprintf(waits, "HEAD /sha256/%s HTTP/1.1\r\nHost: h\r\n\r\n", digest)
	answered := make(chan error, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(waits), nil)
		if err == nil && response.StatusCode != 200 {
			err = fmt.Errorf("%s", response.Status)
		}
		answered <- err
	}()
	if requests := server.Counters().Requests; requests > 0 {
		t.Errorf("%d requests before there is a place", requests)
	}
	idle[0].Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
