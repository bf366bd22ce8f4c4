package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/oci"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

const (
	user, password = "ann", "a password"
	registryTries  = 5 // at ports that another process takes first
)

// registry is Debian's docker-registry.
type registry struct {
	dir     string
	address string
	ca      string // file
	trust   *x509.CertPool
	login   string // directory of docker's configuration
	kill    func() // ends the process, and returns when it has ended
}

// startRegistry starts one that wants a password, by TLS of a test's own authority or without TLS.
func startRegistry(t *testing.T, secure bool) *registry {
	t.Helper()
	return startRegistryAuth(t, secure, func(r *registry) string {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return "  htpasswd:\n    realm: test\n    path: " + r.write(t, "htpasswd", user+":"+string(hash)+"\n") + "\n"
	})
}

// startRegistryAuth starts one that asks who it is as its configuration says; "": nobody is asked.
func startRegistryAuth(t *testing.T, secure bool, auth func(*registry) string) *registry {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skipf("skipped: it needs Debian's docker-registry: %v", err)
	}
	r := &registry{dir: t.TempDir(), trust: x509.NewCertPool()}
	r.login = filepath.Join(r.dir, "login")
	certificates := ""
	if secure {
		r.ca = r.certify(t)
		certificates = fmt.Sprintf("  tls:\n    certificate: %s/cert.pem\n    key: %s/key.pem\n", r.dir, r.dir)
	}
	asks := auth(r)
	if asks != "" {
		asks = "auth:\n" + asks
	}
	for range registryTries {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r.address = listener.Addr().String()
		listener.Close()
		r.write(t, "config.yml", fmt.Sprintf("version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %s/data\nhttp:\n  addr: %s\n%s%s",
			r.dir, r.address, certificates, asks))
		said, serves := r.start(t, program)
		if serves {
			auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
			r.write(t, "login/config.json", fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.address, auth))
			return r
		}
		if !strings.Contains(said, "address already in use") {
			t.Fatalf("docker-registry ended:\n%s", said)
		}
	}
	t.Fatal("no free port")
	return nil
}

// start starts the process, and returns whether it takes connections, and what it said where it has ended.
func (r *registry) start(t *testing.T, program string) (string, bool) {
	t.Helper()
	command := exec.Command(program, "serve", filepath.Join(r.dir, "config.yml"))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		command.Wait() // what it said tells why
		close(ended)
	}()
	r.kill = func() {
		command.Process.Kill()
		<-ended
	}
	t.Cleanup(r.kill)
	if r.serves(ended) {
		return "", true
	}
	return said.String(), false
}

// serves waits until it takes connections, or has ended.
func (r *registry) serves(ended chan struct{}) bool {
	for {
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *registry) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// certify makes an authority and the registry's certificate.
func (r *registry) certify(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	r.trust.AppendCertsFromPEM(text)
	r.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	r.write(t, "trusted/ca.crt", string(text))
	return r.write(t, "cert.pem", string(text))
}

func (r *registry) reference(rest string, platform multiversion.Platform) engine.Reference {
	return engine.Reference{Where: engine.SchemeOCI + r.address + "/" + rest, Platform: string(platform), CAFile: r.ca, PlainHTTP: r.ca == ""}
}

// speak starts the program, with the password or without.
func (r *registry) speak(t *testing.T, known bool) *engine.Engine {
	t.Helper()
	login := r.login
	if !known {
		login = t.TempDir()
	}
	started, err := engine.Start(t.Context(), script(t, "env", "DOCKER_CONFIG="+login))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { started.Close() })
	return started
}

// binary is a release, in a file.
type binary struct {
	data   []byte
	path   string
	digest string
}

func newBinary(t *testing.T, platform multiversion.Platform) *binary {
	t.Helper()
	b := &binary{path: filepath.Join(t.TempDir(), "tigerbeetle")}
	b.data = testbin.Build(t, testbin.Spec{Platform: platform, Current: multiversion.NewRelease(0, 17, 8), Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, 7)}}})
	sum := sha256.Sum256(b.data)
	b.digest = hex.EncodeToString(sum[:])
	if err := os.WriteFile(b.path, b.data, 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *binary) push(ref engine.Reference) engine.Push {
	return engine.Push{
		Reference: ref, Path: b.path, Blob: engine.Blob{SHA256: b.digest, Size: int64(len(b.data))}, Version: "0.17.8",
		Created: "2026-01-02T03:04:05Z", Source: "https://example.com/release", Receipts: []byte("[]"),
	}
}

