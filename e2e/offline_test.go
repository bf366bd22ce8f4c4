//go:build linux

package e2e

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// runOffline runs tbctl where there is no network at all.
func (h *host) runOffline(stdin io.Reader, args ...string) *result {
	h.t.Helper()
	cmd := h.command(args...)
	cmd.Stdin = stdin
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	return finish(h.t, cmd)
}

func TestOffline(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	h := newHost(t).install(b.old.data)
	for _, args := range [][]string{
		{"install", "0.17.8", h.target}, {"install", "latest", h.target, "--github-digest"}, {"download", "0.17.8"}, {"releases"},
		{"install", "https://198.51.100.7/tigerbeetle.zip", h.target},
	} {
		r := h.runOffline(nil, args...)
		t.Log(r.stderr)
		r.failed(1, "tbctl download", "tbctl install FILE")
		r.atOnce()
		h.untouched()
	}
	h.runOffline(nil, "install", h.write("tigerbeetle.zip", b.next.zip), h.target).want(0)
	h.holds(b.next)
	other := newHost(t).install(b.old.data)
	other.runOffline(bytes.NewReader(b.next.zip), "install", "-", other.target, "--sha256", b.next.sha256).want(0)
	other.holds(b.next)
}

// TestNoWayOut has a network and a way to the next hop only.
func TestNoWayOut(t *testing.T) {
	t.Parallel()
	require(t)
	h := newHost(t).install(fixtures(t).old.data)
	r := h.run("install", "https://198.51.100.7/tigerbeetle.zip", h.target).failed(1, "unreachable", "tbctl install FILE")
	r.atOnce()
	r = h.run("install", "https://no-such-name.test/tigerbeetle.zip", h.target).failed(1, "no-such-name.test", "3 attempts", "tbctl install FILE")
	h.untouched()
	t.Log(r.stderr)
}

// TestCarry downloads on one host and installs on another one, which has no network.
func TestCarry(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	b := fixtures(t)
	near := y.through(t, newLine(t, y.address), "carry")
	name := near.path("carried")
	near.run("download", "0.17.8", "-o", name).want(0, "0.17.8", b.next.sha256)
	near.run("download", "0.17.8", "-o", name).want(0, "already")
	near.run("download", "0.17.8", "-o", near.write("taken", []byte("something else"))).failed(1, "--force")
	near.run("download", "0.17.8", "-o", name, "--force").want(0)
	near.run("download", "0.17.8").want(0, "tigerbeetle-0.17.8-")
	near.run("download", "0.17.9", "-o", near.path("none")).failed(1, "404")
	if _, err := os.Stat(near.path("none")); err == nil {
		t.Error("a download that failed left a file")
	}
	data, err := os.ReadFile(name)
	if err != nil || sum(data) != b.next.sha256 {
		t.Fatalf("downloaded %s: %v", sum(data), err)
	}
	far := newHost(t).install(b.old.data)
	far.runOffline(bytes.NewReader(data), "install", "-", far.target).want(0)
	far.holds(b.next)
	far = newHost(t).install(b.old.data)
	far.runOffline(nil, "install", name, far.target, "--sha256", b.next.sha256).want(0)
	far.holds(b.next)
}

// TestDirectory uses a directory of assets as a mirror.
func TestDirectory(t *testing.T) {
	t.Parallel()
	require(t)
	b, name := fixtures(t), asset(t)
	h := newHost(t).install(b.old.data)
	shelf := filepath.Dir(filepath.Dir(h.write("shelf/0.17.8/"+name, b.next.zip)))
	h.write("shelf/0.17.7/"+name, b.old.zip)
	h.write("shelf/0.17.8/SHA256SUMS", []byte(sum(b.next.zip)+"  "+name+"\n"))
	doc := h.runOffline(nil, "releases", h.target, "--mirror", shelf, "--json").want(0).document()
	if r := doc.Result.Releases; len(r) != 2 || r[0].Tag != "0.17.8" || r[0].Steps != 1 || !r[1].Installed {
		t.Errorf("releases %+v", r)
	}
	h.runOffline(nil, "install", "0.17.9", h.target, "--mirror", shelf).failed(1, "0.17.9")
	h.runOffline(nil, "install", "0.17.8", h.target, "--mirror", h.path("no-shelf")).failed(1, "no-shelf")
	h.untouched()
	doc = h.runOffline(nil, "install", "latest", h.target, "--mirror", "file://"+shelf, "--require", "digest", "--json").want(0).document()
	if doc.Result.Plan.Origin.held() != "sha256sums" {
		t.Errorf("trust %+v", doc.Result.Plan.Origin.Trust)
	}
	h.holds(b.next)
}
