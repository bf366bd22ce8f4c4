//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestTLS needs a private authority.
func TestTLS(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	b := fixtures(t)
	mine, other := newCA(t, "mirror.test"), newCA(t, "mirror.test")
	address := publicIP + ":" + freePort()
	_, port, _ := strings.Cut(address, ":")
	s := startNginx(t, "server { listen "+address+" ssl; server_name mirror.test; "+mine.tlsConfig+" }", address)
	s.serve("/tigerbeetle.zip", b.next.zip)
	h := newHost(t).install(b.old.data)
	url := "https://mirror.test:" + port + "/tigerbeetle.zip"
	for _, test := range []struct {
		name, url string
		args      []string
		code      int
		said      []string
	}{
		{"no authority", url, nil, 1, []string{"unknown authority", "--ca-file"}},
		{"another authority", url, []string{"--ca-file", other.file}, 1, []string{"unknown authority"}},
		{"another name", "https://" + address + "/tigerbeetle.zip", []string{"--ca-file", mine.file}, 1, []string{publicIP}},
		{"plain http", "http://mirror.test:" + port + "/tigerbeetle.zip", nil, 1, []string{"400"}},
		{"no PEM", url, []string{"--ca-file", h.write("empty.pem", nil)}, 2, []string{"no certificate"}},
		{"no such file", url, []string{"--ca-file", h.path("nowhere.pem")}, 2, []string{"nowhere.pem"}},
	} {
		r := h.run(append([]string{"install", test.url, h.target}, test.args...)...).failed(test.code, test.said...)
		h.untouched()
		r.atOnce()
		t.Logf("%s: %s", test.name, r.stderr)
	}
	h.run("install", url, h.target, "--ca-file", mine.file).want(0)
	h.holds(b.next)
}

// TestRedirects follows those that are safe, and no others.
func TestRedirects(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	b := fixtures(t)
	authority := newCA(t, "127.0.0.1")
	plain, secure, elsewhere := loopback(), loopback(), loopback()
	s := startNginx(t, `
server { listen `+plain+`;
  location /up/ { return 301 https://`+secure+`/files/tigerbeetle.zip; }
  location /loop/ { return 302 $request_uri; }
  location /file/ { return 302 file:///etc/passwd; }
  location /away/ { return 307 http://`+elsewhere+`/files/tigerbeetle.zip?sig=x; }
}
server { listen `+secure+` ssl; `+authority.tlsConfig+`
  location /down/ { return 302 http://`+plain+`/files/tigerbeetle.zip; }
}
server { listen `+elsewhere+`; }`, plain, secure, elsewhere)
	s.serve("/files/tigerbeetle.zip", b.next.zip)
	h := newHost(t).install(b.old.data)
	h.set("TBCTL_CA_FILE=" + authority.file)
	for _, test := range []struct {
		url  string
		said []string
	}{
		{"https://" + secure + "/down/tigerbeetle.zip", []string{"redirect refused", "plain http"}},
		{"http://" + plain + "/loop/tigerbeetle.zip", []string{"redirect refused", "more than 10"}},
		{"http://" + plain + "/file/tigerbeetle.zip", []string{"redirect refused", "file"}},
	} {
		r := h.run("install", test.url, h.target).failed(1, test.said...)
		h.untouched()
		t.Log(r.stderr)
	}
	h.run("install", "http://"+plain+"/up/tigerbeetle.zip", h.target).want(0)
	h.holds(b.next)
	h.run("install", "http://op:hushword@"+plain+"/away/tigerbeetle.zip", h.path("bin2")).want(0)
	for _, r := range s.requests("/") {
		if _, port, _ := strings.Cut(plain, ":"); r.port != port && r.authorization != "" {
			t.Errorf("credentials went along: %+v", r)
		}
	}
}

// TestTLSLine cuts, stalls and spoils encrypted lines. Most servers speak HTTP/2 too,
// where a retry must not wait on the dead connection of the attempt before.
func TestTLSLine(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	b, name := fixtures(t), asset(t)
	authority := newCA(t, "127.0.0.1")
	for _, flag := range []string{"", " http2"} {
		address := loopback()
		s := startNginx(t, "server { listen "+address+" ssl"+flag+"; "+authority.tlsConfig+" rewrite ^/p/[^/]+/(.*)$ /$1 break; }", address)
		s.serve("/releases/download/0.17.8/"+name, b.next.zip)
		t.Run("server"+flag, func(t *testing.T) {
			for _, kind := range []faultKind{faultCut, faultStall, faultFlip} {
				for _, percent := range []int64{5, 50, 95} {
					place := fmt.Sprintf("%s-%d", kind, percent)
					t.Run(place, func(t *testing.T) {
						t.Parallel()
						f := &fault{kind: kind, at: int64(len(b.next.zip)) * percent / 100, raw: true}
						l := newFaultyLine(t, address, f)
						h := newHost(t).install(b.old.data)
						h.set("TBCTL_GITHUB_URL=https://"+l.address+"/p/"+place, "TBCTL_CA_FILE="+authority.file)
						h.run("install", "0.17.8", h.target, "--idle-timeout", "1s").want(0, "trying again")
						h.holds(b.next)
					})
				}
			}
		})
		for _, r := range s.requests("/p/") {
			if r.rang == "" && r.status != 200 || r.rang != "" && r.status != 206 {
				t.Errorf("server%s: request %+v", flag, r)
			}
		}
	}
}