// bring imports what a reference names.
func bring(ctx context.Context, t *testing.T, from *engine.Engine, ref engine.Reference, d *depot.Depot, options release.Options) (shelf.Imports, error) {
	t.Helper()
	options.Platform = multiversion.Platform(ref.Platform)
	found, err := from.Resolve(ctx, ref)
	if err != nil {
		return shelf.Imports{}, err
	}
	artifact, err := from.Artifact(ref, found, options)
	if err != nil {
		t.Fatal(err)
	}
	return shelf.Import(ctx, d, shelf.Importing{Artifact: artifact, Source: artifact.Location, Who: "ann@host", Judge: func(report verify.Report) error {
		if !report.Ok {
			return fault.New(fault.Rejected, report.Diagnosis)
		}
		return nil
	}})
}

const linux, arm = multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux

// TestRegistry holds that what was pushed comes back byte for byte, for each platform, by its tag and by its digest, and that others' programs read it.
func TestRegistry(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, true)
	known := r.speak(t, true)
	files := map[multiversion.Platform]*binary{linux: newBinary(t, linux), arm: newBinary(t, arm)}
	if _, err := r.speak(t, false).Push(t.Context(), files[linux].push(r.reference("tb", linux))); err == nil || !strings.Contains(err.Error(), engine.ErrOCIDenied.Error()) {
		t.Errorf("without a password: %v", err)
	}
	var pushed engine.Pushed
	for _, platform := range []multiversion.Platform{linux, arm, linux} {
		var err error
		if pushed, err = known.Push(t.Context(), files[platform].push(r.reference("tb", platform))); err != nil {
			t.Fatal(err)
		}
	}
	if !pushed.Already {
		t.Error("what was there was pushed again")
	}
	for platform, file := range files {
		for where, kind := range map[string]release.EvidenceKind{"tb:0.17.8": release.EvidenceManifest, "tb@" + pushed.Index: release.EvidenceSHA256} {
			d := depot.Open(vfs.OS(), t.TempDir())
			for round := range 2 {
				result, err := bring(t.Context(), t, known, r.reference(where, platform), d, release.Options{Require: release.RequireDigest})
				if err != nil || result.Artifact.SHA256 != file.digest || result.Already != (round > 0) || round > 0 && result.Fetched.BytesFetched > 0 {
					t.Fatalf("%s for %s, round %d: %v, %+v", where, platform, round, err, result)
				}
				receipts := result.Artifact.Receipts
				if len(receipts) != 2 || receipts[0].Kind != string(kind) || receipts[1].Source != pushed.Place || receipts[1].Tag != "0.17.8" {
					t.Errorf("%s for %s: %+v", where, platform, receipts)
				}
			}
			if got, err := os.ReadFile(d.Path(file.digest)); err != nil || !bytes.Equal(got, file.data) {
				t.Errorf("%s for %s: %d bytes, %v", where, platform, len(got), err)
			}
		}
	}
	// A tag that moves to another release names nothing of the one before.
	for _, platform := range []multiversion.Platform{linux, arm} {
		if _, err := known.Push(t.Context(), files[platform].push(r.reference("tb:stable", platform))); err != nil {
			t.Fatal(err)
		}
	}
	next := files[linux].push(r.reference("tb:stable", linux))
	next.Version = "0.17.9"
	if _, err := known.Push(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if _, err := known.Resolve(t.Context(), r.reference("tb:stable", arm)); err == nil || !strings.Contains(err.Error(), string(arm)) {
		t.Errorf("a tag that has moved: %v", err)
	}
	for where, class := range map[string]fault.Class{"tb:none": fault.Failed, "tb@sha256:" + files[linux].digest: fault.Usage, "TB": fault.Usage, "tb@sha256:12": fault.Usage} {
		if _, err := known.Resolve(t.Context(), r.reference(where, linux)); fault.Of(err) != class {
			t.Errorf("%s: %v", where, err)
		}
	}
	if _, err := known.Resolve(t.Context(), r.reference("tb:0.17.8", multiversion.PlatformX86_64Windows)); err == nil || !strings.Contains(err.Error(), "x86_64-windows") {
		t.Errorf("a platform that is not there: %v", err)
	}
	untrusted := r.reference("tb:0.17.8", linux)
	untrusted.CAFile = ""
	if _, err := known.Resolve(t.Context(), untrusted); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.trust}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.address+"/v2/tb/blobs/sha256:"+files[linux].digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	request.Header.Set("Range", "bytes=5-14")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusPartialContent || !bytes.Equal(got, files[linux].data[5:15]) {
		t.Errorf("a part of the blob: status %d, %q, %v", response.StatusCode, got, err)
	}
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skipf("skipped: the rest needs Debian's skopeo: %v", err)
	}
	skopeo := func(words ...string) string {
		command := exec.CommandContext(t.Context(), "skopeo", words...)
		var said bytes.Buffer
		command.Stderr = &said
		output, err := command.Output()
		if err != nil {
			t.Errorf("skopeo %q: %v\n%s", words, err, &said)
		}
		return string(output)
	}
	trusted := filepath.Join(r.dir, "trusted")
	for place, want := range map[string]string{":0.17.8": pushed.Manifest, "@" + pushed.Manifest: files[linux].digest} {
		if output := skopeo("inspect", "--raw", "--creds", user+":"+password, "--cert-dir", trusted, "docker://"+r.address+"/tb"+place); !strings.Contains(output, want) || !strings.Contains(output, oci.ArtifactType) {
			t.Errorf("skopeo inspect --raw %s: %s", place, output)
		}
	}
	skopeo("copy", "--all", "--src-creds", user+":"+password, "--dest-creds", user+":"+password, "--src-cert-dir", trusted, "--dest-cert-dir", trusted,
		"docker://"+r.address+"/tb:0.17.8", "docker://"+r.address+"/copy:1")
	if copied, err := known.Resolve(t.Context(), r.reference("copy:1", linux)); err != nil || copied.Blob.SHA256 != files[linux].digest {
		t.Errorf("what skopeo copied: %+v, %v", copied, err)
	}
}

