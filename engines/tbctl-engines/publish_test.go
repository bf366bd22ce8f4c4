package main

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/tuf"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// publisher runs tbctl-engines tuf in a directory of its own.
type publisher struct{ dir string }

// run runs it; words that begin with @ are files there.
func (p *publisher) run(words ...string) (code int, out, errs string) {
	args := []string{"tuf"}
	for _, word := range words {
		if name, is := strings.CutPrefix(word, "@"); is {
			word = filepath.Join(p.dir, name)
		}
		args = append(args, word)
	}
	var said, complained bytes.Buffer
	code = run(args, os.Stdin, &said, &complained)
	return code, said.String(), complained.String()
}

func (p *publisher) must(t *testing.T, words ...string) string {
	t.Helper()
	code, out, errs := p.run(words...)
	if code != 0 {
		t.Fatalf("tuf %q: exit code %d\n%s%s", words, code, out, errs)
	}
	return out
}

func (p *publisher) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// shown are the files that clients see, with their bytes.
func (p *publisher) shown(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"repo/metadata/*", "repo/targets/*/*"} {
		names, err := filepath.Glob(filepath.Join(p.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(name, p.dir+"/repo/")] = string(text)
		}
	}
	return all
}

// newRepository is one that wants the signatures of ann and bob, with an empty list of targets that is published.
func newRepository(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{t.TempDir()}
	for _, name := range []string{"ann", "bob", "online"} {
		p.must(t, "key", "@"+name)
	}
	out := p.must(t, "init", "@repo", "--root", "@ann", "--root", "@bob.pub", "--targets", "@ann", "--targets", "@bob.pub", "--online", "@online.pub", "--threshold", "2")
	if !strings.Contains(out, "root 1 has 1 of 2 signatures") || len(p.shown(t)) != 0 {
		t.Fatalf("%s%v", out, p.shown(t))
	}
	if out := p.must(t, "sign", "@repo", "--key", "@bob"); !strings.Contains(out, "published root 1") || !strings.Contains(out, "the online key publishes it") {
		t.Fatalf("%s", out)
	}
	p.must(t, "sign", "@repo", "--key", "@online")
	return p
}

// TestPublish holds that an organisation's own release gets to the target of a host: made, signed by two people and the online key,
// imported by tbctl by what they signed, and installed.
func TestPublish(t *testing.T) {
	t.Parallel()
	p, c := newRepository(t), newController(t)
	binary := hostBinary(t)
	p.write(t, "asset.zip", testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{}))
	other := multiversion.PlatformAArch64Linux
	if hostPlatform(t) == other {
		other = multiversion.PlatformX86_64Linux
	}
	p.write(t, "other", testbin.Build(t, testbin.Spec{Platform: other, Current: multiversion.NewRelease(0, 17, 8), Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, 7)}}}))
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(p.dir, "repo"))))
	t.Cleanup(server.Close)
	from := []string{"store", "import", "0.17.8", "--from", "tuf+" + server.URL, "--plain-http", "--root", filepath.Join(p.dir, "repo", "metadata", "1.root.json"), "--require", "signature"}
	if code, _, errs := c.run(t, from...); code != 1 || !strings.Contains(errs, "no such target") {
		t.Errorf("before it is added: exit code %d, %s", code, errs)
	}

	before := p.shown(t)["metadata/timestamp.json"]
	out := p.must(t, "add", "@repo", "0.17.8", "@asset.zip", "@other", "--key", "@ann")
	if !strings.Contains(out, "targets 2 has 1 of 2 signatures") || p.shown(t)["metadata/timestamp.json"] != before {
		t.Errorf("published with one signature of two: %s", out)
	}
	p.must(t, "sign", "@repo", "--key", "@bob", "--key", "@online")
	c.must(t, from...)
	installed := filepath.Join(c.dir, "tigerbeetle")
	c.must(t, "install", "store:0.17.8", installed, "--require", "signature")
	if got, err := os.ReadFile(installed); err != nil || !bytes.Equal(got, binary) {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	// Renewed by all, and a timestamp by the online key.
	p.must(t, "sign", "@repo", "--key", "@ann", "--renew")
	if out := p.must(t, "sign", "@repo", "--key", "@bob", "--key", "@online"); !strings.Contains(out, "published root 2") || !strings.Contains(out, "published targets 3") {
		t.Errorf("%s", out)
	}
	if out := p.must(t, "sign", "@repo", "--key", "@online"); !strings.Contains(out, "timestamp 4") {
		t.Errorf("%s", out)
	}
	c.must(t, from...)

	// Others' programs read it.
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.CommandContext(t.Context(), python, "-c", "import tuf.ngclient").Run()
	}
	if err != nil {
		t.Skipf("skipped: the rest needs python-tuf, the module tuf of python3: %v", err)
	}
	dir := t.TempDir()
	program := `import sys
from tuf.ngclient import Updater
url, root, dir, name = sys.argv[1:]
u = Updater(dir, url + "/metadata/", dir, url + "/targets/", bootstrap=open(root, "rb").read()) if "bootstrap" in Updater.__init__.__code__.co_varnames else None
if u is None:
    import shutil
    shutil.copy(root, dir + "/root.json")
    u = Updater(dir, url + "/metadata/", dir, url + "/targets/")
u.refresh()
print(u.download_target(u.get_targetinfo(name), dir + "/target"))
`
	command := exec.CommandContext(t.Context(), python, "-c", program, server.URL, filepath.Join(p.dir, "repo", "metadata", "1.root.json"), dir, "0.17.8/tigerbeetle-"+string(hostPlatform(t))+".zip")
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("python-tuf: %v\n%s", err, output)
	}
	want, err := os.ReadFile(filepath.Join(p.dir, "asset.zip"))
	if got, readErr := os.ReadFile(filepath.Join(dir, "target")); err != nil || readErr != nil || !bytes.Equal(got, want) {
		t.Errorf("python-tuf: %d bytes, %v", len(got), readErr)
	}
}

