package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/internal/testtuf"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// controller is a machine with tbctl, and tbctl-engines beside it.
type controller struct {
	dir   string
	tbctl string
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{dir: t.TempDir()}
	c.tbctl = filepath.Join(c.dir, "bin", "tbctl")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", c.tbctl, "./cmd/tbctl")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tbctl: %v\n%s", err, output)
	}
	if err := os.Rename(script(t), filepath.Join(c.dir, "bin", engine.Name)); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs tbctl as on a machine of its own, and returns its exit code and what it wrote.
func (c *controller) run(t *testing.T, words ...string) (code int, out, errs string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), c.tbctl, words...)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "TBCTL_STATE_DIR="+filepath.Join(c.dir, "state"), "TBCTL_CACHE_DIR="+filepath.Join(c.dir, "cache"), "TBCTL_STORE=", "HOME="+c.dir, "NO_COLOR=1", "COLUMNS=400")
	var said, complained bytes.Buffer
	command.Stdout, command.Stderr = &said, &complained
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), said.String(), complained.String()
}

// must is run for what succeeds.
func (c *controller) must(t *testing.T, words ...string) string {
	t.Helper()
	code, out, errs := c.run(t, words...)
	if code != 0 {
		t.Fatalf("tbctl %q: exit code %d\n%s%s", words, code, out, errs)
	}
	return out
}

// hostPlatform is what a release is of that is installed here.
func hostPlatform(t *testing.T) multiversion.Platform {
	t.Helper()
	platform, err := release.HostPlatform()
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	return platform
}

// hostBinary is a release for this host.
func hostBinary(t *testing.T) []byte {
	t.Helper()
	return testbin.Build(t, testbin.Spec{Platform: hostPlatform(t), Current: multiversion.NewRelease(0, 17, 8), Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, 7)}}})
}