// TestTampered holds that what was changed in the registry is refused, by its name, and that nothing of it is stored or kept: a blob, a manifest
// and an index, of the same length and of another.
func TestTampered(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, false)
	known, file := r.speak(t, true), newBinary(t, linux)
	secure := r.reference("tb:0.17.8", linux)
	secure.PlainHTTP = false
	if _, err := known.Push(t.Context(), file.push(secure)); !errors.Is(err, engine.ErrPlain) {
		t.Errorf("it was pushed without TLS, and nobody asked for that: %v", err)
	}
	signed := file.push(r.reference("tb", linux))
	signed.Signature = "untrusted comment: x\nRWx\n"
	pushed, err := known.Push(t.Context(), signed)
	if err != nil {
		t.Fatal(err)
	}
	signature := sha256.Sum256([]byte(signed.Signature))
	for _, digest := range []string{file.digest, strings.TrimPrefix(pushed.Manifest, "sha256:"), strings.TrimPrefix(pushed.Index, "sha256:"), hex.EncodeToString(signature[:])} {
		name := "data/docker/registry/v2/blobs/sha256/" + digest[:2] + "/" + digest + "/data"
		good, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(good)
		flipped[len(flipped)/2] ^= 1
		for what, changed := range map[string][]byte{"flipped": flipped, "longer": append(bytes.Clone(good), ' '), "shorter": good[:len(good)-1]} {
			if what == "shorter" && good[0] == '{' {
				continue // the registry itself notices, and answers with an error
			}
			r.write(t, name, string(changed))
			cache := t.TempDir()
			d := depot.Open(vfs.OS(), t.TempDir())
			_, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache})
			if fault.Of(err) != fault.Rejected || !strings.Contains(err.Error(), digest) || !strings.Contains(err.Error(), r.address+"/tb") {
				t.Errorf("%s, %s: %v", digest, what, err)
			}
			if items, err := shelf.List(t.Context(), d); err != nil || len(items) != 0 {
				t.Errorf("stored: %+v, %v", items, err)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "oci", "*")); len(left) != 0 {
				t.Errorf("%s, %s: kept: %q", digest, what, left)
			}
		}
		r.write(t, name, string(good))
	}
	if _, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), depot.Open(vfs.OS(), t.TempDir()), release.Options{}); err != nil {
		t.Errorf("what is good again: %v", err)
	}
}

