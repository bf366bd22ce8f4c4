package install_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const crashSeeds = 2 // random subsets for each crash

// scene is one operation on one host.
type scene struct {
	name      string
	old       []byte // kept before
	current   []byte // at the target before
	act       func(ctx context.Context, in *install.Installer) (*install.Outcome, error)
	result    install.Result
	after     sight
	beside    bool // the journal is in the target's directory
	stateMade bool // the state directory exists
}

func scenes(tb testing.TB) []scene {
	b := files(tb)
	run := func(change func(*install.Request)) func(context.Context, *install.Installer) (*install.Outcome, error) {
		return func(ctx context.Context, in *install.Installer) (*install.Outcome, error) {
			r := request()
			change(&r)
			return in.Install(ctx, r, fetchOf(b.new, nil))
		}
	}
	plain := run(func(*install.Request) {})
	return []scene{
		{"first", nil, nil, plain, install.ResultInstalled, sight{"new", "nothing", nil}, false, true},
		{"first of all", nil, nil, plain, install.ResultInstalled, sight{"new", "nothing", nil}, false, false},
		{"upgrade", nil, b.old, plain, install.ResultInstalled, sight{"new", "old", nil}, false, true},
		{"upgrade, journal beside", b.older, b.old, plain, install.ResultInstalled, sight{"new", "old", nil}, true, true},
		{"no old", b.older, b.old, run(func(r *install.Request) { r.DropOld = true }), install.ResultInstalled, sight{"new", "older", nil}, false, true},
		{"rollback", b.old, b.new, func(ctx context.Context, in *install.Installer) (*install.Outcome, error) {
			r := request()
			r.Fit = verify.ReplaceOptions{Stopped: true, Needs: []verify.Need{{Release: testbin.Release("0.17.8"), Why: verify.NeedData}}}
			return in.Rollback(ctx, r)
		}, install.ResultRolledBack, sight{"old", "new", nil}, false, true},
	}
}

// systems are the file systems on which every scene is played.
func systems() map[string]memfs.Options {
	return map[string]memfs.Options{
		"exchange":                            {},
		"no exchange":                         {NoExchange: true},
		"reflinks":                            {NoExchange: true, Clone: true},
		"by name":                             {NoExchange: true, NoNoReplace: true, NameInodes: true, NoUnnamed: true},
		"no links":                            {NoExchange: true, NoNoReplace: true, NoLinks: true},
		"overlay":                             {CopyUp: true},
		"overlay of one that cannot exchange": {CopyUp: true, NoExchange: true},
	}
}

func (s scene) setUp(t *testing.T, options memfs.Options) *machine {
	t.Helper()
	m := newMachine(t, options, s.old, s.current)
	if s.beside {
		m.state = targetDir
	} else if s.stateMade {
		check(t, m.Make(stateDir, vfs.KindDirectory, 0o755))
	}
	m.Lower()
	m.CrashAt(0)
	return m
}

func (s scene) before(t *testing.T) sight {
	return sight{files(t).name(s.current), files(t).name(s.old), nil}
}

// operations plays the scene undisturbed and returns how many operations it takes.
func (s scene) operations(t *testing.T, options memfs.Options) int {
	t.Helper()
	m := s.setUp(t, options)
	outcome, err := s.act(t.Context(), m.installer())
	check(t, err)
	count := m.Count()
	if outcome.Result != s.result || !outcome.Changed || outcome.ReadBack != outcome.Plan.New.SHA256 {
		t.Fatalf("undisturbed: %+v", outcome)
	}
	m.Restart(memfs.None())
	if got := m.look(t, "undisturbed"); fmt.Sprint(got) != fmt.Sprint(s.after) {
		t.Fatalf("undisturbed: %+v, want %+v", got, s.after)
	}
	if s.after.old != s.before(t).old {
		m.lowered(t, "undisturbed")
	}
	if got, want := m.phases(t), "outcome:"+string(s.result); got != want {
		t.Fatalf("undisturbed: the journal has %q, want %q", got, want)
	}
	return count
}

func eachScene(t *testing.T, test func(t *testing.T, s scene, options memfs.Options)) {
	for name, options := range systems() {
		for _, s := range scenes(t) {
			if s.current == nil && options.Clone {
				continue // nothing to clone
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				test(t, s, options)
			})
		}
	}
}

// counter counts what a test tries, and says how many in the end.
func counter(t *testing.T, what string) *atomic.Int64 {
	count := new(atomic.Int64)
	t.Cleanup(func() { t.Logf("%d %s", count.Load(), what) })
	return count
}

