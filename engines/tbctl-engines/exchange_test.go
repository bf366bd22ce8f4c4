package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/tuf"
	"github.com/tbctl/tbctl/engines/tufrepo"
)

// ids are those of keys, in order.
func (p *publisher) ids(t *testing.T, names ...string) (ids []string) {
	t.Helper()
	for _, name := range names {
		key, err := tufrepo.ReadKey(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, key.ID)
	}
	slices.Sort(ids)
	return ids
}

// TestExchange exchanges the keys of root, targets and online, and then how many must sign: clients see all of it or nothing, follow from the
// first root and from what they have kept, and old keys count for nothing any more.
func TestExchange(t *testing.T) {
	t.Parallel()
	p := newRepository(t)
	p.write(t, "binary", hostBinary(t))
	p.must(t, "add", "@repo", "0.17.8", "@binary", "--key", "@ann", "--key", "@bob", "--key", "@online")
	for _, name := range []string{"cat", "dan", "online2", "online3"} {
		p.must(t, "key", "@"+name)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(p.dir, "repo"))))
	t.Cleanup(server.Close)
	root, kept := []byte(p.shown(t)["metadata/1.root.json"]), t.TempDir()
	// follows requires that a client that has followed and one that begins with the first root see this version of the root, with targets by these keys.
	follows := func(title string, version int64, names ...string) {
		t.Helper()
		for _, dir := range []string{kept, t.TempDir()} {
			found, err := (tuf.Client{}).Find(t.Context(), engine.Wanted{URL: server.URL, Root: root, Dir: dir, Names: engine.TargetNames("0.17.8", hostPlatform(t), false)})
			if err != nil || found.Signed.Roles[0].Version != version {
				t.Fatalf("%s: %v, %+v", title, err, found)
			}
			if got := slices.Sorted(slices.Values(found.Signed.Roles[3].Keys)); !slices.Equal(got, p.ids(t, names...)) {
				t.Errorf("%s: targets are signed by %q", title, got)
			}
		}
	}
	follows("before", 1, "ann", "bob")
	for words, code := range map[string]int{
		"exchange @repo": 2, "exchange @repo --threshold -1": 2, "exchange @repo --threshold 3": 2, "exchange @repo --targets @cat": 2, "exchange @new --root @cat": 1,
		"exchange @repo --root @ann --root @bob": 4, "exchange @repo --online @online": 4, "exchange @repo --threshold 2": 4,
	} {
		if got, _, errs := p.run(strings.Fields(words)...); got != code {
			t.Errorf("%s: exit code %d, %s", words, got, errs)
		}
	}

	before := p.shown(t)
	for _, step := range []struct{ words, says string }{
		{"exchange @repo --root @ann --root @cat.pub --targets @cat.pub --targets @dan.pub --online @online2.pub --key @ann", "root 2 has 1 of 2 signatures"},
		{"sign @repo --key @bob", "it waits for the key " + p.ids(t, "cat")[0]},
		{"sign @repo --key @cat", "targets 3 has 1 of 2 signatures"},
		{"sign @repo --key @dan", "the online key of root 2 publishes it"},
	} {
		if out := p.must(t, strings.Fields(step.words)...); !strings.Contains(out, step.says) {
			t.Errorf("%s: %s", step.words, out)
		}
		if !maps.Equal(p.shown(t), before) {
			t.Fatalf("%s: clients see something of it", step.words)
		}
	}
	follows("drafted", 1, "ann", "bob")
	timestamp := p.shown(t)["metadata/timestamp.json"]
	if p.must(t, "sign", "@repo", "--key", "@online"); p.shown(t)["metadata/timestamp.json"] == timestamp {
		t.Error("the online key says nothing while the exchange waits")
	}
	follows("renewed while it waits", 1, "ann", "bob")
	draft, err := os.ReadFile(filepath.Join(p.dir, "repo", "draft", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.must(t, "sign", "@repo", "--key", "@online", "--key", "@online2")
	// As if it had ended before the root: what is there is good by the first one, too.
	if err := os.Remove(filepath.Join(p.dir, "repo", "metadata", "2.root.json")); err != nil {
		t.Fatal(err)
	}
	p.write(t, "repo/draft/root.json", draft)
	follows("in between", 1, "ann", "bob")
	if out := p.must(t, "sign", "@repo", "--key", "@online2"); !strings.Contains(out, "published root 2") || strings.Contains(out, "timestamp") {
		t.Errorf("again: %s", out)
	}
	follows("exchanged", 2, "cat", "dan")
	if code, _, errs := p.run("sign", "@repo", "--key", "@bob", "--renew"); code != 4 {
		t.Errorf("an old key signs: exit code %d, %s", code, errs)
	}
	if code, _, errs := p.run("sign", "@repo", "--key", "@online"); code != 4 {
		t.Errorf("the old online key signs: exit code %d, %s", code, errs)
	}

	// The old online key is lost.
	if out := p.must(t, "exchange", "@repo", "--online", "@online3", "--key", "@ann", "--key", "@cat"); !strings.Contains(out, "published root 3") || !strings.Contains(out, "timestamp 5") {
		t.Errorf("%s", out)
	}
	follows("a lost key", 3, "cat", "dan")
	if out := p.must(t, "exchange", "@repo", "--threshold", "1", "--key", "@ann", "--key", "@cat"); !strings.Contains(out, "published root 4") || strings.Contains(out, "timestamp") {
		t.Errorf("%s", out)
	}
	follows("a threshold", 4, "cat", "dan")
	p.must(t, "sign", "@repo", "--key", "@dan", "--key", "@online3", "--renew")
	follows("signed by one", 4, "dan")
	if left, _ := filepath.Glob(filepath.Join(p.dir, "repo", "draft", "*")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
	p.readByNode(t, server.URL, "0.17.8/tigerbeetle-"+string(hostPlatform(t)), "binary")
}

// readByNode has tuf-js, another client of the framework, read a target from the first root on.
func (p *publisher) readByNode(t *testing.T, url, name, same string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		err = exec.CommandContext(t.Context(), node, "-e", "require('tuf-js')").Run()
	}
	if err != nil {
		t.Skipf("skipped: the rest needs node and the module tuf-js of npm, where NODE_PATH finds it: %v", err)
	}
	dir := t.TempDir()
	program := `const fs = require('fs'), { Updater } = require('tuf-js');
const [url, root, dir, name] = process.argv.slice(1);
fs.copyFileSync(root, dir + '/root.json');
(async () => {
  const u = new Updater({ metadataDir: dir, targetDir: dir, metadataBaseUrl: url + '/metadata', targetBaseUrl: url + '/targets' });
  await u.refresh();
  const info = await u.getTargetInfo(name);
  await u.downloadTarget(info, dir + '/target');
})().catch((e) => { console.error(e); process.exit(1); });
`
	command := exec.CommandContext(t.Context(), node, "-e", program, url, filepath.Join(p.dir, "repo", "metadata", "1.root.json"), dir, name)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("tuf-js: %v\n%s", err, output)
	}
	want, err := os.ReadFile(filepath.Join(p.dir, same))
	got, readErr := os.ReadFile(filepath.Join(dir, "target"))
	if err != nil || readErr != nil || string(got) != string(want) {
		t.Errorf("tuf-js: %d bytes, %v, %v", len(got), err, readErr)
	}
	t.Log("tuf-js has read it")
}