// TestRegistryRefuses holds that each reason why a registry is of no use is one of its own, at this end too.
func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, true)
	known, file := r.speak(t, true), newBinary(t, linux)
	pushed, err := known.Push(t.Context(), file.push(r.reference("tb", linux)))
	if err != nil || pushed.Before != "" {
		t.Fatalf("%+v, %v", pushed, err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	empty := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","artifactType":"` + oci.ArtifactType + `","manifests":[]}`
	var digest string
	lacking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case strings.HasSuffix(q.URL.Path, "/broken"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasSuffix(q.URL.Path, "/tags/list"):
			fmt.Fprint(w, `{"tags": ["0.17.8", "\u001b[31m", "stable"]}`)
		case strings.HasSuffix(q.URL.Path, "/empty"), digest != "" && strings.HasSuffix(q.URL.Path, digest):
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			w.Header().Set("Docker-Content-Digest", "sha256:"+digest)
			w.Header().Set("Content-Length", fmt.Sprint(len(empty)))
			fmt.Fprint(w, empty)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(lacking.Close)
	sum := sha256.Sum256([]byte(empty))
	digest = hex.EncodeToString(sum[:])
	at := func(rest string) engine.Reference {
		return engine.Reference{Where: "oci://" + strings.TrimPrefix(lacking.URL, "http://") + "/" + rest, Platform: string(linux), PlainHTTP: true}
	}
	untrusted, named, away := r.reference("tb:0.17.8", linux), r.reference("tb:0.17.8", linux), at("tb:0.17.8")
	untrusted.CAFile, named.CAFile = "", "/nowhere/ca.pem"
	away.Where = "oci://" + closed.Addr().String() + "/tb"
	secure := at("tb:0.17.8")
	secure.PlainHTTP = false
	for what, test := range map[string]struct {
		by    *engine.Engine
		ref   engine.Reference
		want  error
		class fault.Class
		text  string
	}{
		"no password":          {r.speak(t, false), r.reference("tb:0.17.8", linux), engine.ErrOCIDenied, fault.Failed, "docker login"},
		"an unknown authority": {known, untrusted, engine.ErrAuthority, fault.Failed, ""},
		"no file":              {known, named, engine.ErrCAFile, fault.Failed, "/nowhere/ca.pem"},
		"without TLS":          {known, secure, engine.ErrPlain, fault.Failed, ""},
		"nothing there":        {known, away, engine.ErrOCIAway, fault.Failed, "connection refused"},
		"an error of its own":  {known, at("tb:broken"), engine.ErrOCIAway, fault.Failed, "500"},
		"no tag is named":      {known, r.reference("tb", linux), engine.ErrOCIMissing, fault.Failed, "no tag latest, which is meant where none is named; it has 0.17.8"},
		"tags":                 {known, at("tb:other"), engine.ErrOCIMissing, fault.Failed, "no tag other; it has 0.17.8, stable"},
		"no platform":          {known, at("tb:empty"), engine.ErrOCI, fault.Rejected, "empty"},
		"another platform":     {known, r.reference("tb:0.17.8", arm), engine.ErrOCIMissing, fault.Failed, "for aarch64-linux: it has x86_64-linux"},
		"the executable's":     {known, r.reference("tb@sha256:"+file.digest, linux), engine.ErrOCIDigest, fault.Usage, ""},
		"capitals":             {known, r.reference("TB/x:0.17.8", linux), engine.ErrOCIReference, fault.Usage, "small letters: oci://" + r.address + "/tb/x"},
	} {
		_, err := test.by.Resolve(t.Context(), test.ref)
		if !errors.Is(err, test.want) || fault.Of(err) != test.class || !strings.Contains(err.Error(), test.text) || strings.Count(err.Error(), test.ref.Where) != 1 && what != "capitals" || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTagMoves holds that a push says what its tag named before, and that one that comes between is not lost.
func TestTagMoves(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, false)
	files := map[multiversion.Platform]*binary{linux: newBinary(t, linux), arm: newBinary(t, arm)}
	known := r.speak(t, true)
	first, err := known.Push(t.Context(), files[linux].push(r.reference("tb:stable", linux)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := known.Push(t.Context(), files[linux].push(r.reference("tb:stable", linux)))
	if err != nil || again.Index != first.Index || again.Before != "" {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	other := files[linux].push(r.reference("tb:stable", linux))
	other.Receipts = []byte(`[{}]`)
	moved, err := known.Push(t.Context(), other)
	if err != nil || moved.Index == first.Index || moved.Before != first.Index || moved.BeforeVersion != "0.17.8" {
		t.Errorf("other receipts: %+v, %v", moved, err)
	}

	// In front of the registry one waits for the second question what the tag names, and lets another push come first.
	target, err := url.Parse("http://" + r.address)
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	between := func(times int) (engine.Pushed, error) {
		asked := 0
		proxy := httputil.NewSingleHostReverseProxy(target)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodHead && strings.HasSuffix(q.URL.Path, "/manifests/both") {
				if asked++; asked%2 == 0 && asked <= 2*times {
					number++
					push := files[linux].push(r.reference("tb:both", linux))
					push.Receipts = fmt.Appendf(nil, "[%d]", number)
					if _, err := known.Push(t.Context(), push); err != nil {
						t.Error(err)
					}
				}
			}
			q.SetBasicAuth(user, password)
			proxy.ServeHTTP(w, q)
		}))
		defer server.Close()
		ref := r.reference("tb:both", arm)
		ref.Where = "oci://" + strings.TrimPrefix(server.URL, "http://") + "/tb:both"
		return known.Push(t.Context(), files[arm].push(ref))
	}
	if _, err := between(1); err != nil {
		t.Fatal(err)
	}
	for platform, file := range files {
		if found, err := known.Resolve(t.Context(), r.reference("tb:both", platform)); err != nil || found.Blob.SHA256 != file.digest {
			t.Errorf("%s: %+v, %v", platform, found, err)
		}
	}
	if _, err := between(10); !errors.Is(err, engine.ErrOCIMoved) || fault.Of(err) != fault.Busy {
		t.Errorf("one that always comes first: %v", err)
	}
}

// TestResumed holds that an import that ended in the middle goes on where it was.
func TestResumed(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, false)
	known, file := r.speak(t, true), newBinary(t, linux)
	if _, err := known.Push(t.Context(), file.push(r.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	cache, d := t.TempDir(), depot.Open(vfs.OS(), t.TempDir())
	begun, cancel := context.WithCancel(t.Context())
	_, err := bring(begun, t, known, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache, Progress: func(p release.Progress) {
		if p.Done > 0 {
			cancel()
		}
	}})
	if fault.Of(err) != fault.Interrupted {
		t.Fatalf("%v", err)
	}
	result, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache})
	fetched := result.Fetched
	if err != nil || result.Artifact.SHA256 != file.digest || fetched.BytesResumed == 0 || fetched.BytesResumed+fetched.BytesFetched != int64(len(file.data)) {
		t.Errorf("%v, %+v", err, fetched)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "oci", "*")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
}

// TestRegistryKilled kills the registry in the middle of a blob: the import fails, and the next one goes on with what came.
func TestRegistryKilled(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, true)
	known, file := r.speak(t, true), newLargeBinary(t)
	if _, err := known.Push(t.Context(), file.push(r.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	cache, d := t.TempDir(), depot.Open(vfs.OS(), t.TempDir())
	var once sync.Once
	killing := func(p release.Progress) {
		if p.Done > 0 {
			once.Do(r.kill)
		}
	}
	retry := release.Retry{Attempts: 1, AttemptsMax: 1}
	_, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache, Progress: killing, Retry: retry})
	if fault.Of(err) != fault.Failed {
		t.Fatalf("%v", err)
	}
	if items, err := shelf.List(t.Context(), d); err != nil || len(items) != 0 {
		t.Errorf("stored: %+v, %v", items, err)
	}
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Fatal(err)
	}
	if said, serves := r.start(t, program); !serves && strings.Contains(said, "address already in use") {
		t.Skip("skipped: another process has taken its port meanwhile")
	} else if !serves {
		t.Fatal(said)
	}
	result, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache})
	if fetched := result.Fetched; err != nil || fetched.BytesResumed == 0 || fetched.BytesResumed+fetched.BytesFetched != int64(len(file.data)) {
		t.Fatalf("%v, %+v", err, fetched)
	}
	if got, err := os.ReadFile(d.Path(file.digest)); err != nil || !bytes.Equal(got, file.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
