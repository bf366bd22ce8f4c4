package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs/memfs"
)

func release(t *testing.T, text string) multiversion.Release {
	t.Helper()
	parsed, err := multiversion.ParseRelease(text)
	check(t, err)
	return parsed
}

// saw is what a run saw of one replica.
func saw(t *testing.T, text, dataFile string) install.Seen {
	t.Helper()
	return install.Seen{DataFiles: []string{dataFile}, Reached: verify.Reached{Release: release(t, text), PID: 7, DataFile: dataFile}}
}

func (m *machine) remembers(t *testing.T, what, text string, dataFiles ...string) {
	t.Helper()
	state := m.known(t)
	if state.Reached == nil || state.Reached.Release != release(t, text) || state.Reached.Time.IsZero() || !slices.Equal(state.DataFiles, dataFiles) {
		t.Errorf("%s: reached %+v, data files %q", what, state.Reached, state.DataFiles)
	}
}

// TestSeenWhateverTheEnd requires that every run remembers what it saw, but for a dry run.
func TestSeenWhateverTheEnd(t *testing.T) {
	t.Parallel()
	b := files(t)
	seen := saw(t, "0.17.9", "/data/0")
	refusal := needs("0.17.10")
	isRefused := func(err error) bool { return errors.As(err, new(*install.RefusedError)) }
	fails := errors.New("refresh")
	for name, test := range map[string]struct {
		act  func(m *machine, r install.Request) (*install.Outcome, error)
		ends func(err error) bool
	}{
		"already": {func(m *machine, r install.Request) (*install.Outcome, error) {
			return m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
		}, func(err error) bool { return err == nil }},
		"refused": {func(m *machine, r install.Request) (*install.Outcome, error) {
			r.Fit = verify.ReplaceOptions{Needs: refusal}
			return m.installer().Install(t.Context(), r, fetchOf(b.old, nil))
		}, isRefused},
		"rejected": {func(m *machine, r install.Request) (*install.Outcome, error) {
			return m.installer().Install(t.Context(), r, fetchOf(b.next[:len(b.next)-1], nil))
		}, func(err error) bool { return errors.As(err, new(*install.RejectedError)) }},
		"rollback refused": {func(m *machine, r install.Request) (*install.Outcome, error) {
			return m.installer().Rollback(t.Context(), r)
		}, isRefused},
		"seen under the lock": {func(m *machine, r install.Request) (*install.Outcome, error) {
			late := r.Seen
			r.Seen = install.Seen{}
			r.Refresh = func(context.Context, fsatomic.Target) (verify.ReplaceOptions, install.Seen, error) {
				return verify.ReplaceOptions{}, late, fails
			}
			return m.installer().Rollback(t.Context(), r)
		}, func(err error) bool { return errors.Is(err, fails) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, nil, b.old)
			m.install(t, b.new)
			plain, _ := m.read(t, stateName)
			r := request()
			if _, err := test.act(m, r); name != "seen under the lock" && !test.ends(err) {
				t.Fatal(err)
			}
			if text, _ := m.read(t, stateName); string(text) != string(plain) {
				t.Errorf("nothing was seen, and the state became %s", text)
			}
			r.Seen = seen
			_, err := m.installer().Plan(t.Context(), r, fetchOf(b.new, nil))
			check(t, err)
			if text, _ := m.read(t, stateName); string(text) != string(plain) {
				t.Errorf("a dry run wrote %s", text)
			}
			if _, err := test.act(m, r); !test.ends(err) {
				t.Fatal(err)
			}
			m.remembers(t, name, "0.17.9", "/data/0")
			first, _ := m.read(t, stateName)
			if _, err := test.act(m, r); !test.ends(err) {
				t.Fatal(err)
			}
			if second, _ := m.read(t, stateName); string(second) != string(first) {
				t.Errorf("seen twice it became %s", second)
			}
			if now := m.look(t, name); now.target != "new" || now.old != "old" || len(now.residue) > 0 {
				t.Errorf("%+v", now)
			}
		})
	}
}