// TestCrash crashes after every operation, with every kind of loss.
func TestCrash(t *testing.T) {
	t.Parallel()
	tried := counter(t, "crashes")
	eachScene(t, func(t *testing.T, s scene, options memfs.Options) {
		persists := map[string]memfs.Persist{"nothing": memfs.None(), "everything": memfs.All()}
		for seed := range uint64(crashSeeds) {
			persists[fmt.Sprintf("subset %d", seed)] = memfs.Random(seed)
		}
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			for name, persist := range persists {
				m := s.setUp(t, options)
				m.CrashAt(number + 1)
				_, err := s.act(t.Context(), m.installer())
				trace := m.Trace()
				if !m.Crashed() {
					t.Fatalf("operation %d was not reached: %v", number+1, err)
				}
				m.Restart(persist)
				tried.Add(1)
				s.recover(t, m, fmt.Sprintf("crash after %s, %s kept", trace[number], name), err == nil)
			}
		}
	})
}

// recover checks what must hold after a crash, and that the next runs mend all.
func (s scene) recover(t *testing.T, m *machine, what string, done bool) {
	t.Helper()
	now := m.look(t, what)
	if now.target != s.before(t).target && now.target != s.after.target || done && now.target != s.after.target {
		t.Fatalf("%s: the target is %s", what, now.target)
	}
	open, err := m.installer().Interrupted(t.Context(), targetName)
	if err != nil {
		t.Fatalf("%s: look: %v", what, err)
	}
	found := map[string]install.Result{s.before(t).target: install.ResultFoundOld, s.after.target: install.ResultFoundNew}[now.target]
	if open != nil && (open.Found != found || open.Busy || open.Completed) {
		t.Fatalf("%s: the target is %s, found %+v", what, now.target, open)
	}
	if after := m.look(t, what); fmt.Sprint(after) != fmt.Sprint(now) {
		t.Fatalf("%s: looking changed %+v to %+v", what, now, after)
	}
	if open == nil {
		s.told(t, m, now, what)
	}
	outcome, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).next, nil))
	if err != nil || outcome.Result != install.ResultInstalled {
		t.Fatalf("%s: next run: %v", what, err)
	}
	if (open != nil) != (len(outcome.Recovered) == 1) || open != nil && outcome.Recovered[0].Result != found {
		t.Fatalf("%s: it was %+v, but the next run completed %+v", what, open, outcome.Recovered)
	}
	m.Restart(memfs.None())
	after := m.look(t, what)
	if after.target != "next" || after.old != now.target || len(after.residue) > 0 {
		t.Fatalf("%s: after the next run %+v, the previous file was %s", what, after, now.target)
	}
	m.lowered(t, what)
	s.closed(t, m, what)
}

// told requires that the state beside the target speaks of the files that are there.
func (s scene) told(t *testing.T, m *machine, now sight, what string) {
	t.Helper()
	state := m.known(t)
	if now.target == s.before(t).target && state.Last == nil {
		return
	}
	if now.target != s.after.target || state.Last == nil || state.Last.Result != s.result && state.Last.Result != install.ResultFoundNew ||
		state.Installed.SHA256 != sumOf(files(t).bytes(s.after.target)) {
		t.Fatalf("%s: the target is %s, but the state says %+v", what, now.target, state)
	}
}

// closed requires that nothing is open beside the target, and that the journal has each
// operation once; a second time, with what was found, one whose outcome was not known or
// could not be recorded beside the target, and the two agree.
func (s scene) closed(t *testing.T, m *machine, what string) {
	t.Helper()
	if state := m.known(t); state.Next != nil {
		t.Fatalf("%s: still open: %+v", what, state.Next)
	}
	history, err := m.journal().Read("")
	check(t, err)
	seen := make(map[string]install.Result)
	for _, record := range history.Records {
		before := seen[record.ID]
		found := map[install.Result]install.Result{
			s.result: install.ResultFoundNew, install.ResultFailed: install.ResultFoundOld, install.ResultUnknown: record.Result,
		}[before]
		if record.Phase != install.PhaseOutcome || before != "" && record.Result != found {
			t.Fatalf("%s: operation %s: %s", what, record.ID, m.phases(t))
		}
		seen[record.ID] = record.Result
	}
}

// TestFault lets every operation fail, before or after taking effect, and then
// goes on or cuts the power.
func TestFault(t *testing.T) {
	t.Parallel()
	tried := counter(t, "faults")
	eachScene(t, func(t *testing.T, s scene, options memfs.Options) {
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			tried.Add(3)
			s.fault(t, options, number+1, false, false)
			s.fault(t, options, number+1, false, true)
			s.fault(t, options, number+1, true, true)
		}
	})
}

// TestFaultInReading lets every call fail, also those that change nothing.
func TestFaultInReading(t *testing.T) {
	t.Parallel()
	tried := counter(t, "faults")
	for _, options := range []memfs.Options{{CountReads: true}, {CountReads: true, NoExchange: true, NoLinks: true}} {
		for _, s := range scenes(t) {
			t.Run(fmt.Sprintf("%v/%s", options.NoExchange, s.name), func(t *testing.T) {
				t.Parallel()
				for number := range testbin.Sampled(t, s.operations(t, options)) {
					tried.Add(1)
					s.fault(t, options, number+1, false, false)
				}
			})
		}
	}
}

