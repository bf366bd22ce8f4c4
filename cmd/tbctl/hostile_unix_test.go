//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
)

// hostile is a name that would clear the screen, set the title, and look like lines of
// tbctl's own.
const hostile = "x\x1b[2J\x1b]0;t\x07\ntbctl: error: fake\ninstalled  9.9.9\r\u009b31m\u202e"

// TestHostileNames requires of every command that a name from outside stays in its line
// and does nothing to a terminal, in results, warnings, errors and hints.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	platform := multiversion.HostPlatform("linux", "amd64")
	dir := t.TempDir()
	old := testbin.Build(t, tinyelf.Spec(platform, 0, "0.17.1", "0.16.9", "0.17.0"))
	later := tinyelf.Spec(platform, 0, "0.17.2")
	later.From = old
	next := testbin.Build(t, later)
	odd := filepath.Join(dir, hostile)
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Skipf("skipped: no such name here: %v", err)
	}
	for name, data := range map[string][]byte{
		"old": old, "next": next, hostile + "/tb": old, hostile + "/next": next, hostile + "/cut": next[:1000], hostile + "/text": []byte("text"),
		hostile + "/tb.zip": testbin.Zip(t, "tigerbeetle", next, testbin.ZipOptions{}), hostile + "/bad.zip": testbin.Zip(t, hostile, next, testbin.ZipOptions{}),
		hostile + "/config.toml": []byte("nonsense = true\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(odd, name) }
	for index, test := range []struct {
		args []string
		env  string
	}{
		{[]string{"inspect", in("tb")}, ""},
		{[]string{"inspect", in("tb"), in("text"), in("none")}, ""},
		{[]string{"inspect", in("bad.zip")}, ""},
		{[]string{"verify", in("tb.zip")}, ""},
		{[]string{"verify", in("next"), "--against", in("tb")}, ""},
		{[]string{"verify", in("cut"), "--against", in("tb")}, ""},
		{[]string{"verify", in("text")}, ""},
		{[]string{"verify", in("tb"), "--sha256", hostile}, ""},
		{[]string{"status", in("tb")}, ""},
		{[]string{"status", in("none")}, ""},
		{[]string{"status", in("text")}, ""},
		{[]string{"install", in("next"), in("tb"), "--dry-run"}, ""},
		{[]string{"install", in("next"), in("tb"), "--running", "0.17.1"}, ""},
		{[]string{"install", in("next"), in("tb")}, ""}, // it is there already
		{[]string{"install", in("bad.zip"), in("tb")}, ""},
		{[]string{"install", in("text"), in("tb")}, ""},
		{[]string{"install", in("none"), in("tb")}, ""},
		{[]string{"install", hostile, in("tb")}, ""},
		{[]string{"install", "0.17.2", hostile}, ""},
		{[]string{"install", "0.17.2", in("tb"), "--mirror", odd}, ""},
		{[]string{"install", "0.17.2", in("tb"), "--mirror", "http://" + hostile}, ""},
		{[]string{"install", "http://127.0.0.1:1/" + hostile, in("tb")}, ""},
		{[]string{"install", in("next"), filepath.Join(in("none"), "tb")}, ""},
		{[]string{"install", in("next"), in("tb"), "--data-file", in("text")}, ""},
		{[]string{"install", in("next"), in("tb"), "--owner", hostile}, ""},
		{[]string{"install", in("next"), in("tb"), "--require", hostile}, ""},
		{[]string{"install", in("next"), in("tb"), "--public-key", in("text")}, ""},
		{[]string{"install", in("next"), in("tb"), "--" + hostile}, ""},
		{[]string{"rollback", in("tb"), "--stopped", "--running", "0.17.1"}, ""},
		{[]string{"rollback", in("none")}, ""},
		{[]string{"history"}, ""},
		{[]string{"history", in("tb")}, ""},
		{[]string{"history", in("none")}, ""},
		{[]string{"watch", in("tb"), "--until", hostile}, ""},
		{[]string{"watch", in("tb"), "--timeout", "1ms"}, ""},
		{[]string{"releases", "--mirror", odd}, ""},
		{[]string{"download", in("tb.zip"), "-o", in("got")}, ""},
		{[]string{"download", in("tb.zip"), "-o", in("text")}, ""},
		{[]string{"download", in("bad.zip"), "-o", in("got")}, ""},
		{[]string{"extract", in("next"), "0.17.1", "-o", in("out")}, ""},
		{[]string{"extract", in("next"), "0.9.9", "-o", in("out")}, ""},
		{[]string{"extract", in("next"), "--all", in("all")}, ""},
		{[]string{"pack", in("text"), "-o", in("packed"), "--release", "0.17.3"}, ""},
		{[]string{"exec", in("text"), "version"}, ""},
		{[]string{"config"}, "TBCTL_TARGET=" + in("tb")},
		{[]string{"config"}, "TBCTL_CONFIG=" + in("config.toml")},
		{[]string{"config"}, "TBCTL_CONFIG=" + in("none")},
		{[]string{"config"}, "TBCTL_REQUIRE=" + hostile},
		{[]string{hostile}, ""},
		{[]string{"man", hostile}, ""},
		{[]string{"completion", hostile}, ""},
	} {
		for form, more := range [][]string{nil, {"--json"}, {"--color=always"}} {
			if !testbin.Full() && form == 1+index%2 { // as text always, and in one of the other forms
				continue
			}
			command := exec.CommandContext(t.Context(), "tbctl", slices.Insert(slices.Clone(test.args), 1, more...)...)
			command.Dir = dir
			command.Env = append(os.Environ(), "TBCTL_CONFIG="+os.DevNull, "TBCTL_STATE_DIR="+filepath.Join(dir, "state"), "TBCTL_CACHE_DIR="+filepath.Join(dir, "cache"),
				"HTTP_PROXY=", "HTTPS_PROXY=", test.env)
			var out, text bytes.Buffer
			command.Stdout, command.Stderr = &out, &text
			_ = command.Run()                                         // whatever it comes to
			if out.Len()+text.Len() == 0 && test.args[0] != "watch" { // which has nothing to say in a moment
				t.Errorf("%q says nothing", command.Args)
			}
			if strings.Contains(strings.Join(more, ""), "json") {
				for line := range bytes.Lines(out.Bytes()) {
					harmless(t, command.Args, string(line), false)
				}
				if !json.Valid(out.Bytes()) && test.args[0] != "watch" {
					t.Errorf("%q: no document: %s", command.Args, out.Bytes())
				}
				continue
			}
			for line := range strings.Lines(out.String() + text.String()) {
				harmless(t, command.Args, line, len(more) > 0)
			}
		}
	}
}

// harmless requires that a line is one of tbctl's, and that a terminal only shows it.
func harmless(t *testing.T, args []string, line string, coloured bool) {
	t.Helper()
	line = strings.TrimSuffix(line, "\n")
	if strings.HasPrefix(line, "tbctl: error: fake") || strings.HasPrefix(line, "installed  9.9.9") {
		t.Errorf("%q: a name became a line: %q", args, line)
	}
	for _, r := range line {
		if unicode.IsControl(r) && !(coloured && r == '\x1b') || r == '\u202e' {
			t.Errorf("%q: a terminal acts on %q in %q", args, r, line)
			return
		}
	}
	if coloured && (strings.Contains(line, "\x1b[2J") || strings.Contains(line, "\x1b]")) {
		t.Errorf("%q: a terminal acts on %q", args, line)
	}
}
