package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// A foundAt is what may be at a name beside a target, or what may be true of it.
type foundAt struct {
	name string
	make func(t *testing.T, path string)
}

// chattr sets a flag, which is taken away when the test ends.
func chattr(t *testing.T, flag, path string) {
	t.Helper()
	if output, err := exec.Command("chattr", "+"+flag, path).CombinedOutput(); err != nil {
		t.Skipf("skipped: chattr: %v: %s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("chattr", "-"+flag, path).Run() })
}

func foundBeside(text []byte) []foundAt {
	file := func(t *testing.T, path string) { must(t, os.WriteFile(path, text, 0o600)) }
	return []foundAt{
		{"nothing", func(*testing.T, string) {}},
		{"file", file},
		{"directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }},
		{"directory with a file", func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o755))
			file(t, filepath.Join(path, "x"))
		}},
		{"pipe", func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o644)) }},
		{"socket", func(t *testing.T, path string) {
			short, err := os.MkdirTemp("", "s") // its name may not be long
			must(t, err)
			t.Cleanup(func() { os.RemoveAll(short) })
			listener, err := net.Listen("unix", filepath.Join(short, "s"))
			must(t, err)
			t.Cleanup(func() { listener.Close() })
			must(t, os.Rename(filepath.Join(short, "s"), path))
		}},
		{"link to nowhere", func(t *testing.T, path string) { must(t, os.Symlink("/nowhere/at/all", path)) }},
		{"link to a file", func(t *testing.T, path string) {
			elsewhere := filepath.Join(t.TempDir(), "elsewhere")
			file(t, elsewhere)
			must(t, os.Symlink(elsewhere, path))
		}},
		{"two links", func(t *testing.T, path string) {
			file(t, path)
			must(t, os.Link(path, filepath.Join(t.TempDir(), "second")))
		}},
		{"another user's", func(t *testing.T, path string) {
			file(t, path)
			must(t, os.Chown(path, 4001, 4001))
		}},
		{"immutable", func(t *testing.T, path string) {
			file(t, path)
			chattr(t, "i", path)
		}},
		{"append-only", func(t *testing.T, path string) {
			file(t, path)
			chattr(t, "a", path)
		}},
		{"without rights", func(t *testing.T, path string) {
			file(t, path)
			must(t, os.Chmod(path, 0))
		}},
		{"1 GiB", func(t *testing.T, path string) {
			file(t, path)
			must(t, os.Truncate(path, 1<<30))
		}},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDryRunIsTheRealRun requires that a dry run ends with the exit code, the error, the hint and the
// warnings of the real run, whatever is beside the target or at the place of the history; and that
// what is refused says a path of which the operator can do something about.
func TestDryRunIsTheRealRun(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to give files away and to set flags")
	}
	platform := multiversion.ThisPlatform()
	old := testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.1"), Past: testbin.PastOf("0.16.9", "0.17.0")})
	next := testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.2"), From: old})
	places := []struct {
		name string // in the target's directory, or absolute in the test's
		text []byte // of a file there
		code map[string]int
	}{
		{"tb-old", old, map[string]int{"directory": 1, "directory with a file": 1, "pipe": 1, "socket": 1, "link to nowhere": 1, "link to a file": 1,
			"immutable": 1, "append-only": 1}},
		{".tb.tbctl-state", []byte(`{"version":1}`), map[string]int{"directory": 1, "directory with a file": 1, "immutable": 1, "append-only": 1,
			"pipe": 4, "socket": 4, "link to nowhere": 4, "link to a file": 4, "two links": 4, "another user's": 4, "1 GiB": 4}},
		{".tb.tbctl-lock", nil, map[string]int{"directory": 1, "directory with a file": 1, "pipe": 1, "socket": 1, "link to nowhere": 1, "link to a file": 1, "two links": 1}},
		{".tb.tbctl-stage-0123456789abcdef", nil, map[string]int{"immutable": 1, "append-only": 1}},
		{".tb.tbctl-temp-0123456789abcdef", nil, nil},
		{".tb.tbctl-ready-12345", old, map[string]int{"immutable": 1, "append-only": 1}},
		{"/state/history.jsonl", []byte("{}\n"), nil},
		{"/state", nil, nil},
	}
	for _, place := range places {
		for _, found := range foundBeside(place.text) {
			t.Run(place.name+"/"+found.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				bin, state := filepath.Join(dir, "bin"), filepath.Join(dir, "state")
				must(t, os.Mkdir(bin, 0o755))
				target, source := filepath.Join(bin, "tb"), filepath.Join(dir, "next")
				must(t, os.WriteFile(target, old, 0o755))
				must(t, os.WriteFile(source, next, 0o755))
				path := filepath.Join(bin, place.name)
				if strings.HasPrefix(place.name, "/") {
					path = filepath.Join(dir, place.name)
				}
				if place.name == "/state/history.jsonl" {
					must(t, os.Mkdir(state, 0o755))
				}
				found.make(t, path)
				act := func(flags ...string) (int, string) {
					var out, errs bytes.Buffer
					code := run(append([]string{"install", source, target, "--quiet", "--state-dir", state}, flags...), streams{in: strings.NewReader(""), out: &out, err: &errs},
						func(name string) string { return map[string]string{"TBCTL_CONFIG": os.DevNull}[name] })
					return code, errs.String()
				}
				foreseen, told := act("--dry-run")
				code, says := act()
				if code != foreseen || code != place.code[found.name] {
					t.Errorf("exit code %d of the dry run, %d of the real run, want %d", foreseen, code, place.code[found.name])
				}
				told = strings.ReplaceAll(told, " --dry-run", "") // the hint has the command as it was typed
				if told != says {
					t.Errorf("the dry run says:\n%s\nthe real run says:\n%s", told, says)
				}
				there, err := os.ReadFile(target)
				must(t, err)
				if want := map[bool][]byte{true: next, false: old}[code == 0]; !bytes.Equal(there, want) {
					t.Errorf("exit code %d, and the target is another file", code)
				}
				if code != 0 && (!strings.Contains(says, path) || strings.Contains(says, "--help")) {
					t.Errorf("nothing to act on:\n%s", says)
				}
			})
		}
	}
}
