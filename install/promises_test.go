package install_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestNeedsAreAskedUnderTheLock: what the cluster needs may change while an installation waits
// for its lock or for the bytes. The last answer, which is asked for under the lock, decides.
func TestNeedsAreAskedUnderTheLock(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	r, held := request(), false
	r.Refresh = func(context.Context, fsatomic.Target) (verify.ReplaceOptions, install.Seen, error) {
		target, err := fsatomic.Lookup(m.FS, targetName)
		if err == nil {
			_, held, err = fsatomic.HeldBy(m.FS, target)
		}
		return verify.ReplaceOptions{Needs: needs("0.17.10")}, install.Seen{}, err
	}
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
	var refused *install.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "0.17.10") || outcome.Changed || !held {
		t.Errorf("%v: %+v; asked under the lock: %v", err, outcome, held)
	}
	m.untouched(t, "refused")
}

// TestJournalIsNotWaitedFor: whoever has the journal, an operation ends soon, with a warning.
func TestJournalIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := files(t)
		m := newMachine(t, memfs.Options{}, b.older, b.old)
		check(t, m.journalMade(t))
		dir, err := m.OpenDir(stateDir)
		check(t, err)
		journal, err := dir.OpenAppend("history.jsonl")
		check(t, err)
		check(t, journal.TryLock())
		done := make(chan *install.Outcome)
		go func() {
			outcome, err := m.installer().Install(t.Context(), request(), fetchOf(b.next, nil))
			if err != nil {
				t.Error(err)
			}
			done <- outcome
		}()
		var outcome *install.Outcome
		select {
		case outcome = <-done:
		case <-time.After(time.Minute): // of the bubble
			t.Error("it still waits after a minute")
			check(t, journal.Unlock())
			outcome = <-done
		}
		if outcome.Result != install.ResultInstalled || !slices.ContainsFunc(outcome.Plan.Warnings, func(text string) bool {
			return strings.Contains(text, "history")
		}) {
			t.Errorf("%s, warnings %q", outcome.Result, outcome.Plan.Warnings)
		}
	})
}

// journalMade installs a first file, so that there is a journal.
func (m *machine) journalMade(t *testing.T) error {
	t.Helper()
	_, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).new, nil))
	return err
}