// TestPublishRefuses holds what is refused, and that clients see nothing of it.
func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	p := newRepository(t)
	binary := hostBinary(t)
	damaged := bytes.Clone(binary)
	damaged[len(damaged)/2] ^= 1
	p.write(t, "binary", binary)
	p.write(t, "damaged", damaged)
	p.write(t, "nothing", []byte("a text"))
	p.must(t, "key", "@stranger")
	p.must(t, "key", "@open")
	if err := os.Chmod(filepath.Join(p.dir, "open"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "online"} {
		info, err := os.Stat(filepath.Join(p.dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	before := p.shown(t)
	for _, test := range []struct {
		words string
		code  int
		text  string
	}{
		{"", 2, "hint"}, {"other", 2, "hint"}, {"sign @repo", 2, "hint"}, {"add @repo 0.17.8", 2, "hint"}, {"add @repo latest @binary", 2, "number"}, {"sign @repo --other", 2, "hint"},
		{"key @ann", 1, "exists"},
		{"init @repo --root @ann --targets @ann --online @online", 4, "already"},
		{"init @refused --root @ann --targets @ann --online @online --threshold 2", 2, "fewer keys"},
		{"init @refused --root @ann --root @ann --targets @ann --targets @bob --online @online --threshold 2", 2, "fewer keys"},
		{"init @refused --root @ann --targets @ann", 2, "fewer keys"},
		{"init @new --root @nothing --targets @ann --online @online", 2, "not an Ed25519 key"},
		{"add @new 0.17.8 @binary", 1, "no repository"},
		{"sign @new --key @ann", 1, "no repository"},
		{"sign @repo --key @open", 4, "others may read"},
		{"sign @repo --key @stranger", 4, "no role of this repository has the key"},
		{"sign @repo --key @ann", 4, "nothing to sign"},
		{"sign @repo --key @ann.pub", 2, "ann.pub: it is the public half of a key"},
		{"add @repo 0.17.8 @binary --key @ann.pub", 2, "public half"},
		{"status @new", 1, "no repository"},
		{"status", 2, "hint"},
		{"discard @repo", 4, "nothing waits"},
		{"discard @new", 1, "no repository"},
		{"id", 2, "hint"},
		{"id @nothing", 2, "not an Ed25519 key"},
		{"add @repo 0.17.8 @damaged --key @ann", 3, "damaged"},
		{"add @repo 0.17.8 @nothing --key @ann", 3, "nothing"},
		{"add @repo 0.17.9 @binary --key @ann", 3, "0.17.8"},
		{"add @repo 0.17.8 @binary @binary --key @ann", 2, "same platform"},
	} {
		code, out, errs := p.run(strings.Fields(test.words)...)
		if code != test.code || !strings.Contains(errs, test.text) {
			t.Errorf("%s: exit code %d\n%s%s", test.words, code, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made where there is no repository: %v", err)
	}
	after := p.shown(t)
	for name := range after {
		if strings.HasPrefix(name, "targets/") { // no metadata names it
			delete(after, name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("before %d files, then %d", len(before), len(after))
	}
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
	p.must(t, "add", "@repo", "0.17.8", "@binary", "--key", "@ann", "--key", "@bob", "--key", "@online")
	p.write(t, "again", testbin.Build(t, testbin.Spec{Platform: hostPlatform(t), Current: multiversion.NewRelease(0, 17, 8), Seed: 7, Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, 7)}}}))
	if code, _, errs := p.run("add", "@repo", "0.17.8", "@again", "--key", "@ann"); code != 4 || !strings.Contains(errs, "other bytes") {
		t.Errorf("other bytes: exit code %d, %s", code, errs)
	}
}

// TestStatus holds that it is told what is published, what waits and for whose keys, and that a draft is taken back, unless clients need it.
func TestStatus(t *testing.T) {
	t.Parallel()
	p := newRepository(t)
	p.write(t, "binary", hostBinary(t))
	for _, name := range []string{"cat", "online2"} {
		p.must(t, "key", "@"+name)
	}
	is := func(title, words string, lines ...string) {
		t.Helper()
		out := p.must(t, strings.Fields("status @repo "+words)...)
		for _, line := range lines {
			if !strings.Contains(out, line) {
				t.Errorf("%s: %q is not in\n%s", title, line, out)
			}
		}
	}
	ann, bob, cat := p.ids(t, "ann")[0], p.ids(t, "bob")[0], p.ids(t, "cat")[0]
	if out := p.must(t, "id", "@ann.pub", "@bob"); out != ann+" "+p.dir+"/ann.pub\n"+bob+" "+p.dir+"/bob\n" {
		t.Errorf("%s", out)
	}
	is("published", "", "published root 1, good until 20", "published targets 1,", "published snapshot 1,", "published timestamp 1,", "nothing waits for signatures")
	p.must(t, "add", "@repo", "0.17.8", "@binary", "--key", "@ann")
	is("targets", "--key @ann.pub --key @bob.pub", "targets 2 has 1 of 2 signatures; it waits for the key "+bob+" ("+p.dir+"/bob.pub)")
	drafted := p.shown(t)
	p.must(t, "discard", "@repo")
	is("taken back", "", "nothing waits for signatures")
	p.must(t, "add", "@repo", "0.17.8", "@binary", "--key", "@ann", "--key", "@bob", "--key", "@online")
	is("published targets", "", "published targets 2,", "nothing waits")
	if out := p.must(t, "add", "@repo", "0.17.8", "@binary", "--key", "@ann"); !strings.Contains(out, "is there already") || strings.Contains(out, "added") {
		t.Errorf("the same release again: %s", out)
	}
	is("the same release", "", "published targets 2,", "nothing waits")

	before := p.shown(t)
	p.must(t, "exchange", "@repo", "--root", "@cat.pub", "--root", "@ann.pub", "--targets", "@cat.pub", "--targets", "@ann.pub", "--key", "@ann")
	is("an exchange", "", "root 2 has 1 of 2 signatures; it waits for the key "+bob, "it waits for the key "+cat, "targets 3 has 1 of 2")
	if out := p.must(t, "discard", "@repo"); !strings.Contains(out, "took back the draft of root 2") || !strings.Contains(out, "took back the draft of targets 3") {
		t.Errorf("%s", out)
	}
	is("an exchange that was taken back", "", "published root 1,", "nothing waits")
	if !maps.Equal(before, p.shown(t)) || maps.Equal(before, drafted) {
		t.Error("what is published has changed")
	}

	// A draft of targets that a root which is published needs.
	p.must(t, "exchange", "@repo", "--targets", "@cat.pub", "--targets", "@ann.pub", "--key", "@ann", "--key", "@bob")
	text, err := os.ReadFile(filepath.Join(p.dir, "repo", "draft", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "repo/metadata/2.root.json", text)
	if code, _, errs := p.run("discard", "@repo"); code != 4 || !strings.Contains(errs, "needs the draft") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	is("needed", "", "targets 3 has 1 of 2 signatures; it waits for the key "+cat)
}

// TestGuide runs what the guide says for an organisation that is its own publisher.
func TestGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, found := strings.Cut(string(text), "\n## Releases signed by your own people\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	var fences []string
	for rest := chapter; ; {
		_, after, has := strings.Cut(rest, "```sh\n")
		if !has {
			break
		}
		fence, next, _ := strings.Cut(after, "```")
		fences, rest = append(fences, fence), next
	}
	if !found || len(fences) != 2 {
		t.Fatalf("the chapter has %d fences", len(fences))
	}
	c := newController(t)
	for _, platform := range []multiversion.Platform{multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux} {
		binary := testbin.Build(t, testbin.Spec{Platform: platform, Current: multiversion.NewRelease(0, 17, 8), Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, 7)}}})
		if err := os.WriteFile(filepath.Join(c.dir, "tigerbeetle-"+string(platform)+".zip"), testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(c.dir, "tuf"))))
	t.Cleanup(server.Close)
	shell := func(script string) {
		command := exec.CommandContext(t.Context(), "sh", "-ec", script)
		command.Dir = c.dir
		command.Env = append(os.Environ(), "PATH="+filepath.Dir(c.tbctl)+":"+os.Getenv("PATH"), "HOME="+c.dir, "TBCTL_STORE=",
			"TBCTL_STATE_DIR="+filepath.Join(c.dir, "state"), "TBCTL_CACHE_DIR="+filepath.Join(c.dir, "cache"), "TBCTL_TARGET="+filepath.Join(c.dir, "tigerbeetle"))
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s%s", err, script, output)
		}
	}
	shell(fences[0])
	shell("cp tuf/metadata/1.root.json root.json")
	shell(strings.ReplaceAll(fences[1], "tuf+https://releases.internal/tigerbeetle", "tuf+"+server.URL+" --plain-http"))
	if _, err := os.Stat(filepath.Join(c.dir, "tigerbeetle")); err != nil {
		t.Error(err)
	}
}

