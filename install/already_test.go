package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestAlreadyWhateverHinders requires that a file that is installed already is found out, and nothing is
// touched, whatever would hinder a change: in the dry run as in the real one.
func TestAlreadyWhateverHinders(t *testing.T) {
	t.Parallel()
	alter := func(name string, change func(*vfs.Info)) func(*testing.T, *machine) {
		return func(t *testing.T, m *machine) { check(t, m.Alter(name, change)) }
	}
	tests := map[string]func(*testing.T, *machine){
		"nothing hinders":        func(*testing.T, *machine) {},
		"full":                   func(_ *testing.T, m *machine) { m.SetFree(10) },
		"immutable file":         alter(targetName, func(i *vfs.Info) { i.Immutable = true }),
		"append-only file":       alter(targetName, func(i *vfs.Info) { i.AppendOnly = true }),
		"immutable directory":    alter(targetDir, func(i *vfs.Info) { i.Immutable = true }),
		"mount point":            alter(targetName, func(i *vfs.Info) { i.MountPoint = true }),
		"read-only":              func(_ *testing.T, m *machine) { m.SetReadOnly(true) },
		"another's":              func(_ *testing.T, m *machine) { m.SetUser(vfs.Self{UID: 77, GID: 34}) },
		"owner hidden":           inNamespace(0, 0),
		"old is a directory":     func(t *testing.T, m *machine) { check(t, m.Make(oldName, vfs.KindDirectory, 0o755)) },
		"old is no binary":       func(t *testing.T, m *machine) { m.put(t, oldName, []byte("#!/bin/sh\n")) },
		"no room for the holder": func(_ *testing.T, m *machine) { m.SetFree(1) },
		"noexec":                 func(*testing.T, *machine) {},
	}
	for name, arrange := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := files(t)
			for _, near := range []bool{true, false} {
				m := newMachine(t, memfs.Options{NoExec: name == "noexec"}, nil, b.old)
				lockTarget(t, m).Release() // as an earlier run leaves it
				arrange(t, m)
				m.CrashAt(0)
				before, err := fsatomic.Lookup(m.FS, targetName)
				check(t, err)
				r := request()
				r.Near = near
				if !near { // that it may be installed is known by its release
					r.Expect = []multiversion.Release{testbin.Release("0.17.8")}
				}
				for which, act := range acts(m.installer()) {
					outcome, err := act(t.Context(), r, fetchOf(b.old, nil))
					if err != nil || outcome.Changed || outcome.Plan.Action != install.ActionNone || outcome.Plan.New.SHA256 != sumOf(b.old) {
						t.Errorf("%s: %v: %+v", which, err, outcome)
					}
					if want := map[string]install.Result{"install": install.ResultAlready}[which]; err == nil && outcome.Result != want {
						t.Errorf("%s: %q", which, outcome.Result)
					}
					if warns := strings.Contains(strings.Join(outcome.Plan.Warnings, "\n"), "noexec: no replica can be started from it"); warns != (name == "noexec") {
						t.Errorf("%s: warnings %q", which, outcome.Plan.Warnings)
					}
				}
				after, err := fsatomic.Lookup(m.FS, targetName)
				check(t, err)
				if !after.File.Unchanged(before.File) || after.Old != before.Old || len(m.residue(t)) > 0 || m.phases(t) != "" {
					t.Errorf("%+v, was %+v; %q; %s", after, before, m.residue(t), m.phases(t))
				}
			}
		})
	}
}

// unwritable is a file system in which no state can be put at its name.
type (
	unwritable    struct{ vfs.FS }
	unwritableDir struct{ vfs.Dir }
)

func (u unwritable) OpenDir(name string) (vfs.Dir, error) {
	dir, err := u.FS.OpenDir(name)
	return unwritableDir{dir}, err
}

func (u unwritableDir) Rename(from, to string) error {
	if strings.HasSuffix(to, ".tbctl-state") {
		return errInjected
	}
	return u.Dir.Rename(from, to)
}

