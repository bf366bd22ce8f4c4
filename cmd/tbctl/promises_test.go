package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/vfs"
)

// TestExitUnknown requires exit code 6, and the command that finds out, for every error by which
// the state of the disk is not known, whatever its cause is.
func TestExitUnknown(t *testing.T) {
	t.Parallel()
	const target = "/opt/tigerbeetle"
	for _, cause := range []error{errors.New("unexpected"), fsatomic.ErrChanged, vfs.ErrNoSpace, os.ErrPermission, context.Canceled} {
		for _, err := range []error{
			&install.ReadBackError{Target: target, Want: "1", Found: "2", Err: cause},
			&fsatomic.UnknownStateError{Path: target, Step: "exchange", Err: cause},
		} {
			a := &app{ctx: t.Context(), command: "install", about: hints.About{Target: target}, getenv: unset}
			got := classify(a, fmt.Errorf("install: %w", err))
			if got.code != exitUnknown || !strings.Contains(got.hint, "tbctl ") || !strings.Contains(got.hint, target) {
				t.Errorf("%T of %v: exit code %d, hint %q", err, cause, got.code, got.hint)
			}
		}
	}
}

// TestExitSyncFailed: a failed fsync before the swap leaves the target as it was. That is known, so
// that it is a failure, with and without the file's own command.
func TestExitSyncFailed(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"install", "rollback", "download", "pack"} {
		a := &app{ctx: t.Context(), command: command, getenv: unset}
		got := classify(a, fmt.Errorf("install: %w", &durable.SyncError{Path: "/opt/.tigerbeetle", Err: syscall.EIO}))
		if got.code != exitFailed || !strings.Contains(got.hint, "the disk may be failing") {
			t.Errorf("%s: exit code %d, hint %q", command, got.code, got.hint)
		}
	}
}

// TestErrorsArePrintable requires that a terminal is told nothing by what comes from outside, on
// standard error as little as in the result.
func TestErrorsArePrintable(t *testing.T) {
	t.Parallel()
	const name = "no\x1b]0;such\x07\u202efile\u009b2J no\x1b[1mno\x1b[31mno\x1b[0m" // the last ones may be the stream's own
	for _, args := range [][]string{
		{"verify", "./" + name}, {"inspect", "./" + name}, {"install", "./" + name, "/nowhere/" + name}, {"status", "/nowhere/" + name},
		{"rollback", "/nowhere/" + name}, {"install", name}, {name}, {"verify", "--" + name}, {"history", "/" + name}, {"releases", "--mirror", name},
	} {
		var out, errs bytes.Buffer
		code := run(append(args, "--color", "always"), streams{in: strings.NewReader(""), out: &out, err: &errs}, func(variable string) string {
			return map[string]string{"TBCTL_CONFIG": os.DevNull, "TBCTL_STATE_DIR": "/nowhere/state"}[variable]
		})
		if text := out.String() + errs.String(); strings.Contains(text, "no\x1b") || strings.ContainsAny(text, "\x07\u202e\u009b") || code == 0 && text == "" {
			t.Errorf("%q: exit code %d: %q", args, code, text)
		}
	}
}

// TestVersionInLines requires that the command and the flag print the same lines.
func TestVersionInLines(t *testing.T) {
	t.Parallel()
	var printed [2]string
	for index, word := range []string{"version", "--version"} {
		var out, errs bytes.Buffer
		code := run([]string{word}, streams{in: strings.NewReader(""), out: &out, err: &errs}, func(string) string { return "" })
		if printed[index] = out.String(); code != 0 || strings.Count(printed[index], "\n") < 2 {
			t.Errorf("%s: exit code %d: %q, %q", word, code, printed[index], errs.String())
		}
	}
	if printed[0] != printed[1] {
		t.Errorf("version prints %q, --version %q", printed[0], printed[1])
	}
}

// unset is an environment without variables.
func unset(string) string { return "" }
