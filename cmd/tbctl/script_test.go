package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaned{m}, programs)
}

// programs are what this test program is besides, by the name that it is called by.
var programs = map[string]func(){"tbctl": main}

// cleaned removes the fixtures after the tests, and keeps them from this host's own history: the
// flags that are not given come from the environment of the process.
type cleaned struct{ *testing.M }

func (c cleaned) Run() int {
	state, err := os.MkdirTemp("", "tbctl-state-")
	if err == nil {
		err = os.Setenv("TBCTL_STATE_DIR", state)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		_ = os.RemoveAll(state)
		_ = os.RemoveAll(fixtures.dir)
	}()
	return c.M.Run()
}

// TestScripts runs the real main in scripts: each command, text and JSON, each
// exit code. The fixtures are in $FIX, served at $URL.
func TestScripts(t *testing.T) {
	fixtures := fixtureDir(t)
	server := httptest.NewServer(http.FileServer(http.Dir(fixtures)))
	t.Cleanup(server.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIX", fixtures)
			env.Setenv("URL", server.URL)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("TBCTL_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("TBCTL_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("TBCTL_CONFIG", os.DevNull)
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  cmdCode,
			"json":  cmdJSON,
			"still": cmdStill,
			"clean": cmdClean,
		},
	})
}

func condition(name string) (bool, error) {
	switch name {
	case "can-install":
		// The fixtures are for linux; elsewhere a binary does not fit the host.
		return runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"), nil
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// cmdCode runs a program and requires its exit code: code N PROGRAM ARG…
// Standard input is the file of the environment variable STDIN, if set.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program arg…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = failed.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdJSON requires that standard output is one JSON document in which a path
// has a value: json stdout .result.changed true. A value of * stands for any.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE .path value")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	decoder.UseNumber()
	var document any
	ts.Check(decoder.Decode(&document))
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("more than one document in %s", args[0])
	}
	found, ok := document, true
	for _, key := range strings.FieldsFunc(args[1], func(r rune) bool { return r == '.' }) {
		found, ok = member(found, key)
		if !ok {
			break
		}
	}
	same := ok && (args[2] == "*" || fmt.Sprint(found) == args[2])
	all, err := loadSchemas()
	ts.Check(err)
	_, err = all.checkOutput([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	if same == neg {
		ts.Fatalf("%s is %v (there: %v), want %s (negated: %v)", args[1], found, ok, args[2], neg)
	}
}

func member(value any, key string) (any, bool) {
	switch value := value.(type) {
	case map[string]any:
		found, ok := value[key]
		return found, ok
	case []any:
		if key == "length" {
			return len(value), true
		}
		index, err := strconv.Atoi(key)
		if err != nil || index >= len(value) {
			return nil, false
		}
		return value[index], true
	}
	return nil, false
}

// cmdStill requires that a file has not been touched since the first call for
// it: the same inode, size, mode and times.
func cmdStill(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		info, err := os.Lstat(ts.MkAbs(name))
		ts.Check(err)
		now := fmt.Sprintf("%v %v %v %+v", info.Size(), info.Mode(), info.ModTime(), withoutAtime(info))
		note := ts.MkAbs(".still-" + strings.ReplaceAll(name, "/", "_"))
		if before, err := os.ReadFile(note); err == nil && !neg {
			if string(before) != now {
				ts.Fatalf("%s was touched:\nbefore %s\nnow    %s", name, before, now)
			}
			continue
		}
		ts.Check(os.WriteFile(note, []byte(now), 0o600))
	}
}

// cmdClean requires that a directory holds these files, locks and states alone.
func cmdClean(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	want := make(map[string]bool)
	for _, name := range args[1:] {
		want[name] = true
	}
	for _, entry := range entries {
		if name := entry.Name(); !want[name] && !strings.HasSuffix(name, ".tbctl-lock") && !strings.HasSuffix(name, ".tbctl-state") {
			ts.Fatalf("%s has %s", args[0], entry.Name())
		}
		delete(want, entry.Name())
	}
	if len(want) > 0 {
		ts.Fatalf("%s lacks %v", args[0], want)
	}
}

// fixtures are made once for the test process, and only read.
var fixtures struct {
	once sync.Once
	dir  string
}

// fixtureDir is the directory of the fixtures.
func fixtureDir(t *testing.T) string {
	t.Helper()
	fixtures.once.Do(func() {
		dir, err := os.MkdirTemp("", "tbctl-fixtures-")
		if err != nil {
			t.Fatal(err)
		}
		fixtures.dir = dir
		makeFixtures(t, dir)
	})
	if t.Failed() || fixtures.dir == "" {
		t.Fatal("the fixtures could not be made")
	}
	return fixtures.dir
}

func makeFixtures(t *testing.T, dir string) {
	t.Helper()
	platform, arch := multiversion.PlatformX86_64Linux, multiversion.ArchX86_64
	if runtime.GOARCH == "arm64" {
		platform, arch = multiversion.PlatformAArch64Linux, multiversion.ArchAArch64
	}
	small := func(texts ...string) []testbin.Past { // they say their release, and no more
		past := testbin.PastOf(texts...)
		for index := range past {
			past[index].Executable = tinyelf.Build(arch, tinyelf.Line(past[index].Release, 0))
		}
		return past
	}
	build := func(spec testbin.Spec) []byte {
		if spec.Platform == "" {
			spec.Platform = platform
		}
		return testbin.Build(t, spec)
	}
	write := func(name string, data []byte, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
	}
	first := build(testbin.Spec{Current: testbin.Release("0.17.1"), Past: small("0.16.9", "0.17.0")})
	second := build(testbin.Spec{Current: testbin.Release("0.17.2"), From: first})
	stranger := build(testbin.Spec{Current: testbin.Release("9.0.0"), Past: small("8.0.0")})
	write("v1", first, 0o755)
	write("v2", second, 0o755)
	write("v2-again", build(testbin.Spec{Current: testbin.Release("0.17.2"), From: first, Seed: 7}), 0o755)
	write("visit", build(testbin.Spec{Current: testbin.Release("0.17.3"), Past: small("0.17.1", "0.17.2v")}), 0o755)
	write("stranger", stranger, 0o755)
	write("plain", testbin.Executable(t, "linux", runtime.GOARCH, testbin.Release("0.15.3"), 0), 0o755)
	write("epoch", build(testbin.Spec{Current: testbin.Release("0.15.5"), Past: small("0.15.3", "0.15.4v")}), 0o755)
	write("windows.exe", build(testbin.Spec{Platform: multiversion.PlatformX86_64Windows}), 0o644)
	write("macos", build(testbin.Spec{Platform: multiversion.PlatformUniversalMacOS}), 0o755)
	zip := testbin.Zip(t, "tigerbeetle", second, testbin.ZipOptions{})
	write("v2.zip", zip, 0o644)
	write("stored.zip", testbin.Zip(t, "tigerbeetle", second, testbin.ZipOptions{Store: true}), 0o644)
	write("v2-noexec", second, 0o644)
	write("cut", second[:len(second)-100_000], 0o755)
	write("flipped", flip(second, len(second)/2), 0o755)
	write("cut.zip", zip[:len(zip)/2], 0o644)
	asset := "tigerbeetle-" + string(platform) + ".zip"
	write("mirror/0.17.1/"+asset, testbin.Zip(t, "tigerbeetle", first, testbin.ZipOptions{}), 0o644)
	write("mirror/0.17.2/"+asset, zip, 0o644)
	write("mirror/0.17.9/"+asset, zip, 0o644) // says another release than its tag
	write("page.zip", []byte("<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"), 0o644)
	write("text", []byte("no binary\n"), 0o644)
	for name, release := range map[string]string{"data-0.17.1": "0.17.1", "data-0.17.2": "0.17.2", "data-0.14.0": "0.14.0"} {
		superblock := datafile.Superblock{
			Version: 2, Sequence: 3, Cluster: datafile.NewID(7), ReplicaCount: 1,
			ReleaseFormat: testbin.Release("0.17.0"), Release: testbin.Release(release),
		}
		raw, err := zone.Encode(&superblock)
		if err != nil {
			t.Fatal(err)
		}
		write(name, raw[:], 0o600)
	}
}

func flip(data []byte, at int) []byte {
	damaged := append([]byte(nil), data...)
	damaged[at] ^= 1
	return damaged
}