// TestReachedIsNeeded requires that a file is refused that lacks a release at which a replica was
// seen, though it is stopped and its data file is not asked; that forward is free; that the operator's word is believed
// instead, with a warning, and from then on; and that forgetting its data file forgets it.
func TestReachedIsNeeded(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	m.install(t, b.new)
	m.note(t, saw(t, "0.17.9", "/data/1"))
	m.remembers(t, "by itself", "0.17.9", "/data/1")
	r := request()
	r.Fit, r.AllowDowngrade = stopped("0.17.8"), true
	var refused *install.RefusedError
	for name, act := range map[string]func() (*install.Outcome, error){
		"rollback":      func() (*install.Outcome, error) { return m.installer().Rollback(t.Context(), r) },
		"plan rollback": func() (*install.Outcome, error) { return m.installer().PlanRollback(t.Context(), r) },
		"install":       func() (*install.Outcome, error) { return m.installer().Install(t.Context(), r, fetchOf(b.old, nil)) },
	} {
		if _, err := act(); !errors.As(err, &refused) || !strings.Contains(err.Error(), "lacks release 0.17.9, which the cluster has reached (process 7 ran it with /data/1, seen at 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := m.look(t, "refused"); now.target != "new" || now.old != "old" {
		t.Errorf("%+v", now)
	}
	r.Fit.Said = true
	outcome, err := m.installer().Rollback(t.Context(), r)
	check(t, err)
	if outcome.Result != install.ResultRolledBack || !warns(outcome, "is believed instead") || m.known(t).Reached != nil {
		t.Errorf("%+v, %q, %+v", outcome.Result, outcome.Plan.Warnings, m.known(t).Reached)
	}

	m = newMachine(t, memfs.Options{}, nil, b.old)
	m.install(t, b.new)
	m.note(t, saw(t, "0.17.9", "/data/\xff"))
	m.install(t, b.next)
	m.remembers(t, "forward", "0.17.9", "/data/\xff")
	r = request()
	r.Forget = []string{"/data/\xff"}
	if _, err := m.installer().Install(t.Context(), r, fetchOf(b.next, nil)); err != nil || m.known(t).Reached != nil || len(m.known(t).DataFiles) != 0 {
		t.Errorf("%v, %+v", err, m.known(t))
	}
}

// TestNamed requires that a data file which the operator named is remembered with what it has,
// but not by a run that is refused: it may be the wrong one.
func TestNamed(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	m.install(t, b.new)
	r := request()
	r.Named = []verify.Reached{{Release: release(t, "0.17.9"), DataFile: "/data/named"}}
	var refused *install.RefusedError
	if _, err := m.installer().Rollback(t.Context(), r); !errors.As(err, &refused) || m.known(t).Reached != nil || len(m.known(t).DataFiles) != 0 {
		t.Errorf("%v, %+v", err, m.known(t))
	}
	m.install(t, b.new)
	_, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
	check(t, err)
	m.remembers(t, "named", "0.17.9", "/data/named")
}

// TestSeenLess requires that an older release which is seen later takes nothing away.
func TestSeenLess(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	m.install(t, b.new)
	m.note(t, saw(t, "0.17.9", "/data/0"))
	m.note(t, saw(t, "0.17.8", "/data/1"))
	m.remembers(t, "less", "0.17.9", "/data/0", "/data/1")
	text, _ := m.read(t, stateName)
	var stored struct{ Reached verify.Reached }
	check(t, json.Unmarshal(text, &stored))
	if stored.Reached.PID != 7 || stored.Reached.DataFile != "/data/0" {
		t.Errorf("%s", text)
	}
}

// TestRememberNothing requires that nothing is left where nothing was, and nothing is written of
// what is not to be believed or while another holds the lock.
func TestRememberNothing(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	seen := saw(t, "0.17.8", "/data/0")
	m.note(t, seen)
	if fsatomic.WasTarget(m.FS, targetName) {
		t.Error("a lock is left where tbctl never worked")
	}
	m.install(t, b.new)
	before, _ := m.read(t, stateName)
	lock := lockTarget(t, m)
	m.note(t, seen)
	if after, _ := m.read(t, stateName); string(after) != string(before) {
		t.Errorf("under another's lock: %s", after)
	}
	check(t, lock.Release())
	for _, text := range []string{`{"version":3}`, `{"version":1`} {
		m.write(t, stateName, text)
		m.note(t, seen)
		if after, _ := m.read(t, stateName); string(after) != text {
			t.Errorf("%s became %s", text, after)
		}
	}
}

// TestSeenUnwritable requires that a state which cannot be written ends no run that changes
// nothing: it is a warning where that failed, and nothing where the file was there already.
func TestSeenUnwritable(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{NoAllocate: true}, nil, b.old)
	m.install(t, b.new)
	before, _ := m.read(t, stateName)
	full := func() *install.Installer {
		in := m.installer()
		in.Observe = func(step install.Step) {
			if step == install.StepJudge {
				m.SetFree(0)
			}
		}
		return in
	}
	r := request()
	r.Seen = saw(t, "0.17.9", "/data/0")
	outcome, err := full().Install(t.Context(), r, fetchOf(b.new, nil))
	if err != nil || outcome.Result != install.ResultAlready || warns(outcome, "not remembered") {
		t.Errorf("already: %v, %q", err, outcome.Plan.Warnings)
	}
	m.SetFree(1 << 20)
	outcome, err = full().Rollback(t.Context(), r)
	var refused *install.RefusedError
	if !errors.As(err, &refused) || !warns(outcome, "what was seen of the replicas is not remembered: ") {
		t.Errorf("refused: %v, %q", err, outcome.Plan.Warnings)
	}
	if after, _ := m.read(t, stateName); string(after) != string(before) {
		t.Errorf("the state became %s", after)
	}
}

// note remembers with the target what was seen.
func (m *machine) note(t *testing.T, seen install.Seen) {
	t.Helper()
	target, err := fsatomic.Lookup(m, targetName)
	check(t, err)
	check(t, m.installer().Remember(t.Context(), target, seen))
}

// TestForgetUnknown holds that a name which is not remembered is told, once, and one that is is not.
func TestForgetUnknown(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	m.write(t, stateName, `{"version":1,"last":null,"installed":null,"previous":null,"data_files":["/data/0"]}`+"\n")
	r := request()
	r.Forget = []string{"/data/0", "/data/O"}
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
	check(t, err)
	told := 0
	for _, warning := range outcome.Plan.Warnings {
		if strings.Contains(warning, "nothing to forget") {
			told++
			if !strings.Contains(warning, `"/data/O"`) {
				t.Error(warning)
			}
		}
	}
	if told != 1 {
		t.Errorf("told %d times: %q", told, outcome.Plan.Warnings)
	}
}
