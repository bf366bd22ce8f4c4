package watch

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// Only what the condition is about makes a wait hopeless, and only if it is forbidden.
func TestHidden(t *testing.T) {
	t.Parallel()
	forbidden := func(what string) replica.Process {
		return replica.Process{PID: 7, Replica: true, Polls: true, Unreadable: []replica.Unreadable{
			{What: what, Err: &fs.PathError{Op: "open", Path: "/proc/7/" + what, Err: syscall.EACCES}},
		}}
	}
	tests := []struct {
		what    string
		process replica.Process
		want    bool
	}{
		{ConditionArmed, forbidden("fd"), true},
		{ConditionOffered, forbidden("fd"), true},
		{ConditionRunning, forbidden("fd"), true},
		{ConditionRunning, forbidden("exe"), true},
		{ConditionRunning, forbidden("sockets"), true},
		{ConditionRunning, forbidden("data file"), true},
		{ConditionRunning, forbidden("cmdline"), false},
		{ConditionServing, forbidden("fd"), true},
		{ConditionDurable, forbidden("data file"), true},
		{ConditionDurable, forbidden("fd"), false},
		{ConditionArmed, forbidden("data file"), false},
		{ConditionArmed, replica.Process{Replica: true, Polls: true, Unreadable: []replica.Unreadable{{What: "fd", Err: replica.ErrTooMany}}}, false},
	}
	for _, test := range tests {
		met, err := Condition{What: test.what, Release: 1}.met([]replica.Process{test.process}, nil)
		if met || errors.Is(err, ErrHidden) != test.want || test.want && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s, %+v: %v, %v", test.what, test.process.Unreadable, met, err)
		}
	}
}

// A replica that sees another file is not waited for, unless it holds what is asked for already.
func TestNeverSees(t *testing.T) {
	t.Parallel()
	other := replica.Process{PID: 7, Replica: true, Polls: true, Sees: replica.SeesOther}
	holds := other
	holds.Armed = &replica.Armed{Releases: []multiversion.Release{1}, Offered: []multiversion.Release{1}}
	mounted := other
	mounted.Sees = replica.SeesMounted // the file that is at the target now
	for _, test := range []struct {
		what    string
		process replica.Process
		want    bool
	}{
		{ConditionArmed, other, true},
		{ConditionOffered, other, true},
		{ConditionRunning, other, false},
		{ConditionArmed, holds, false},
		{ConditionArmed, mounted, false},
	} {
		met, err := Condition{What: test.what, Release: 1}.met([]replica.Process{test.process}, nil)
		if errors.Is(err, ErrNeverSees) != test.want || met != (test.process.Armed != nil) {
			t.Errorf("%s, %+v: %t, %v", test.what, test.process, met, err)
		}
	}
}