// TestPublishInterrupted holds that a publication that ended before its timestamp shows clients what was there, and that the same
// command again finishes it.
func TestPublishInterrupted(t *testing.T) {
	t.Parallel()
	p := newRepository(t)
	p.write(t, "binary", hostBinary(t))
	p.must(t, "add", "@repo", "0.17.8", "@binary", "--key", "@ann", "--key", "@bob")
	kept := map[string][]byte{}
	for _, name := range []string{"repo/metadata/timestamp.json", "repo/draft/targets.json"} {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		kept[name] = text
	}
	p.must(t, "sign", "@repo", "--key", "@online")
	for name, text := range kept { // as if it had ended before these
		p.write(t, name, text)
	}
	client, root := t.TempDir(), []byte(p.shown(t)["metadata/1.root.json"])
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(p.dir, "repo"))))
	t.Cleanup(server.Close)
	wanted := engine.Wanted{URL: server.URL, Root: root, Dir: client, Names: engine.TargetNames("0.17.8", hostPlatform(t), false)}
	if _, err := (tuf.Client{}).Find(t.Context(), wanted); !errors.Is(err, engine.ErrTUFTarget) {
		t.Errorf("in between: %v", err)
	}
	p.must(t, "sign", "@repo", "--key", "@online")
	if found, err := (tuf.Client{}).Find(t.Context(), wanted); err != nil || found.Signed.Roles[3].Version != 2 || len(found.Signed.Roles[3].Keys) != 2 {
		t.Errorf("then: %v, %+v", err, found)
	}
	if left, _ := filepath.Glob(filepath.Join(p.dir, "repo", "draft", "*")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
}