// TestTUF imports by signed metadata, as archive and as bare executable, and installs from the store where a signature is required,
// also when all metadata has expired and the repository is gone.
func TestTUF(t *testing.T) {
	t.Parallel()
	c, r := newController(t), testtuf.New(t)
	binary := hostBinary(t)
	digest := func(data []byte) string {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	platform := hostPlatform(t)
	archive := testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{})
	target := "0.17.8/tigerbeetle-" + string(platform) + ".zip"
	r.Add(target, archive)
	r.Next()
	root := filepath.Join(c.dir, "root.json")
	if err := os.WriteFile(root, r.FirstRoot(), 0o600); err != nil {
		t.Fatal(err)
	}
	from := []string{"store", "import", "0.17.8", "--from", "tuf+" + r.URL, "--plain-http", "--require", "signature"}
	if code, _, errs := c.run(t, from...); code != 2 || !strings.Contains(errs, "--root FILE") {
		t.Errorf("without a root: exit code %d, %s", code, errs)
	}
	if code, _, errs := c.run(t, append(from, "--root", "none.json")...); code != 1 {
		t.Errorf("without a file: exit code %d, %s", code, errs)
	}
	c.must(t, append(from, "--root", root)...)
	c.must(t, from...) // by what is kept
	if out := c.must(t, "store", "list"); !strings.Contains(out, "tuf") || strings.Contains(out, "expired") {
		t.Errorf("%s", out)
	}
	var listed struct {
		Result struct{ Artifacts []depot.Artifact }
	}
	if err := json.Unmarshal([]byte(c.must(t, "store", "list", "--json")), &listed); err != nil || len(listed.Result.Artifacts) != 1 {
		t.Fatalf("%v, %+v", err, listed)
	}
	stored := listed.Result.Artifacts[0]
	if stored.SHA256 != digest(binary) || len(stored.Receipts) != 2 || stored.Receipts[0].Kind != "tuf" {
		t.Fatalf("%+v", stored)
	}
	signed := stored.Receipts[0].Signed
	if signed == nil || signed.Repository != r.URL || signed.Target != target || signed.SHA256 != digest(archive) || len(signed.Roles) != 4 || len(signed.Roles[3].Keys) != 1 || signed.Roles[3].Version != 2 {
		t.Errorf("%+v", signed)
	}

	// All metadata expires, and the server goes.
	receipts := filepath.Join(c.dir, "state", "store", "sha256", stored.SHA256+".receipts")
	text, err := os.ReadFile(receipts)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range signed.Roles {
		text = bytes.ReplaceAll(text, []byte(role.Expires.Format(time.RFC3339)), []byte("2020-01-02T03:04:05Z"))
	}
	if err := os.WriteFile(receipts, text, 0o644); err != nil {
		t.Fatal(err)
	}
	r.Remove("metadata/timestamp.json")
	if code, _, errs := c.run(t, from...); code != 1 || !strings.Contains(errs, "timestamp.json") {
		t.Errorf("without the repository: exit code %d, %s", code, errs)
	}
	if out := c.must(t, "store", "list"); !strings.Contains(out, "expired 2020-01-02)") {
		t.Errorf("%s", out)
	}
	installed := filepath.Join(c.dir, "tigerbeetle")
	c.must(t, "install", "store:0.17.8", installed, "--require", "signature")
	if got, err := os.ReadFile(installed); err != nil || !bytes.Equal(got, binary) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestTUFTrouble holds the exit code and the hint of what is refused at the end of tbctl, and that nothing of it is stored.
func TestTUFTrouble(t *testing.T) {
	t.Parallel()
	c, r := newController(t), testtuf.New(t)
	binary := hostBinary(t)
	target := "0.17.8/tigerbeetle-" + string(hostPlatform(t))
	r.Add(target, binary)
	r.Next()
	sum := hex.EncodeToString(r.Targets.Signed.Targets[target].Hashes["sha256"])
	at := "targets/0.17.8/" + sum + "." + filepath.Base(target)
	if err := os.WriteFile(filepath.Join(c.dir, "root.json"), r.FirstRoot(), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(binary)
	changed[len(changed)/2] ^= 1
	for _, test := range []struct {
		title string
		data  []byte
		code  int
		text  string
	}{
		{"a wrong hash", changed, 3, sum},
		{"too few bytes", binary[:len(binary)-1], 3, "bytes"},
		{"too many bytes", append(bytes.Clone(binary), 0), 3, "more than"},
		{"no end", nil, 3, "more than"},
		{"no file", nil, 1, at},
	} {
		switch test.title {
		case "no end":
			r.PutEndless(at, binary)
		case "no file":
			r.Remove(at)
		default:
			r.Put(at, test.data)
		}
		code, out, errs := c.run(t, "store", "import", "0.17.8", "--from", "tuf+"+r.URL, "--plain-http", "--root", "root.json")
		if code != test.code || !strings.Contains(errs, test.text) || !strings.Contains(errs, "hint: ") {
			t.Errorf("%s: exit code %d\n%s%s", test.title, code, out, errs)
		}
	}
	r.Put(at, binary)
	for _, test := range []struct {
		words []string
		code  int
		text  string
	}{
		{[]string{"0.17.9"}, 1, "it has 0.17.8"},
		{[]string{"latest"}, 2, "by its number"},
		{[]string{"0.17.8", "--platform", "universal-macos"}, 1, "no such target"},
		{[]string{"0.17.8", "--sha256", strings.Repeat("0", 64)}, 3, "expected SHA-256"},
	} {
		words := append([]string{"store", "import"}, append(test.words, "--from", "tuf+"+r.URL, "--plain-http", "--root", "root.json")...)
		if code, _, errs := c.run(t, words...); code != test.code || !strings.Contains(errs, test.text) {
			t.Errorf("%q: exit code %d, %s", test.words, code, errs)
		}
	}
	for _, words := range [][]string{{"0.17.8", "--from", "tuf+" + r.URL}, {"0.17.8", "--from", "tuf+https://a@h/x"}, {"0.17.8", "--from", "tuf+ftp://h/x"}, {"0.17.8", "--root", "root.json"}} {
		if code, _, errs := c.run(t, append([]string{"store", "import"}, words...)...); code != 2 {
			t.Errorf("%q: exit code %d, %s", words, code, errs)
		}
	}
	r.Timestamp.Signed.Version++
	r.Timestamp.Signed.Expires = time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	r.SignTimestamp()
	code, _, errs := c.run(t, "store", "import", "0.17.8", "--from", "tuf+"+r.URL, "--plain-http")
	if code != 3 || !strings.Contains(errs, metadata.TIMESTAMP+" 3 was good until") || !strings.Contains(errs, "hint: the publisher signs it again") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if out := c.must(t, "store", "list"); strings.Contains(out, "sha256:") {
		t.Errorf("stored: %s", out)
	}
}
