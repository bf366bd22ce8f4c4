package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/testbin"
)

// TestNotUTF8 requires that a name which cannot be written down as it is reaches nothing,
// however it comes in.
func TestNotUTF8(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: only Linux gives a file such a name and runs the fixture")
	}
	const name = "tigerbeetle-\xfc"
	dir := t.TempDir()
	binary := testbin.Build(t, testbin.Spec{})
	source, odd := filepath.Join(dir, "source"), filepath.Join(dir, "caf\xe9")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{source, filepath.Join(dir, name), filepath.Join(odd, "tigerbeetle")} {
		if err := os.WriteFile(path, binary, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, dir)
	for _, test := range []struct {
		in   string // the working directory
		args []string
		env  string
		says string
	}{
		{dir, []string{"install", source, filepath.Join(dir, name)}, "", "an argument is not UTF-8"},
		{dir, []string{"install", source, filepath.Join(odd, "tigerbeetle")}, "", "an argument is not UTF-8"},
		{dir, []string{"install", name, filepath.Join(dir, "target")}, "", "an argument is not UTF-8"},
		{dir, []string{"download", source, "--output=" + name}, "", "an argument is not UTF-8"},
		{dir, []string{"extract", source, "0.17.7", "-o", name}, "", "an argument is not UTF-8"},
		{dir, []string{"status", name, "--json"}, "", ""},
		{dir, []string{"install", source, "target", "--data-file", name}, "", "an argument is not UTF-8"},
		{dir, []string{"install", source, "./target", "--state-dir", name}, "", "an argument is not UTF-8"},
		{dir, []string{"exec", name, "version"}, "", "an argument is not UTF-8"},
		{dir, []string{"status"}, "TBCTL_TARGET=" + filepath.Join(dir, name), "the environment's TBCTL_TARGET is not UTF-8"},
		{dir, []string{"status", source}, "TBCTL_STATE_DIR=" + filepath.Join(dir, name), "the environment's TBCTL_STATE_DIR is not UTF-8"},
		{odd, []string{"install", source, "tigerbeetle"}, "", "the path is not UTF-8"},
		{odd, []string{"install", source, "tigerbeetle", "--dry-run"}, "", "the path is not UTF-8"},
		{odd, []string{"rollback", "tigerbeetle"}, "", "the path is not UTF-8"},
	} {
		command := exec.CommandContext(t.Context(), "tbctl", test.args...)
		command.Dir = test.in
		command.Env = append(os.Environ(), "TBCTL_CONFIG="+os.DevNull, "TBCTL_STATE_DIR="+filepath.Join(dir, "state"), test.env)
		var text bytes.Buffer
		command.Stderr = &text
		_ = command.Run()
		if code := command.ProcessState.ExitCode(); code != 2 || !strings.Contains(text.String(), test.says) {
			t.Errorf("%q: exit code %d, want 2 and %q: %s", test.args, code, test.says, text.String())
		}
		if after := listing(t, dir); !slices.Equal(after, before) {
			t.Fatalf("%q: there is %q, was %q", test.args, after, before)
		}
	}

	// A program gets its arguments to the byte.
	output, err := exec.CommandContext(t.Context(), "tbctl", "exec", source, "args", "caf\xe9", "", "--x=\xfc").Output()
	if want := source + "\nargs\ncaf\xe9\n\n--x=\xfc\n"; err != nil || string(output) != want {
		t.Errorf("the program got %q, want %q: %v", output, want, err)
	}
}

// listing is what is in a directory and below, with the sizes.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestOwnArguments(t *testing.T) {
	t.Parallel()
	var grammar cli
	parser, err := newParser(&grammar, nil, io.Discard, 80)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ line, own, program string }{
		{"install -- a", "install -- a", ""},
		{"exec", "exec", ""},
		{"exec f", "exec f", ""},
		{"exec f x --json", "exec f", "-- x --json"},
		{"exec f -- x -- y", "exec f", "-- x -- y"},
		{"exec --release 1.2.3 f x", "exec --release 1.2.3 f", "-- x"},
		{"exec --release=1.2.3 f --json -q x", "exec --release=1.2.3 f --json -q", "-- x"},
		{"exec f --state-dir d x", "exec f --state-dir d", "-- x"},
		{"exec f --unknown=1 x", "exec f", "-- --unknown=1 x"},
		{"exec --unknown f x", "exec --unknown f", "-- x"},
		{"exec f --release", "exec f --release", ""},
		{"exec -- f x", "exec", "-- f x"},
	} {
		own, program := cmdline.Own(parser.Model.Node, strings.Fields(test.line))
		if strings.Join(own, " ") != test.own || strings.Join(program, " ") != test.program {
			t.Errorf("%s: %q and %q, want %q and %q", test.line, own, program, test.own, test.program)
		}
	}
}
