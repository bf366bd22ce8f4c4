//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A github is a server that behaves like GitHub as far as tbctl uses it: direct
// downloads that redirect to another host with a signed query, and the API.
type github struct {
	*nginx
	ca        ca
	base, api string
}

const githubConfig = `
server { listen IP:PORT ssl; server_name github.com; TLS
  location ~ ^/tigerbeetle/tigerbeetle/releases/download/([^/]+)/([^/]+)$ {
    if (!-f DIR/www/storage/$1/$2) { return 404; }
    return 302 https://release-assets.githubusercontent.com:PORT/storage/$1/$2?sp=r&sig=hushquery;
  }
  location ~ ^/tigerbeetle/tigerbeetle/releases/latest/download/([^/]+)$ {
    return 302 https://github.com:PORT/tigerbeetle/tigerbeetle/releases/download/0.17.8/$1;
  }
  location ~ ^/tigerbeetle/tigerbeetle/releases/tag/(.+)$ {
    if (!-d DIR/www/storage/$1) { return 404; }
    return 200 "a page";
  }
  location / { return 404; }
}
server { listen IP:PORT ssl; server_name release-assets.githubusercontent.com; TLS
  location / { if ($arg_sig != "hushquery") { return 403; } }
}
server { listen IP:PORT ssl; server_name api.github.com; TLS
  default_type application/json;
  API
  location = /repos/tigerbeetle/tigerbeetle/releases {
    if ($arg_page = 2) { rewrite ^ /api/second last; }
    add_header Link '<https://api.github.com:PORT/repos/tigerbeetle/tigerbeetle/releases?per_page=100&page=2>; rel="next"';
    try_files /api/first =404;
  }
  location /api/ { internal; }
  location = /repos/tigerbeetle/tigerbeetle/releases/latest { try_files /api/latest =404; }
  location ~ ^/repos/tigerbeetle/tigerbeetle/releases/tags/(.+)$ { try_files /api/tags/$1 =404; }
}`

// startGitHub starts one at a port, with more lines for the API's server.
func startGitHub(t *testing.T, port, api string) *github {
	t.Helper()
	require(t, "nginx")
	g := &github{ca: newCA(t, "github.com", "api.github.com", "release-assets.githubusercontent.com")}
	config := strings.NewReplacer("IP", publicIP, "PORT", port, "TLS", g.ca.tlsConfig, "API", api).Replace(githubConfig)
	if port == "443" {
		config = strings.ReplaceAll(config, "https://api.github.com:443", "https://api.github.com")
	}
	g.nginx = startNginx(t, config, publicIP+":"+port)
	g.base, g.api = "https://github.com:"+port+"/tigerbeetle/tigerbeetle", "https://api.github.com:"+port+"/repos/tigerbeetle/tigerbeetle"
	return g
}

// use makes a host take it for GitHub.
func (g *github) use(h *host) *host {
	h.set("TBCTL_GITHUB_URL="+g.base, "TBCTL_API_URL="+g.api, "TBCTL_CA_FILE="+g.ca.file)
	return h
}

// publish puts a release's asset on the server and returns what the API says of it.
func (g *github) publish(tag, name string, data []byte) map[string]any {
	g.t.Helper()
	g.serve("/storage/"+tag+"/"+name, data)
	return map[string]any{
		"tag_name": tag, "published_at": "2025-11-03T10:00:00Z", "draft": false, "prerelease": false,
		"assets": []any{map[string]any{"name": name, "size": len(data), "digest": "sha256:" + sum(data)}},
	}
}

// says lets the API answer a path with a value.
func (g *github) says(path string, value any) {
	g.t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		g.t.Fatal(err)
	}
	g.serve("/api/"+path, data)
}

// TestGitHubAsItIs uses the addresses that tbctl uses by itself.
func TestGitHubAsItIs(t *testing.T) {
	t.Parallel()
	require(t)
	b, name := fixtures(t), asset(t)
	g := startGitHub(t, "443", "")
	next := g.publish("0.17.8", name, b.next.zip)
	g.says("latest", next)
	g.says("tags/0.17.8", next)
	g.says("first", []any{next})
	g.says("second", []any{})
	h := newHost(t).install(b.old.data)

	r := h.run("install", "latest", h.target).failed(1, "certificate signed by unknown authority", "--ca-file")
	h.untouched()
	r.atOnce()
	h.set("TBCTL_CA_FILE=" + g.ca.file)
	h.run("install", "0.17.99", h.target).failed(1, "there is no release 0.17.99")
	h.run("install", "0.17.8", h.target, "--debug").failed(1, "release 0.17.8 exists, but has no")
	h.untouched()
	h.run("releases", h.target).want(0, "0.17.8", "in one step")
	doc := h.run("install", "latest", h.target, "--github-digest", "--json").want(0).document()
	if doc.Result.Plan.Origin.held() != "github-digest" || strings.Contains(h.run("history", "--json").stdout, "hushquery") {
		t.Errorf("origin %+v", doc.Result.Plan.Origin)
	}
	h.holds(b.next)
	if out := h.run("download", "latest", "--json").want(0).document(); out.Result.Fetched.Tag != "0.17.8" {
		t.Errorf("latest was %q", out.Result.Fetched.Tag)
	}
	for _, request := range g.requests("/") {
		if request.authorization != "" {
			t.Errorf("credentials out of nowhere: %+v", request)
		}
	}
}

