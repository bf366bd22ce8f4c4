//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A signer is a key pair of the minisign program.
type signer struct{ public, secret string }

func newSigner(t *testing.T) signer {
	t.Helper()
	require(t, "minisign")
	dir := t.TempDir()
	s := signer{dir + "/key.pub", dir + "/key"}
	if output, err := exec.Command("minisign", "-G", "-W", "-p", s.public, "-s", s.secret).CombinedOutput(); err != nil {
		t.Skipf("skipped: this minisign makes no key without a password: %v: %s", err, output)
	}
	return s
}

// sign returns a signature of data.
func (s signer) sign(t *testing.T, data []byte, flags ...string) []byte {
	t.Helper()
	name := t.TempDir() + "/signed"
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-S", "-s", s.secret, "-m", name, "-t", "for the tests"}, flags...)
	if output, err := exec.Command("minisign", args...).CombinedOutput(); err != nil {
		t.Fatalf("sign: %v: %s", err, output)
	}
	signature, err := os.ReadFile(name + ".minisig")
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// TestMinisign takes signatures of the minisign program from beside the asset.
func TestMinisign(t *testing.T) {
	t.Parallel()
	require(t, "nginx", "minisign")
	b := fixtures(t)
	mine, stranger := newSigner(t), newSigner(t)
	address := loopback()
	s := startNginx(t, "server { listen "+address+"; }", address)
	good := mine.sign(t, b.next.zip)
	for path, signature := range map[string][]byte{
		"good":     good,
		"legacy":   mine.sign(t, b.next.zip, "-l"),
		"stranger": stranger.sign(t, b.next.zip),
		"other":    mine.sign(t, b.old.zip),
		"comment":  []byte(strings.Replace(string(good), "for the tests", "for the taste", 1)),
		"garbage":  []byte("no signature\n"),
		"none":     nil,
	} {
		s.serve("/"+path+"/tigerbeetle.zip", b.next.zip)
		if signature != nil {
			s.serve("/"+path+"/tigerbeetle.zip.minisig", signature)
		}
	}
	h := newHost(t).install(b.old.data)
	line, err := os.ReadFile(mine.public)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(strings.TrimSpace(string(line)), "\n")
	for _, test := range []struct{ path, said string }{
		{"legacy", "old kind"}, {"stranger", "made with key"}, {"other", "does not hold"},
		{"comment", "does not hold"}, {"garbage", "cannot be read"}, {"none", "there is no tigerbeetle.zip.minisig beside it"},
	} {
		url := "http://" + address + "/" + test.path + "/tigerbeetle.zip"
		r := h.run("install", url, h.target, "--public-key", key).failed(3, test.said)
		h.untouched()
		t.Log(r.stderr)
	}
	url := "http://" + address + "/good/tigerbeetle.zip"
	h.run("install", url, h.target, "--require", "signature").failed(2, "public key")
	h.run("install", url, h.target, "--public-key", h.path("no.pub")).failed(2, "no.pub")
	h.run("install", url, h.target, "--public-key", "RWQnonsense").failed(2, "public key")
	h.untouched()
	doc := h.run("install", url, h.target, "--public-key", mine.public, "--json").want(0).document()
	if doc.Result.Plan.Origin.held() != "minisign" {
		t.Errorf("trust %+v", doc.Result.Plan.Origin.Trust)
	}
	h.holds(b.next)
}