// TestAdvisories holds that a list that is published replaces the one that is built in on a machine that imports from there, that every
// command says so, and that a server that changes or withholds it gets nothing in.
func TestAdvisories(t *testing.T) {
	t.Parallel()
	p, c := newRepository(t), newController(t)
	list := func(day, text string) []byte {
		return []byte(`{"version": 1, "checked": "` + day + `", "newest": "0.17.8", "advisories": [
			{"id": "own-1", "from": "0.17.8", "to": "0.17.8", "skip": true, "text": "` + text + `", "source": "our own tests", "date": "2026-01-01"}]}`)
	}
	p.write(t, "asset.zip", testbin.Zip(t, "tigerbeetle", hostBinary(t), testbin.ZipOptions{}))
	p.write(t, "list.json", list("2999-01-02", "our disks do not like it"))
	p.write(t, "older.json", list("2999-01-01", "an older list"))
	p.write(t, "newer.json", list("2999-01-03", "a newer list"))
	p.write(t, "misspelt.json", bytes.Replace(list("2999-01-03", "x"), []byte(`"skip"`), []byte(`"skipp"`), 1))
	p.must(t, "add", "@repo", "0.17.8", "@asset.zip", "--key", "@ann")
	p.must(t, "sign", "@repo", "--key", "@bob", "--key", "@online")
	for _, test := range []struct {
		code  int
		words []string
		want  string
	}{
		{3, []string{"add", "@repo", "--advisories", "@misspelt.json", "--key", "@ann"}, "skipp"},
		{3, []string{"add", "@repo", "--advisories", "@asset.zip", "--key", "@ann"}, "not a list of advisories"},
		{2, []string{"add", "@repo", "0.17.8", "@asset.zip", "--advisories", "@list.json"}, "not how it is used"},
		{0, []string{"add", "@repo", "--advisories", "@list.json", "--key", "@ann"}, ""},
		{4, []string{"add", "@repo", "--advisories", "@older.json", "--key", "@ann"}, "a newer list of advisories is there"},
	} {
		if code, _, errs := p.run(test.words...); code != test.code || !strings.Contains(errs, test.want) {
			t.Errorf("%q: exit code %d, %s", test.words, code, errs)
		}
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(p.dir, "repo"))))
	t.Cleanup(server.Close)
	from := []string{"store", "import", "0.17.8", "--from", "tuf+" + server.URL, "--plain-http", "--root", filepath.Join(p.dir, "repo", "metadata", "1.root.json")}
	imports := func(code int, want string) {
		t.Helper()
		if got, out, errs := c.run(t, from...); got != code || !strings.Contains(errs, want) || want == "" && strings.Contains(errs, "warning") {
			t.Errorf("exit code %d, not %d and %q: %s%s", got, code, want, out, errs)
		}
	}
	says := func(want string) {
		t.Helper()
		for _, words := range [][]string{{"status", "none", "--json"}, {"inspect", filepath.Join(p.dir, "asset.zip"), "--json"}} {
			if _, out, _ := c.run(t, words...); !strings.Contains(out, want) {
				t.Errorf("%q does not say %s: %s", words, want, out)
			}
		}
	}
	imports(0, "") // the list waits for bob
	says(`"source": "built-in"`)
	p.must(t, "sign", "@repo", "--key", "@bob", "--key", "@online")

	names, err := filepath.Glob(filepath.Join(p.dir, "repo", "targets", "*.advisories.json"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	signed, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		if err := os.WriteFile(names[0], text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(bytes.Replace(signed, []byte(`"skip": true`), []byte(`"skip":false`), 1))
	imports(3, "not the one that was signed")
	put(append(bytes.Clone(signed), ' '))
	imports(3, "not the one that was signed")
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	imports(1, "the repository lacks a file")
	says(`"source": "built-in"`)

	put(signed)
	imports(0, "0.17.8: our disks do not like it")
	says(`"checked": "2999-01-02"`)
	says(`"repository": "` + server.URL + `"`)
	if _, _, errs := c.run(t, "install", "store:0.17.8", filepath.Join(c.dir, "tigerbeetle")); !strings.Contains(errs, "0.17.8: our disks do not like it") {
		t.Errorf("an installation does not warn: %s", errs)
	}
	if _, out, errs := c.run(t, "status", filepath.Join(c.dir, "tigerbeetle")); !strings.Contains(errs, "our disks do not like it") || !strings.Contains(out, "of 2999-01-02, signed") {
		t.Errorf("%s%s", out, errs)
	}

	p.must(t, "add", "@repo", "--advisories", "@newer.json", "--key", "@ann")
	p.must(t, "sign", "@repo", "--key", "@bob", "--key", "@online")
	imports(0, "0.17.8: a newer list")
	says(`"checked": "2999-01-03"`)

	kept := filepath.Join(c.dir, "state", "advisories.json")
	if err := os.Chmod(kept, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, errs := c.run(t, "status", "none"); !strings.Contains(errs, "of releases only what is built in is known") || !strings.Contains(errs, "is not believed") {
		t.Errorf("%s", errs)
	}
	says(`"source": "built-in"`)
}
