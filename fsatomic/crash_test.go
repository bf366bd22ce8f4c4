package fsatomic_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestCrash crashes after every operation, with every kind of loss.
func TestCrash(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, s scenario, options memfs.Options) {
		if options.CountReads {
			return // a crash after reading is one after the change before
		}
		persists := map[string]memfs.Persist{"none": memfs.None(), "all": memfs.All()}
		for seed := range uint64(crashSeeds) {
			persists[fmt.Sprintf("random %d", seed)] = memfs.Random(seed)
		}
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			for name, persist := range persists {
				m := s.setUp(t, options)
				m.CrashAt(number + 1)
				err := s.act(t.Context(), m)
				trace := m.Trace()
				if !m.Crashed() {
					t.Fatalf("operation %d was not reached: %v", number+1, err)
				}
				m.Restart(persist)
				s.verify(t, m, options, false, fmt.Sprintf("crash after %s, %s kept", trace[number], name))
			}
		}
	})
}

// TestKillThenCrash kills the process after every operation, lets the next run
// recover, and cuts the power after every operation of that.
func TestKillThenCrash(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, s scenario, options memfs.Options) {
		if options.CountReads {
			return
		}
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			killed := func() *memfs.FS {
				m := s.setUp(t, options)
				m.CrashAt(number + 1)
				_ = s.act(t.Context(), m)
				m.Kill()
				return m
			}
			m := killed()
			done := look(t, m, options)
			lock, _, err := begin(t.Context(), m)
			check(t, err)
			check(t, lock.Release())
			count := m.Count()
			what := fmt.Sprintf("kill after operation %d", number+1)
			if number > 0 && len(done.residue()) > 0 {
				before := look(t, m, options)
				m.Restart(memfs.None()) // what the recovery said it did lasts
				if after := look(t, m, options); after.target != before.target || after.old != before.old || len(after.residue()) > 0 {
					t.Fatalf("%s: recovery %+v did not last: %+v", what, before, after)
				}
			}
			for second := range count {
				for seed := range uint64(2) {
					m := killed()
					m.CrashAt(second + 1)
					_, _, _ = begin(t.Context(), m)
					trace := m.Trace()
					m.Restart(memfs.Random(seed))
					s.verify(t, m, options, false, fmt.Sprintf("%s, power cut after %s", what, trace[len(trace)-1]))
				}
			}
		}
	})
}

// TestNoDirSync: a directory that cannot be synced is found out before the swap.
func TestNoDirSync(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{NoDirSync: true})
	var failed *durable.SyncError
	err := installOnce(t.Context(), m, contentsNew, fsatomic.CommitOptions{})
	if !errors.As(err, &failed) {
		t.Fatalf("error %v", err)
	}
	if w := look(t, m, memfs.Options{}); w.target != "" || len(w.residue()) > 0 {
		t.Fatalf("%+v", w)
	}
	m = scenario{exists: true, older: true}.setUp(t, memfs.Options{NoDirSync: true})
	if err := swapBackOnce(t.Context(), m); !errors.As(err, &failed) {
		t.Fatalf("error %v", err)
	}
	if w := look(t, m, memfs.Options{}); w.target != contentsOld || w.old != contentsOlder {
		t.Fatalf("%+v", w)
	}
}

// TestFault lets every operation fail, before or after taking effect, and then
// crashes or goes on.
func TestFault(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, s scenario, options memfs.Options) {
		thens := []string{"go on", "kill", "none", "random"}
		if options.CountReads {
			thens = thens[:1]
		}
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			for _, late := range []bool{false, true} {
				for _, then := range thens {
					m := s.setUp(t, options)
					s.fault(t, m, options, number+1, late, then)
				}
			}
		}
	})
}

func (s scenario) fault(t *testing.T, m *memfs.FS, options memfs.Options, number int, late bool, then string) {
	t.Helper()
	before := look(t, m, options)
	if late {
		m.FailLateAt(number, errInjected)
	} else {
		m.FailAt(number, errInjected)
	}
	err := s.act(t.Context(), m)
	trace := m.Trace()
	m.FailAt(0, nil)
	if len(trace) < number {
		t.Fatalf("operation %d was not reached: %v", number, err)
	}
	what := fmt.Sprintf("fault in %s (late %v), then %s: %v", trace[number-1], late, then, err)
	now := look(t, m, options)
	var unknown *fsatomic.UnknownStateError
	switch {
	case err == nil:
		if now.target != s.result || now.old != s.kept || len(now.residue()) > 0 {
			t.Fatalf("%s: %+v", what, now)
		}
	case errors.As(err, &unknown):
		s.checkUnknown(t, m, options, unknown, now, what)
	case !errors.Is(err, errInjected):
		t.Fatalf("%s: another error", what)
	case now.target != before.target || now.old != before.old:
		t.Fatalf("%s: %+v, want %+v", what, now, before)
	}
	switch then {
	case "kill":
		m.Restart(memfs.All())
	case "none":
		m.Restart(memfs.None())
		after := look(t, m, options)
		if (err == nil || (unknown != nil && unknown.Durable)) && after.target != s.result {
			t.Fatalf("%s: after the power cut %+v", what, after)
		}
	case "random":
		m.Restart(memfs.Random(uint64(number)))
	}
	lostRename := !late && then == "go on" && strings.Contains(trace[number-1], "syncdir")
	s.verify(t, m, options, lostRename, what)
}

// checkUnknown compares what the error says with what is there.
func (s scenario) checkUnknown(t *testing.T, m *memfs.FS, options memfs.Options, unknown *fsatomic.UnknownStateError, now world, what string) {
	t.Helper()
	if unknown.Path != testName || unknown.Visible && now.target != s.result {
		t.Fatalf("%s: %+v with %+v", what, unknown, now)
	}
	if unknown.Previous != "" {
		base := strings.TrimPrefix(unknown.Previous, testDir+"/")
		if got, err := whole(m, options, base); err != nil || got != contentsOld {
			t.Fatalf("%s: at %s is %q, %v", what, base, got, err)
		}
	}
}
