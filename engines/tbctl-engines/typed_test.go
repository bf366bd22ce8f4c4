package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/engine"
)

// TestTyped types what people type of registries and etcd, wrongly too, and holds what they are told to type next.
func TestTyped(t *testing.T) {
	t.Parallel()
	r, c := startRegistry(t, false), newController(t)
	platform := hostPlatform(t)
	file := newBinary(t, platform)
	at := engine.SchemeOCI + r.address + "/tb"
	c.must(t, "store", "import", file.path)
	says := func(code int, text string, words ...string) {
		t.Helper()
		got, out, errs := c.run(t, words...)
		if got != code || !strings.Contains(out+errs, text) {
			t.Errorf("tbctl %q: exit code %d, want %d and %q\n%s%s", words, got, code, text, out, errs)
		}
	}
	says(1, "hint: docker login "+r.address+", or", "store", "push", "store:0.17.8", at, "--plain-http")
	says(1, "hint: if everybody on the way may read and change what comes: tbctl store push store:0.17.8 "+at+" --plain-http", "store", "push", "store:0.17.8", at)
	docker := filepath.Join(c.dir, ".docker")
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	for _, text := range []string{"{", fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.address, auth)} {
		if err := os.MkdirAll(docker, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(docker, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == "{" {
			says(1, "hint: look at it: ~/.docker/config.json", "store", "push", "store:0.17.8", at, "--plain-http")
		}
	}
	says(0, "pushed:", "store", "push", "store:0.17.8", at, "--plain-http")
	says(1, "no tag latest, which is meant where none is named; it has 0.17.8", "store", "import", "--from", at, "--plain-http")
	says(1, "hint: name a tag that is there: --from "+at+":TAG; skopeo list-tags docker://"+r.address+"/tb ", "store", "import", "--from", at, "--plain-http")
	says(0, "stored:", "store", "import", "0.17.8", "--from", at, "--plain-http", "--store", "another")
	says(2, "hint: name the tag, --from "+at+":TAG, or the digest that tbctl store push printed", "store", "import", "--from", at+"@sha256:"+file.digest, "--plain-http")

	known := r.speak(t, true)
	for _, tag := range []string{"tb:0.17.9", "tb:stable"} {
		if _, err := known.Push(t.Context(), file.push(r.reference(tag, platform))); err != nil {
			t.Fatal(err)
		}
	}
	says(0, "warning: the tag 0.17.9 names release 0.17.8 in that registry", "store", "import", "--from", at+":0.17.9", "--plain-http", "--store", "third")
	if _, _, errs := c.run(t, "store", "import", "--from", at+":stable", "--plain-http", "--store", "fourth"); strings.Contains(errs, "warning: the tag") {
		t.Errorf("%s", errs)
	}
	says(0, "the tag named sha256:", "store", "push", "store:0.17.8", at+":stable", "--plain-http")

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	away := closed.Addr().String()
	says(1, "not known: which runs of controllers work on these hosts: connect with etcd: etcd does not answer: "+away+": connection refused", "fleet", "status", "tb0.invalid", "--state", "etcd://"+away+"/p")
	if _, out, _ := c.run(t, "fleet", "status", "tb0.invalid", "--openmetrics", "--state", "etcd://"+away+"/p"); !strings.Contains(out, "tb0.invalid") {
		t.Errorf("%s", out)
	}
}