// TestAlreadyByHand requires that a file which another program put in the place of ours becomes the recorded one when it is asked for by name,
// but for a dry run, a rollout that holds the target, and a state that cannot be written: then nothing changes, and it is no failure.
func TestAlreadyByHand(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, arrange := range map[string]func(*testing.T, *machine){
		"recorded":     func(*testing.T, *machine) {},
		"held":         func(t *testing.T, m *machine) { _, err := claim(t, m, fenceOf(1, 1, "ana"), false); check(t, err) },
		"cannot write": nil,
	} {
		m := newMachine(t, memfs.Options{}, nil, b.older)
		_, err := m.installer().Install(t.Context(), request(), fetchOf(b.old, nil))
		check(t, err)
		m.replace(t, targetName, b.new)
		if _, err := m.installer().Plan(t.Context(), request(), fetchOf(b.new, nil)); err != nil || m.known(t).Installed.SHA256 != sumOf(b.old) {
			t.Errorf("%s: a dry run: %v, %s", name, err, m.known(t).Installed.SHA256)
		}
		in := m.installer()
		if arrange == nil {
			in.FS = unwritable{m.FS}
		} else {
			arrange(t, m)
		}
		outcome, err := in.Install(t.Context(), request(), fetchOf(b.new, nil))
		want, warned := sumOf(b.new), "recorded as the installed file now"
		switch name {
		case "held":
			want, warned = sumOf(b.old), ""
		case "cannot write":
			want, warned = sumOf(b.old), "stays recorded"
		}
		state := m.known(t)
		if err != nil || outcome.Result != install.ResultAlready || outcome.Changed || state.Installed.SHA256 != want || state.Previous.SHA256 != sumOf(b.older) {
			t.Errorf("%s: %v, %+v, recorded %+v", name, err, outcome, state.Files)
		}
		if warnings := strings.Join(outcome.Plan.Warnings, "\n"); (warned == "") != (warnings == "") || !strings.Contains(warnings, warned) {
			t.Errorf("%s: warnings %q", name, warnings)
		}
		if name == "recorded" && state.Installed.Origin.Source != "test" {
			t.Errorf("from %+v", state.Installed.Origin)
		}
	}
}

// TestAlreadyTakesNothing requires that as long as what comes is what is installed, nothing
// is written, and that a file that is another from any byte on is installed whole.
func TestAlreadyTakesNothing(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	lockTarget(t, m).Release()
	m.CrashAt(0)
	in := m.installer()
	outcome, err := in.Install(t.Context(), request(), piecewise(b.old, 1000))
	check(t, err)
	if trace := strings.Join(m.Trace(), "\n"); outcome.Result != install.ResultAlready || strings.Contains(trace, " write /opt/tigerbeetle/.tigerbeetle.tbctl-stage") {
		t.Errorf("%s: %s", outcome.Result, trace)
	}
	for _, piece := range []int{1, 1000, len(b.new), len(b.new) + 1} {
		for _, options := range []memfs.Options{{}, {NoUnnamed: true}} {
			m := newMachine(t, options, nil, b.old)
			plan, err := m.installer().Plan(t.Context(), request(), piecewise(b.new, piece))
			check(t, err)
			if left := m.residue(t); plan.Plan.New.SHA256 != sumOf(b.new) || plan.Plan.Action != install.ActionReplace || len(left) > 0 {
				t.Errorf("pieces of %d: %+v, left %q", piece, plan.Plan.New, left)
			}
			outcome, err := m.installer().Install(t.Context(), request(), piecewise(b.new, piece))
			check(t, err)
			if now := m.look(t, "pieces"); outcome.ReadBack != sumOf(b.new) || fmt.Sprint(now) != fmt.Sprint(sight{"new", "old", nil}) {
				t.Errorf("pieces of %d: %+v", piece, now)
			}
		}
	}
}

// piecewise writes data in pieces; what begins as the test's binaries do comes a second
// time after a start from the beginning.
func piecewise(data []byte, size int) install.Fetch {
	return func(_ context.Context, w io.Writer) (install.Origin, error) {
		for range 2 {
			if err := w.(interface{ Reset() error }).Reset(); err != nil {
				return install.Origin{}, err
			}
			if _, err := io.CopyBuffer(w, onlyReader{bytes.NewReader(data)}, make([]byte, size)); err != nil {
				return install.Origin{}, err
			}
		}
		return install.Origin{Source: "test"}, nil
	}
}

type onlyReader struct{ io.Reader }

// TestInstallBeginning requires that a file which is the beginning of the installed one, since
// that is damaged at its end or the other way round, is judged by itself.
func TestInstallBeginning(t *testing.T) {
	t.Parallel()
	b := files(t)
	longer := append(bytes.Clone(b.old), 1, 2, 3)
	m := newMachine(t, memfs.Options{}, nil, longer)
	outcome, err := m.installer().Install(t.Context(), request(), piecewise(b.old, 1000))
	check(t, err)
	if data, _ := m.read(t, targetName); outcome.Result != install.ResultInstalled || !bytes.Equal(data, b.old) {
		t.Errorf("%s, %d bytes", outcome.Result, len(data))
	}
	for _, immutable := range []bool{false, true} {
		m = newMachine(t, memfs.Options{}, b.older, b.old)
		check(t, m.Alter(targetName, func(info *vfs.Info) { info.Immutable = immutable }))
		r := request()
		r.Near = true
		for name, act := range acts(m.installer()) {
			_, err = act(t.Context(), r, piecewise(b.old[:len(b.old)-100], 1000))
			var rejected *install.RejectedError
			if !errors.As(err, &rejected) {
				t.Errorf("immutable %v, %s: %v", immutable, name, err)
			}
		}
		m.untouched(t, "the beginning of the installed file")
	}
}