// TestGitHubDigest asks the API what the bytes should be.
func TestGitHubDigest(t *testing.T) {
	t.Parallel()
	require(t)
	b, name := fixtures(t), asset(t)
	g := startGitHub(t, freePort(), "")
	g.says("tags/0.17.8", g.publish("0.17.8", name, b.next.zip))
	wrong := g.publish("0.17.5", name, b.next.zip)
	wrong["assets"].([]any)[0].(map[string]any)["digest"] = "sha256:" + strings.Repeat("ab", 32)
	g.says("tags/0.17.5", wrong)
	none := g.publish("0.17.6", name, b.next.zip)
	none["assets"].([]any)[0].(map[string]any)["digest"] = nil
	g.says("tags/0.17.6", none)
	h := g.use(newHost(t).install(b.old.data))
	h.run("install", "0.17.5", h.target, "--github-digest").failed(3, "github-digest", "abababab")
	h.run("install", "0.17.6", h.target, "--require", "digest").failed(3, "no digest", "--sha256")
	h.untouched()
	h.set("GITHUB_TOKEN=hushtoken")
	doc := h.run("install", "0.17.8", h.target, "--json").want(0).document()
	if doc.Result.Plan.Origin.held() != "github-digest" {
		t.Errorf("trust %+v", doc.Result.Plan.Origin.Trust)
	}
	h.holds(b.next)
	for _, r := range g.requests("/") {
		if want := r.host == "api.github.com" && strings.HasSuffix(r.path, "0.17.8"); (r.authorization == "Bearer hushtoken") != want {
			t.Errorf("authorization %q at %s%s", r.authorization, r.host, r.path)
		}
	}
}

// TestReleases lists what GitHub has, in two pages, and asks again for what has not changed.
func TestReleases(t *testing.T) {
	t.Parallel()
	require(t)
	b, name := fixtures(t), asset(t)
	g := startGitHub(t, freePort(), "")
	g.says("first", []any{g.publish("0.17.9", name, b.next.zip), g.publish("0.17.8", name, b.next.zip)})
	g.says("second", []any{g.publish("0.17.7", name, b.old.zip), map[string]any{"tag_name": "nightly"}})
	h := g.use(newHost(t).install(b.old.data))
	for range 2 {
		doc := h.run("releases", h.target, "--json").want(0).document()
		got := fmt.Sprint(len(doc.Result.Releases))
		for _, r := range doc.Result.Releases {
			got += fmt.Sprintf(" %s:%v:%d:%v", r.Tag, r.Installed, r.Steps, len(r.Assets) == 1 && len(r.Assets[0].SHA256) == 64)
		}
		if want := "3 0.17.9:false:1:true 0.17.8:false:1:true 0.17.7:true:0:true"; got != want {
			t.Errorf("releases %s, want %s", got, want)
		}
	}
	h.run("releases", h.target).want(0, "0.17.9", "installed", "2025-11-03")
	var statuses []int
	for _, r := range g.requests("/repos/") {
		statuses = append(statuses, r.status)
	}
	if fmt.Sprint(statuses) != "[200 200 304 304 304 304]" {
		t.Errorf("statuses %v", statuses)
	}
}

// TestRateLimit meets an API that answers no more.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	require(t)
	b, name := fixtures(t), asset(t)
	g := startGitHub(t, freePort(), `
  if ($request_uri ~ ^/repos/) { rewrite ^ /limited last; }
  location = /limited { add_header X-RateLimit-Limit 60 always; add_header X-RateLimit-Remaining 0 always; add_header X-RateLimit-Reset 4102444800 always; return 403 '{}'; }`)
	g.publish("0.17.8", name, b.next.zip)
	h := g.use(newHost(t).install(b.old.data))
	r := h.run("releases").failed(1, "rate limit of 60 requests an hour", "2100-01-01", "GITHUB_TOKEN")
	r.atOnce()
	h.run("install", "0.17.8", h.target, "--require", "digest").failed(1, "github-digest not-checked", "rate limit", "--sha256")
	h.run("install", "0.17.8", h.target, "--github-digest").failed(1, "github-digest not-checked", "rate limit", "GITHUB_TOKEN")
	h.untouched()
	h.set("GITHUB_TOKEN=hushtoken")
	doc := h.run("install", "0.17.8", h.target, "--json").want(0, "rate limit").document()
	if doc.Result.Plan.Origin.Trusted {
		t.Error("trusted without evidence")
	}
	h.holds(b.next)
}
