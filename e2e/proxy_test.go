//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A proxy is a running tinyproxy.
type proxy struct {
	t       *testing.T
	url     string
	log     string
	process *process
}

// startProxy runs tinyproxy with more lines of configuration.
func startProxy(t *testing.T, config string) *proxy {
	t.Helper()
	require(t, "tinyproxy")
	dir, port := t.TempDir(), freePort()
	p := &proxy{t: t, url: "http://proxy.test:" + port, log: filepath.Join(dir, "log")}
	file := filepath.Join(dir, "tinyproxy.conf")
	text := "User root\nGroup root\nPort " + port + "\nListen " + publicIP + "\nTimeout 60\nMaxClients 50\nLogLevel Connect\nLogFile \"" + p.log + "\"\n" + config + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.process = startProcess(t, exec.Command("tinyproxy", "-d", "-c", file), publicIP+":"+port)
	return p
}

// count is how many requests of a kind it got.
func (p *proxy) count(request string) int {
	p.t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Count(string(data), request)
}

func TestProxy(t *testing.T) {
	t.Parallel()
	require(t, "nginx", "tinyproxy")
	b := fixtures(t)
	authority := newCA(t, "mirror.test")
	plain, secure := freePort(), freePort()
	s := startNginx(t, "server { listen "+publicIP+":"+plain+"; } server { listen "+publicIP+":"+secure+" ssl; "+authority.tlsConfig+" }", publicIP+":"+plain, publicIP+":"+secure)
	s.serve("/tigerbeetle.zip", b.next.zip)
	s.serve("/SHA256SUMS", []byte(sum(b.next.zip)+"  tigerbeetle.zip\n"))
	plainURL, secureURL := "http://mirror.test:"+plain+"/tigerbeetle.zip", "https://mirror.test:"+secure+"/tigerbeetle.zip"
	newClient := func(t *testing.T, env ...string) *host {
		h := newHost(t).install(b.old.data)
		h.set("TBCTL_CA_FILE=" + authority.file)
		h.set(env...)
		return h
	}

	t.Run("HTTP_PROXY", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "")
		h := newClient(t, "HTTP_PROXY="+p.url)
		h.run("install", plainURL, h.target).want(0)
		h.holds(b.next)
		if got := p.count("GET " + plainURL + " HTTP"); got != 1 {
			t.Errorf("%d requests went through the proxy, want 1", got)
		}
	})
	t.Run("HTTPS_PROXY", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "")
		h := newClient(t, "https_proxy="+p.url)
		h.run("install", secureURL, h.target).want(0)
		h.holds(b.next)
		if got := p.count("CONNECT mirror.test:" + secure + " HTTP"); got < 1 {
			t.Errorf("%d connections went through the proxy", got)
		}
	})
	t.Run("NO_PROXY", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "")
		h := newClient(t, "HTTP_PROXY="+p.url, "HTTPS_PROXY="+p.url, "NO_PROXY=elsewhere.test,mirror.test")
		h.run("install", secureURL, h.target).want(0)
		h.holds(b.next)
		if got := p.count("mirror.test"); got != 0 {
			t.Errorf("%d requests went through the proxy, want none", got)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "BasicAuth op hushword")
		h := newClient(t, "HTTPS_PROXY="+p.url, "HTTP_PROXY="+p.url)
		t.Log(h.run("install", secureURL, h.target).failed(1, "407", "the proxy wants credentials", "HTTPS_PROXY=").stderr)
		t.Log(h.run("install", plainURL, h.target).failed(1, "407", "the proxy wants credentials").stderr)
		h.untouched()
		h.set("HTTPS_PROXY=" + strings.Replace(p.url, "//", "//op:hushwrong@", 1))
		if r := h.run("install", secureURL, h.target).failed(1, "the proxy does not take the credentials", "in HTTPS_PROXY"); strings.Contains(r.both(), "hush") {
			t.Errorf("the password was said: %s", r.both())
		} else {
			t.Log(r.stderr)
		}
		h.untouched()
		h.set("HTTPS_PROXY=" + strings.Replace(p.url, "//", "//op:hushword@", 1))
		if r := h.run("install", secureURL, h.target).want(0); strings.Contains(r.both(), "hush") {
			t.Errorf("the password was said: %s", r.both())
		}
		h.holds(b.next)
	})
	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "ConnectPort 1")
		h := newClient(t, "HTTPS_PROXY="+p.url)
		t.Log(h.run("install", secureURL, h.target).failed(1, "403", "the proxy does not connect").stderr)
		h.untouched()
	})
	t.Run("is down", func(t *testing.T) {
		t.Parallel()
		h := newClient(t, "HTTPS_PROXY=http://proxy.test:1")
		t.Log(h.run("install", secureURL, h.target).failed(1, "refused", "proxyconnect", "3 attempts").stderr)
		h.untouched()
	})
}