// TestAlreadyOtherFile requires that what hinders is told of a file that could have been the
// installed one, and is not.
func TestAlreadyOtherFile(t *testing.T) {
	t.Parallel()
	b := files(t)
	other := testbin.Build(t, tinyelf.Spec(host, 7, "0.17.8", "0.17.6", "0.17.7"))
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	check(t, m.Alter(targetName, func(info *vfs.Info) { info.Immutable = true }))
	r := request()
	r.Expect = []multiversion.Release{testbin.Release("0.17.8")}
	for name, act := range acts(m.installer()) {
		_, err := act(t.Context(), r, piecewise(other, 1000))
		if !errors.Is(err, fsatomic.ErrImmutable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.untouched(t, "another file of the same release")
}

// TestKnown requires that nothing is fetched of what is known to be installed; that it is
// judged all the same; and that only a file that may be meant is asked about.
func TestKnown(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	origin := install.Origin{Source: "http://mirror/x.zip", SHA256: strings.Repeat("a", 64), Size: 7, Validator: `"tag"`}
	in := m.installer()
	_, err := in.Install(t.Context(), request(), func(ctx context.Context, w io.Writer) (install.Origin, error) {
		_, err := fetchOf(b.new, nil)(ctx, w)
		return origin, err
	})
	check(t, err)
	asked := 0
	r := request()
	r.AlreadyInstalled = func(_ context.Context, installed install.File, from *install.Origin) (install.Origin, bool, error) {
		asked++
		if installed.SHA256 != sumOf(b.new) || from == nil || from.SHA256 != origin.SHA256 || from.Validator != origin.Validator {
			t.Errorf("asked about %+v from %+v", installed, from)
		}
		return install.Origin{Source: "said", Trusted: true}, true, nil
	}
	for _, hinder := range []bool{false, true} {
		check(t, m.Alter(targetName, func(info *vfs.Info) { info.Immutable = hinder }))
		for name, act := range acts(in) {
			outcome, err := act(t.Context(), r, nil) // a fetch would panic
			if err != nil || outcome.Plan.Action != install.ActionNone || outcome.Plan.Origin.Source != "said" || outcome.Plan.Verified == nil {
				t.Errorf("%s: %v: %+v", name, err, outcome)
			}
			data := r
			data.Fit.Needs = needs("0.18.0")
			var refused *install.RefusedError
			if _, err := act(t.Context(), data, nil); !errors.As(err, &refused) {
				t.Errorf("%s: what runs does not fit: %v", name, err)
			}
		}
	}
	r.AlreadyInstalled = func(context.Context, install.File, *install.Origin) (install.Origin, bool, error) {
		return install.Origin{}, false, errInjected
	}
	if _, err := in.Install(t.Context(), r, nil); !errors.Is(err, errInjected) {
		t.Errorf("an error of the question: %v", err)
	}
	before := asked
	r.Expect = []multiversion.Release{testbin.Release("0.17.10")}
	calls := 0
	check(t, m.Alter(targetName, func(info *vfs.Info) { info.Immutable = false }))
	if _, err := in.Install(t.Context(), r, fetchOf(b.next, &calls)); err != nil || calls != 1 || asked != before {
		t.Errorf("%v, %d fetches, asked %d times", err, calls, asked-before)
	}
}

// TestRollbackAlready requires that a rollback that was made needs nothing to be made again.
func TestRollbackAlready(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	r := request()
	r.Fit.Stopped, r.Fit.Needs = true, needs("0.17.7")
	_, err := m.installer().Rollback(t.Context(), r)
	check(t, err)
	check(t, m.Alter(targetDir, func(info *vfs.Info) { info.Immutable = true }))
	m.SetFree(10)
	for _, act := range []func(context.Context, install.Request) (*install.Outcome, error){m.installer().PlanRollback, m.installer().Rollback} {
		outcome, err := act(t.Context(), r)
		if err != nil || outcome.Result != install.ResultAlready || outcome.Changed {
			t.Errorf("%v: %+v", err, outcome)
		}
		again := r
		again.Again = true
		if _, err := act(t.Context(), again); !errors.Is(err, fsatomic.ErrImmutable) {
			t.Errorf("forward again: %v", err)
		}
	}
}
