//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestServerKinds installs from servers that differ in what must not matter.
func TestServerKinds(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	for _, test := range []struct{ name, config string }{
		{"plain", ""},
		{"no ranges", "max_ranges 0;"},
		{"no ETag", "etag off;"},
		{"no validator", "etag off; add_header Last-Modified ''; if_modified_since off;"},
		{"gzip", "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; gzip_http_version 1.0;"},
		{"chunked", "chunked_transfer_encoding on; gzip on; gzip_types *; sub_filter 'no such text' ''; sub_filter_types *; sub_filter_once off;"},
		{"slow", "limit_rate 1m;"},
		{"tiny pieces", "sendfile off; output_buffers 1 512; tcp_nodelay on; postpone_output 0;"},
		{"no keepalive", "keepalive_timeout 0;"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := loopback()
			s := startNginx(t, fmt.Sprintf("server { listen %s; %s }", address, test.config), address)
			s.serve("/a/tigerbeetle.zip", b.next.zip)
			s.serve("/a/SHA256SUMS", []byte(sum(b.next.zip)+"  tigerbeetle.zip\n"))
			h := newHost(t).install(b.old.data)
			doc := h.run("install", "http://"+address+"/a/tigerbeetle.zip", h.target, "--json").want(0).document()
			h.holds(b.next)
			origin := doc.Result.Plan.Origin
			if origin.Fetched != int64(len(b.next.zip)) || origin.held() != "sha256sums" {
				t.Errorf("fetched %d of %d bytes, trust %+v", origin.Fetched, len(b.next.zip), origin.Trust)
			}
			for _, r := range s.requests("/") {
				if r.acceptEncoding != "identity" || r.contentEncoding != "" || !strings.HasPrefix(r.agent, "tbctl/") {
					t.Errorf("request %+v", r)
				}
			}
		})
	}
}

// TestWrongFiles gets from a server what is not the file.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	page := "<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + strings.Repeat("Please sign in. ", 100) + "</body></html>"
	address := loopback()
	s := startNginx(t, "server { listen "+address+"; location /page { types {} default_type text/html; } location /denied { return 403; } location /login { return 401; } }", address)
	s.serve("/page/tigerbeetle.zip", []byte(page))
	s.serve("/short/tigerbeetle.zip", b.next.zip[:len(b.next.zip)*2/3])
	s.serve("/headless/tigerbeetle.zip", b.next.zip[1000:])
	s.serve("/empty/tigerbeetle.zip", nil)
	s.serve("/half-binary/tigerbeetle", b.next.data[:len(b.next.data)/2])
	s.serve("/sums/tigerbeetle.zip", b.next.zip)
	s.serve("/sums/SHA256SUMS", []byte(strings.Repeat("0", 64)+"  tigerbeetle.zip\n"))
	s.serve("/text/tigerbeetle", []byte("#!/bin/sh\necho hello\n"))
	s.serve("/far/tigerbeetle.zip", b.far.zip)
	for _, test := range []struct {
		path string
		code int
		said []string
	}{
		{"/page/tigerbeetle.zip", 3, []string{"HTML", "text/html"}},
		{"/short/tigerbeetle.zip", 3, []string{"truncated"}},
		{"/headless/tigerbeetle.zip", 3, nil},
		{"/empty/tigerbeetle.zip", 3, []string{"empty"}},
		{"/half-binary/tigerbeetle", 3, nil},
		{"/sums/tigerbeetle.zip", 3, []string{"sha256sums", "0000"}},
		{"/text/tigerbeetle", 3, nil},
		{"/far/tigerbeetle.zip", 4, []string{"RunningVersionNotIncluded"}},
		{"/nothing/tigerbeetle.zip", 1, []string{"404", "there is no such file"}},
		{"/denied/tigerbeetle.zip", 1, []string{"403"}},
		{"/login/tigerbeetle.zip", 1, []string{"401", "credentials"}},
	} {
		t.Run(strings.Trim(strings.ReplaceAll(test.path, "/tigerbeetle", " "), "/ "), func(t *testing.T) {
			t.Parallel()
			h := newHost(t).install(b.old.data)
			url := "http://" + address + test.path
			r := h.run("install", url, h.target).failed(test.code, test.said...)
			t.Log(r.stderr)
			h.untouched()
			if doc := h.run("install", url, h.target, "--json").want(test.code).document(); doc.Error.Message == "" || doc.Error.Hint == "" {
				t.Errorf("error %+v", doc.Error)
			}
			h.untouched()
			r.atOnce()
		})
	}
}

