package release

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestPrivateCA(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(zip) }))
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	f, _, err := fetch(t, s.URL+"/x.zip", Options{})
	if err == nil || f.Attempts != 1 {
		t.Fatalf("an unknown authority: %+v, %v", f, err)
	}
	directory := t.TempDir()
	ca := filepath.Join(directory, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	_, b, err := fetch(t, s.URL+"/x.zip", Options{CAFile: ca})
	if err != nil || !bytes.Equal(b, executable) {
		t.Errorf("with its certificate: %v", err)
	}
	for name, content := range map[string]string{"empty": "", "text": "no certificate"} {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := fetch(t, s.URL+"/x.zip", Options{CAFile: path}); !errors.Is(err, ErrOption) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := fetch(t, s.URL+"/x.zip", Options{CAFile: filepath.Join(directory, "none")}); !errors.Is(err, ErrOption) {
		t.Errorf("none: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	var seen atomic.Pointer[http.Request]
	elsewhere := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Clone(r.Context()))
		w.Write(zip)
	})
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/plain.zip", http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Clone(r.Context()))
		switch r.URL.Path {
		case "/loop.zip":
			http.Redirect(w, r, "/loop.zip", http.StatusFound)
		case "/other.zip":
			http.Redirect(w, r, elsewhere.URL+"/there.zip?signature=secret", http.StatusFound)
		case "/same.zip":
			http.Redirect(w, r, "/here.zip", http.StatusFound)
		case "/ftp.zip":
			http.Redirect(w, r, "ftp://"+r.Host+"/x.zip", http.StatusFound)
		default:
			w.Write(zip)
		}
	})
	withUser := strings.Replace(s.URL, "://", "://user:pass@", 1)

	f, b, err := fetch(t, withUser+"/other.zip?key=secret", Options{})
	if err != nil || !bytes.Equal(b, executable) {
		t.Fatal(err)
	}
	if r := seen.Load(); r.Header.Get("Authorization") != "" || r.Header.Get("Referer") != "" || r.URL.RawQuery != "signature=secret" {
		t.Errorf("another host was told %v", r.Header)
	}
	if f.FinalURL != elsewhere.URL+"/there.zip" || f.Location != s.URL+"/other.zip" {
		t.Errorf("location %q, final %q", f.Location, f.FinalURL)
	}
	if _, _, err := fetch(t, withUser+"/same.zip", Options{}); err != nil {
		t.Fatal(err)
	}
	if user, pass, _ := seen.Load().BasicAuth(); user != "user" || pass != "pass" {
		t.Errorf("the same host was told %q %q", user, pass)
	}
	if r := seen.Load(); r.UserAgent() != "tbctl" || r.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("headers %v", r.Header)
	}
	for _, path := range []string{"/loop.zip", "/ftp.zip"} {
		if f, _, err := fetch(t, s.URL+path, Options{}); !errors.Is(err, ErrRedirect) || f.Attempts != 1 {
			t.Errorf("%s: %+v, %v", path, f, err)
		}
	}
	if f, _, err := fetch(t, secure.URL+"/x.zip", Options{Transport: secure.Client().Transport}); !errors.Is(err, ErrRedirect) || f.Attempts != 1 {
		t.Errorf("from https to http: %+v, %v", f, err)
	}
}

// TestErrorsTellNoSecrets looks at every error and result for what stood in the URL.
func TestErrorsTellNoSecrets(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/away.zip") {
			http.Redirect(w, r, "http://"+closed+"/x?signature=hunter2", http.StatusFound)
			return
		}
		http.Error(w, "no", http.StatusForbidden)
	})
	for _, host := range []string{closed, strings.TrimPrefix(s.URL, "http://")} {
		for _, path := range []string{"/x.zip", "/away.zip"} {
			f, _, err := fetch(t, "http://hunter2:hunter2@"+host+path+"?token=hunter2#hunter2", Options{CacheDir: newCache(t)})
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", path, err)
			}
			if equalJSON(t, f, nil) || strings.Contains(asJSON(t, f), "hunter2") {
				t.Errorf("%s: %s", path, asJSON(t, f))
			}
		}
	}
	for _, arg := range []string{"ftp://hunter2@host/", "http://hunter2:%zz@host/", "http:///hunter2"} {
		if _, err := resolve(arg, Options{Platform: LinuxX86_64}); !errors.Is(err, ErrOption) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

// TestStrangers names what is served in place of a release.
func TestStrangers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<!DOCTYPE html><title>Sign in</title>": "html", `<?xml version="1.0"?><Error/>`: "xml", `{"message":"x"}`: "json",
		"\x1f\x8b\x08": "gzip", "": "empty", "not found\n": "text", "#!/bin/sh\n": "script", "\x00\x01": "unknown",
	} {
		s := httpServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/zip; charset=x")
			io.WriteString(w, text)
		})
		_, b, err := fetch(t, s.URL+"/x.zip", Options{CacheDir: newCache(t)})
		var kind *KindError
		if !errors.As(err, &kind) || string(kind.Kind) != want || kind.ContentType != "application/zip; charset=x" || len(b) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]*file{"/releases/tag/0.17.8": {data: []byte("a page")}})
	for tag, want := range map[string]string{
		"0.17.8": "release 0.17.8 exists, but has no tigerbeetle-aarch64-linux.zip", "0.17.9": "there is no release 0.17.9",
		"latest": "the newest release has no tigerbeetle-aarch64-linux.zip",
	} {
		_, _, err := fetch(t, tag, Options{BaseURL: s.URL, Platform: LinuxAArch64})
		if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", tag, err)
		}
	}
}

// TestProxy runs itself again with a proxy in the environment, which net/http reads only once. The
// host behind it does not exist: only the proxy can have answered.
func TestProxy(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	var asked atomic.Int32
	proxy := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method == http.MethodConnect {
			http.Error(w, "not from here", http.StatusProxyAuthRequired)
			return
		}
		if r.URL.String() != "http://mirror.invalid/0.17.8/tigerbeetle-x86_64-linux.zip" {
			http.NotFound(w, r)
			return
		}
		w.Write(zip)
	})
	run := func(mirror string) string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProxyChild$", "-test.v")
		cmd.Env = append(os.Environ(), "RELEASE_TEST_MIRROR="+mirror, "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=direct.invalid")
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if out := run("http://mirror.invalid/{tag}/{asset}"); !strings.Contains(out, "fetched "+sumOf(executable)) {
		t.Errorf("http: %s", out)
	}
	if out := run("https://mirror.invalid/{tag}/{asset}"); !strings.Contains(out, "407") || !strings.Contains(out, "the proxy wants credentials") {
		t.Errorf("https: %s", out)
	}
	before := asked.Load()
	if out := run("http://direct.invalid/{tag}/{asset}"); asked.Load() != before || strings.Contains(out, "fetched") {
		t.Errorf("NO_PROXY: %s", out)
	}
}

func TestProxyChild(t *testing.T) {
	mirror := os.Getenv("RELEASE_TEST_MIRROR")
	if mirror == "" {
		t.Skip("this is the other half of TestProxy, which runs it")
	}
	f, _, err := fetch(t, "0.17.8", Options{Mirror: mirror})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("fetched %s", f.ExecutableSHA256)
}