// results are what the history says of an error's class.
var results = map[fault.Class]install.Result{
	fault.Failed: install.ResultFailed, fault.Rejected: install.ResultRejected, fault.Refused: install.ResultRefused, fault.Busy: install.ResultBusy,
	fault.Unknown: install.ResultUnknown, fault.Interrupted: install.ResultInterrupted,
}

func (s scene) fault(t *testing.T, options memfs.Options, number int, late, cut bool) {
	t.Helper()
	m := s.setUp(t, options)
	if late {
		m.FailLateAt(number, errInjected)
	} else {
		m.FailAt(number, errInjected)
	}
	outcome, err := s.act(t.Context(), m.installer())
	trace := m.Trace()
	m.CrashAt(0)
	if len(trace) < number {
		t.Fatalf("operation %d was not reached: %v", number, err)
	}
	what := fmt.Sprintf("fault in %s (late %v, cut %v): %v", trace[number-1], late, cut, err)
	now := m.look(t, what)
	s.judge(t, m, outcome, err, now, what)
	if class := fault.Of(err); err != nil && results[class] != outcome.Result {
		t.Fatalf("%s: the error is %s, and the result %s", what, class, outcome.Result)
	}
	s.record(t, m, outcome, trace[number-1], what)
	if cut {
		m.Restart(memfs.None())
	}
	if !strings.Contains(trace[number-1], "syncdir") { // a name that a failed fsync lost may come back
		s.recover(t, m, what, err == nil)
	}
}

// judge compares what the operation says with what is there.
func (s scene) judge(t *testing.T, m *machine, outcome *install.Outcome, err error, now sight, what string) {
	t.Helper()
	var unknown *fsatomic.UnknownStateError
	var readBack *install.ReadBackError
	switch {
	case err == nil:
		if fmt.Sprint(now) != fmt.Sprint(s.after) || outcome.Result != s.result || !outcome.Changed {
			t.Fatalf("%s: says %s, but %+v", what, outcome.Result, now)
		}
		return
	case !errors.Is(err, errInjected) && !errors.As(err, &readBack) && !errors.Is(err, fsatomic.ErrDirNotWritable):
		t.Fatalf("%s: another error", what)
	case errors.As(err, &unknown):
		if outcome.Result != install.ResultUnknown || unknown.Visible && (now.target != s.after.target || !outcome.Changed) {
			t.Fatalf("%s: says %s %+v, but %+v", what, outcome.Result, unknown, now)
		}
		return
	case errors.As(err, &readBack):
		if outcome.Result != install.ResultUnknown || now.target != s.after.target || !outcome.Changed {
			t.Fatalf("%s: says %s, but %+v", what, outcome.Result, now)
		}
		return
	}
	if now.target != s.before(t).target || now.old != s.before(t).old || outcome.Changed {
		t.Fatalf("%s: says %s (changed %v), but %+v", what, outcome.Result, outcome.Changed, now)
	}
}

// record requires that without a crash the state says how the operation ended, unless it
// was the state that could not be written.
func (s scene) record(t *testing.T, m *machine, outcome *install.Outcome, failed, what string) {
	t.Helper()
	state := m.known(t)
	if state.Next != nil && outcome.Result != install.ResultUnknown && !strings.Contains(failed, "tigerbeetle.tbctl-st") && !strings.Contains(failed, "syncdir") {
		t.Fatalf("%s: the operation ended with %s, but is open: %+v", what, outcome.Result, state.Next)
	}
	if outcome.Result == install.ResultUnknown && (state.Next == nil || state.Next.Operation.Result != install.ResultUnknown) {
		t.Fatalf("%s: it ended with %s, but the state says %+v", what, outcome.Result, state)
	}
	history, err := m.journal().Read("")
	check(t, err)
	for _, record := range history.Records {
		if record.Result != outcome.Result {
			t.Fatalf("%s: the journal says %s, the outcome %s", what, record.Result, outcome.Result)
		}
	}
}

// TestRollbackAgain crashes a rollback after every operation and runs the same
// command again: it must end with the file that was asked for, not swap it away again.
func TestRollbackAgain(t *testing.T) {
	t.Parallel()
	eachScene(t, func(t *testing.T, s scene, options memfs.Options) {
		if s.result != install.ResultRolledBack {
			return
		}
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			m := s.setUp(t, options)
			m.CrashAt(number + 1)
			_, _ = s.act(t.Context(), m.installer())
			trace := m.Trace()
			m.Restart(memfs.All())
			what := fmt.Sprintf("crash after %s, then again", trace[number])
			if _, err := s.act(t.Context(), m.installer()); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if now := m.look(t, what); now.target != s.after.target {
				t.Fatalf("%s: the target is %s, want %s", what, now.target, s.after.target)
			}
			s.closed(t, m, what)
		}
	})
}
