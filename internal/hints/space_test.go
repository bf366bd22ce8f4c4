package hints

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/rollout"
)

// TestByCause: what is to be done about a sync, and about the history, depends on what went wrong.
func TestByCause(t *testing.T) {
	t.Parallel()
	of := func(err error) error { return &fs.PathError{Op: "sync", Path: "/s/history.jsonl", Err: err} }
	known := &Known{Command: "install", StateDir: func() string { return "/s" }}
	for name, test := range map[string]struct {
		err  error
		want string
		not  string
	}{
		"a sync on a full disk":             {&durable.SyncError{Path: "/opt", Err: of(syscall.ENOSPC)}, "make room", "failing"},
		"a sync over a quota":               {&durable.SyncError{Path: "/opt", Err: of(syscall.EDQUOT)}, "quota -s", "failing"},
		"a sync on a broken disk":           {&durable.SyncError{Path: "/opt", Err: of(syscall.EIO)}, "the disk may be failing", "make room"},
		"the history on a full disk":        {&install.JournalError{Path: "/s/history.jsonl", Err: of(syscall.ENOSPC)}, "df /s", "root"},
		"the history on a broken disk":      {&install.JournalError{Path: "/s/history.jsonl", Err: of(syscall.EIO)}, "dmesg", "root"},
		"the history, mounted read-only":    {&install.JournalError{Path: "/s/history.jsonl", Err: of(syscall.EROFS)}, "read-only: name another place for the history: --state-dir DIR (now /s)", "root"},
		"the history in a directory's name": {&install.JournalError{Path: "/s/history.jsonl", Err: errors.New("is a directory")}, "name another place for the history", "root"},
	} {
		hint, _ := known.Explain(test.err, fault.Of(test.err))
		if !strings.Contains(hint, test.want) || strings.Contains(hint, test.not) {
			t.Errorf("%s: %q, want %q and not %q", name, hint, test.want, test.not)
		}
	}
}

// TestFenced: to take hosts over is told only where it is of use.
func TestFenced(t *testing.T) {
	t.Parallel()
	for reason, useful := range map[fleet.Reason]bool{
		fleet.ReasonHeld: true, fleet.ReasonEpoch: true,
		fleet.ReasonGeneration: false, fleet.ReasonPlanDiffers: false, fleet.ReasonNotClaimed: false, fleet.ReasonSecret: false,
	} {
		problem := fleet.Problem{Host: "tb1", Reason: fleet.ProblemReason(reason), Kind: fault.Fenced, Hint: fleet.ProblemReason(reason).Hint("tb1")}
		for _, err := range []error{
			&rollout.Error{Problems: []fleet.Problem{problem}, Worst: fault.Fenced}, &fleet.FencedError{Reason: reason, Stored: &fleet.Fence{}},
		} {
			hint, _ := (&Known{Command: "fleet arm"}).Explain(err, fault.Of(err))
			if hint == "" || strings.Contains(hint, "--take-over") != useful {
				t.Errorf("%s: %q", reason, hint)
			}
		}
	}
}

// TestAsked: on a host that was asked by another machine no flag of a command that nobody typed is named.
func TestAsked(t *testing.T) {
	t.Parallel()
	unknown := &install.UnknownFenceError{Target: "/t", State: &install.StateError{Path: "/.t.tbctl-state", Err: errors.New("x")}}
	for _, test := range []struct {
		err   error
		asked bool
		want  string
		not   string
	}{
		{unknown, false, "tbctl install X --despite-rollout", "nothing"},
		{unknown, true, "look at it first: ls -l /.t.tbctl-state", "--despite-rollout"},
		{errors.New("it failed"), false, "tbctl install --help", "nothing"},
		{errors.New("it failed"), true, "", "--help"},
		{&remote.AnswerError{Host: "tb1", Answer: remote.ErrorAnswer{Class: fault.Failed, Hint: "df"}}, false, "on tb1: df", "--help"},
	} {
		known := &Known{Command: "install", Line: Line{"install", "X"}, Asked: test.asked}
		hint, _ := known.Explain(test.err, fault.Of(test.err))
		if !strings.Contains(hint, test.want) || strings.Contains(hint, test.not) {
			t.Errorf("%v: %q, want %q and not %q", test.err, hint, test.want, test.not)
		}
	}
}