// TestBusyServer gets answers that may be others the next time.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	address := loopback()
	s := startNginx(t, `
limit_req_zone $request_uri zone=unavailable:1m rate=12r/m;
limit_req_zone $request_uri zone=many:1m rate=12r/m;
server { listen `+address+`;
  location /unavailable/ { limit_req zone=unavailable; }
  location /many/ { limit_req zone=many; limit_req_status 429; error_page 429 @later; }
  location @later { internal; add_header Retry-After 1 always; return 429; }
  location /down/ { return 503; }
  location /tomorrow/ { add_header Retry-After 86400 always; return 503; }
}`, address)
	for _, path := range []string{"unavailable", "many"} {
		s.serve("/"+path+"/tigerbeetle.zip", b.next.zip)
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			url := "http://" + address + "/" + path + "/tigerbeetle.zip"
			h := newHost(t).install(b.old.data)
			if answer, err := http.Get(url); err != nil || answer.StatusCode != http.StatusOK || answer.Body.Close() != nil {
				t.Fatalf("the first one in five seconds: %v, %v", answer, err)
			}
			r := h.run("install", url, h.target).want(0, "trying again")
			h.holds(b.next)
			t.Log(r.stderr)
		})
	}
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		h := newHost(t).install(b.old.data)
		r := h.run("install", "http://"+address+"/down/tigerbeetle.zip", h.target).failed(1, "503", "1 attempt", "trying again")
		h.untouched()
		t.Log(r.stderr)
	})
	t.Run("tomorrow", func(t *testing.T) {
		t.Parallel()
		h := newHost(t).install(b.old.data)
		r := h.run("install", "http://"+address+"/tomorrow/tigerbeetle.zip", h.target).failed(1, "503", "24h")
		h.untouched()
		r.atOnce()
		t.Log(r.stderr)
	})
}

// TestMirrorTemplate gets releases by their tags from a mirror.
func TestMirrorTemplate(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	address := loopback()
	s := startNginx(t, "server { listen "+address+"; }", address)
	name := asset(t)
	s.serve("/mirror/0.17.8/"+name, b.next.zip)
	s.serve("/mirror/0.17.8/SHA256SUMS", []byte(sum(b.next.zip)+" *"+name+"\n"))
	s.serve("/mirror/0.17.9/"+name, b.next.zip) // another release than its path says
	h := newHost(t).install(b.old.data)
	base := "http://" + address + "/mirror"
	h.run("install", "0.17.9", h.target, "--mirror", base+"/{tag}/{asset}").failed(3, "0.17.8", "0.17.9")
	h.untouched()
	h.run("install", "0.17.7", h.target, "--mirror", base+"/{tag}/{asset}").failed(1, "404")
	h.run("install", "0.17.8", h.target, "--mirror", base+"/{asset}").failed(2, "{tag}")
	h.run("install", "latest", h.target, "--mirror", base+"/{tag}/{asset}").failed(2, "newest")
	h.run("releases", "--mirror", base+"/{tag}/{asset}").failed(2, "cannot list")
	h.untouched()
	h.set("TBCTL_MIRROR=" + base)
	doc := h.run("install", "0.17.8", h.target, "--require", "digest", "--json").want(0).document()
	if doc.Result.Plan.Origin.held() != "sha256sums" {
		t.Errorf("trust %+v", doc.Result.Plan.Origin.Trust)
	}
	h.holds(b.next)
	// The beginning may come first, to see whether it is the executable itself, of which parts are here. No byte comes twice.
	got, sent := to(s.requests("/"), "/mirror/0.17.8/"+name), 0
	for _, request := range got {
		sent += int(request.sent)
	}
	if len(got) > 2 || sent != len(b.next.zip) {
		t.Errorf("%d bytes, and the file has %d: requests %+v", sent, len(b.next.zip), got)
	}
}

// TestSecretsStayHere gives a password and a query, and looks for them in everything said and kept.
func TestSecretsStayHere(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	address := loopback()
	s := startNginx(t, `server { listen `+address+`;
  location / { if ($http_authorization != "Basic b3A6aHVzaHdvcmQ=") { return 401; } } }`, address)
	s.serve("/tigerbeetle.zip", b.next.zip)
	h := newHost(t).install(b.old.data)
	url := "http://op:hushword@" + address + "/tigerbeetle.zip?sig=hushquery#hushfragment"
	first := h.run("install", url+"x", h.target, "--dry-run").want(0)
	second := h.run("install", url, h.target).want(0)
	third := h.run("install", strings.Replace(url, "hushword", "hushwrong", 1), h.target).failed(1, "401")
	fourth := h.run("history", h.target, "--json").want(0)
	h.holds(b.next)
	for _, r := range []*result{first, second, third, fourth} {
		if strings.Contains(r.both(), "hush") {
			t.Errorf("a secret was said: %s", r.both())
		}
	}
	for _, data := range h.kept() {
		if bytes.Contains(data, []byte("hush")) {
			t.Errorf("a secret was kept: %.2000q", data)
		}
	}
	if got := to(s.requests("/"), "/tigerbeetle.zip?sig=hushquery"); len(got) < 1 {
		t.Error("the query did not arrive")
	}
}
