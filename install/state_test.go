package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const stateName = targetDir + "/.tigerbeetle.tbctl-state"

// stopped says that no replica runs and what the data needs.
func stopped(release string) verify.ReplaceOptions {
	return verify.ReplaceOptions{Stopped: true, Needs: needs(release)}
}

func (m *machine) install(t *testing.T, data []byte) *install.Outcome {
	t.Helper()
	outcome, err := m.installer().Install(t.Context(), request(), fetchOf(data, nil))
	check(t, err)
	return outcome
}

func (m *machine) rollback(t *testing.T, again bool) (*install.Outcome, error) {
	t.Helper()
	r := request()
	r.Again, r.Fit = again, stopped("0.17.8")
	return m.installer().Rollback(t.Context(), r)
}

// write replaces the text beside the target as its owner would by hand.
func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	dir, err := m.OpenDir(path.Dir(name))
	check(t, err)
	_ = dir.Remove(path.Base(name))
	file, err := dir.Create(path.Base(name), 0o644)
	check(t, err)
	_, err = io.WriteString(file, text)
	check(t, errors.Join(err, file.Sync(), dir.Sync()))
}

// TestRollbackIsKnown requires that a second rollback is known as one whoever makes it:
// what was done is kept with the target, and the SHA-256 decides.
func TestRollbackIsKnown(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(t *testing.T, m *machine){
		"with the journal":            func(*testing.T, *machine) {},
		"another state directory":     func(_ *testing.T, m *machine) { m.state = "/home/other" },
		"the journal was moved away":  func(t *testing.T, m *machine) { m.write(t, stateDir+"/history.jsonl", "") },
		"the journal is unwritable":   func(t *testing.T, m *machine) { check(t, m.Make("/file", vfs.KindFile, 0o600)); m.state = "/file" },
		"a refused operation between": func(t *testing.T, m *machine) { _, _ = m.rollback(t, false) },
		"a failed installation between": func(t *testing.T, m *machine) {
			_, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).new[:1000], nil))
			var rejected *install.RejectedError
			if !errors.As(err, &rejected) {
				t.Fatal(err)
			}
		},
		"an installation that crashed before its swap": func(t *testing.T, m *machine) {
			for number := 1; m.known(t).Next == nil; number++ {
				m.CrashAt(number)
				_, _ = m.installer().Install(t.Context(), request(), fetchOf(files(t).new, nil))
				m.Restart(memfs.All())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, files(t).old, files(t).new)
			outcome, err := m.rollback(t, false)
			if err != nil || outcome.Result != install.ResultRolledBack {
				t.Fatal(outcome.Result, err)
			}
			between(t, m)
			for _, again := range []bool{false, true, true} {
				want := map[bool]install.Result{false: install.ResultAlready, true: install.ResultRolledBack}[again]
				if m.look(t, name).target == "new" {
					want = install.ResultAlready
				}
				if outcome, err = m.rollback(t, again); err != nil || outcome.Result != want {
					t.Fatalf("again %v: %s, %v, want %s", again, outcome.Result, err, want)
				}
			}
			if now := m.look(t, name); now.target != "new" || now.old != "old" {
				t.Errorf("%+v", now)
			}
		})
	}
}

// TestRollbackAfterUnknown requires that a rollback which could not tell what is on the disk
// is not undone by the same command.
func TestRollbackAfterUnknown(t *testing.T) {
	t.Parallel()
	found := 0
	for number := 1; ; number++ {
		m := newMachine(t, memfs.Options{}, files(t).old, files(t).new)
		m.FailLateAt(number, errInjected)
		outcome, _ := m.rollback(t, false) // the result says how it ended
		if count := m.Count(); number > count {
			break
		}
		m.CrashAt(0)
		if outcome.Result != install.ResultUnknown {
			continue
		}
		found++
		there := m.look(t, "unknown").target
		for range 2 {
			if _, err := m.rollback(t, false); err != nil {
				t.Fatalf("fault %d: %v", number, err)
			}
		}
		if now := m.look(t, "again"); now.target != "old" || now.old != "new" {
			t.Errorf("fault %d: it was %s, and after the same command twice %+v", number, there, now)
		}
	}
	if found == 0 {
		t.Error("no fault led to an unknown state")
	}
}

// TestEarlierState requires that a target which an earlier tbctl changed last is known by
// the journal, once, as long as it speaks of the file that is there.
func TestEarlierState(t *testing.T) {
	t.Parallel()
	b := files(t)
	file := func(data []byte) *install.File { return &install.File{SHA256: sumOf(data)} }
	record := install.Record{Version: 1, ID: "1", Phase: install.PhaseOutcome, Operation: install.OperationRollback, Target: targetName, Old: file(b.new), New: file(b.old)}
	for _, test := range []struct {
		name   string
		change func(*install.Record)
		want   install.Result
	}{
		{"rolled back", func(r *install.Record) { r.Result = install.ResultRolledBack }, install.ResultAlready},
		{"cut off after its swap", func(r *install.Record) { r.Phase = install.PhaseIntent }, install.ResultAlready},
		{"unknown", func(r *install.Record) { r.Result = install.ResultUnknown }, install.ResultAlready},
		{"cut off before its swap", func(r *install.Record) { r.Phase, r.Old, r.New = install.PhaseIntent, file(b.old), file(b.new) }, install.ResultRolledBack},
		{"of another file", func(r *install.Record) { r.Result, r.New = install.ResultRolledBack, file(b.next) }, install.ResultRolledBack},
		{"refused", func(r *install.Record) { r.Result = install.ResultRefused }, install.ResultRolledBack},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			r := record
			test.change(&r)
			line, err := json.Marshal(r)
			check(t, err)
			check(t, durable.Append(t.Context(), m.FS, stateDir+"/history.jsonl", line))
			req := request()
			req.Fit = stopped("0.17.7")
			outcome, err := m.installer().Rollback(t.Context(), req)
			if err != nil || outcome.Result != test.want {
				t.Errorf("%s, %v, want %s", outcome.Result, err, test.want)
			}
		})
	}
}

// TestStateNotBelieved requires that a target is not changed while its state cannot be read or believed, since nobody can
// know then whether a rollout holds it: neither by install nor by rollback nor by a rollout, and not after a crash. What is
// to change nothing is done, and the operator goes through on purpose, which is recorded.
func TestStateNotBelieved(t *testing.T) {
	t.Parallel()
	b := files(t)
	ana := fenceOf(4, 2, "ana")
	for name, spoil := range map[string]func(t *testing.T, m *machine) error{
		"of another user": func(_ *testing.T, m *machine) error {
			return m.Alter(stateName, func(i *vfs.Info) { i.UID = 1000 })
		},
		"writable": func(_ *testing.T, m *machine) error {
			return m.Alter(stateName, func(i *vfs.Info) { i.Mode = 0o664 })
		},
		"linked": func(_ *testing.T, m *machine) error {
			dir, err := m.OpenDir(targetDir)
			return errors.Join(err, dir.Link(path.Base(stateName), "other"))
		},
		"cut off": func(t *testing.T, m *machine) error {
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			file, err := dir.OpenAppend(path.Base(stateName))
			check(t, err)
			return file.Truncate(100)
		},
		"too large": func(t *testing.T, m *machine) error {
			m.write(t, stateName, strings.Repeat(" ", fsatomic.StateSizeMax+1))
			return nil
		},
		"a link to another": func(t *testing.T, m *machine) error {
			m.remove(t, path.Base(stateName))
			return m.Symlink("tigerbeetle", stateName)
		},
		"said to be a newer tbctl's, where others may write": func(t *testing.T, m *machine) error {
			m.write(t, stateName, `{"version":99}`)
			return m.Alter(targetDir, func(i *vfs.Info) { i.Mode = 0o775 })
		},
	} {
		for _, crashed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, crashed %v", name, crashed), func(t *testing.T) {
				t.Parallel()
				m := newMachine(t, memfs.Options{}, b.older, b.old)
				m.install(t, b.new)
				if crashed { // nobody can tell from the state what was done
					m.forge(t, func(s *install.State) { s.Next = &install.Next{Operation: *s.Last, Files: s.Files} })
				}
				check(t, spoil(t, m))
				before := m.look(t, name)

				r := request()
				r.Fit = stopped("0.17.8")
				calls := 0
				for _, act := range []func() (*install.Outcome, error){
					func() (*install.Outcome, error) { return m.installer().Plan(t.Context(), r, fetchOf(b.next, &calls)) },
					func() (*install.Outcome, error) {
						return m.installer().Install(t.Context(), r, fetchOf(b.next, &calls))
					},
					func() (*install.Outcome, error) { return m.installer().PlanRollback(t.Context(), r) },
					func() (*install.Outcome, error) { return m.installer().Rollback(t.Context(), r) },
					func() (*install.Outcome, error) {
						fenced := r
						fenced.Fence, fenced.DespiteRollout = &ana, true // a controller goes through nothing
						return m.installer().Install(t.Context(), fenced, fetchOf(b.next, &calls))
					},
					func() (*install.Outcome, error) {
						_, err := claim(t, m, ana, true)
						return &install.Outcome{Plan: &install.Plan{}}, err
					},
				} {
					outcome, err := act()
					var unknown *install.UnknownFenceError
					if !errors.As(err, &unknown) || unknown.State.Path != stateName || fault.Of(err) != fault.Refused || len(outcome.Recovered) > 0 || len(outcome.Plan.Warnings) > 0 {
						t.Errorf("%v (%s), %+v", err, fault.Of(err), outcome)
					}
				}
				if now := m.look(t, name); fmt.Sprint(now) != fmt.Sprint(before) {
					t.Errorf("%+v, was %+v", now, before)
				}

				outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, &calls))
				if err != nil || outcome.Result != install.ResultAlready || !warns(outcome, stateName) {
					t.Errorf("%v, %s, %q", err, outcome.Result, outcome.Plan.Warnings)
				}

				r.DespiteRollout = true
				outcome, err = m.installer().Install(t.Context(), r, fetchOf(b.next, &calls))
				if err != nil || outcome.Result != install.ResultInstalled || !warns(outcome, stateName) {
					t.Fatalf("%v, %s, %q", err, outcome.Result, outcome.Plan.Warnings)
				}
				state := m.known(t)
				if state.Last == nil || state.Last.New.SHA256 != sumOf(b.next) || state.Despite == nil || state.Despite.ID != state.Last.ID {
					t.Errorf("%+v", state)
				}
			})
		}
	}
}

// TestStateReplaced requires that a state which another user puts in the place of this run's own before the swap does not
// let it through, unless the operator goes on whatever it says.
func TestStateReplaced(t *testing.T) {
	t.Parallel()
	b := files(t)
	for _, despite := range []bool{false, true} {
		m := newMachine(t, memfs.Options{}, b.older, b.old)
		m.install(t, b.new)
		r := request()
		r.DespiteRollout = despite
		r.Guard = func(context.Context) error { m.write(t, stateName, "{"); return nil }
		outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.next, nil))
		var unknown *install.UnknownFenceError
		if errors.As(err, &unknown) == despite || outcome.Changed != despite || despite && err != nil {
			t.Errorf("despite %v: %v, changed %v", despite, err, outcome.Changed)
		}
		if data, _ := m.read(t, targetName); b.name(data) != map[bool]string{false: "new", true: "next"}[despite] {
			t.Errorf("despite %v: %s is there", despite, b.name(data))
		}
	}
}

// TestStateKept requires that fields which a newer tbctl wrote are kept, and that a version
// which is not known is refused before anything changes.
func TestStateKept(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	m.write(t, stateName, `{"version":1,"last":null,"installed":null,"previous":null,"later":{"generation":4},"data_files":["/data/0"]}`+"\n")
	m.install(t, b.new)
	text, _ := m.read(t, stateName)
	var stored struct {
		Fence struct {
			Generation int `json:"generation"`
		} `json:"later"`
	}
	check(t, json.Unmarshal(text, &stored))
	if stored.Fence.Generation != 4 || !slices.Equal(m.known(t).DataFiles, []string{"/data/0"}) {
		t.Errorf("%s", text)
	}

	before, _ := m.read(t, targetName)
	m.write(t, stateName, `{"version":3}`)
	calls := 0
	_, installErr := m.installer().Install(t.Context(), request(), fetchOf(b.next, &calls))
	_, planErr := m.installer().Plan(t.Context(), request(), fetchOf(b.next, &calls))
	_, backErr := m.rollback(t, false)
	for _, err := range []error{installErr, planErr, backErr} {
		if !errors.Is(err, install.ErrStateVersion) || !strings.Contains(err.Error(), stateName) {
			t.Error(err)
		}
	}
	if after, _ := m.read(t, targetName); calls != 0 || string(after) != string(before) {
		t.Errorf("%d fetches", calls)
	}
	if text, _ := m.read(t, stateName); string(text) != `{"version":3}` {
		t.Errorf("%s", text)
	}
}

// TestDataFilesRemembered requires that data files are remembered with their exact names,
// the newest of them, and survive what fails.
func TestDataFilesRemembered(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	r := request()
	odd := "/data/\xff\xfe.tigerbeetle"
	r.DataFiles = []string{"/data/0", odd, "relative", "/" + strings.Repeat("x", 5000), "/data/0"}
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
	check(t, err)
	if got := m.known(t).DataFiles; !slices.Equal(got, []string{"/data/0", odd}) && !slices.Equal(got, []string{odd, "/data/0"}) {
		t.Errorf("%q", got)
	}
	if !warns(outcome, `"relative" is not remembered`) {
		t.Errorf("%q", outcome.Plan.Warnings)
	}
	r.DataFiles = nil
	for number := range install.DataFilesMax {
		r.DataFiles = append(r.DataFiles, fmt.Sprintf("/data/new-%d", number))
	}
	outcome, err = m.installer().Install(t.Context(), r, fetchOf(b.next, nil))
	check(t, err)
	if got := m.known(t).DataFiles; !slices.Equal(got, r.DataFiles) || !warns(outcome, `"/data/0" is not remembered`) {
		t.Errorf("%q, %q", got, outcome.Plan.Warnings)
	}
}

// TestOriginKept requires that the state says where both files came from, through a
// rollback and back again.
func TestOriginKept(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.older)
	for _, data := range [][]byte{b.old, b.new} {
		m.install(t, data)
	}
	requireOrigins := func(installed, previous []byte) {
		t.Helper()
		state := m.known(t)
		for want, recorded := range map[string]*install.Recorded{sumOf(installed): state.Installed, sumOf(previous): state.Previous} {
			if recorded == nil || recorded.SHA256 != want || recorded.Origin == nil || recorded.Origin.Source != "test" {
				t.Fatalf("%+v, want %s", recorded, want)
			}
		}
		if attributes := state.Previous.Attributes; attributes == nil || attributes.UID != 12 || attributes.Mode != 0o750 {
			t.Fatalf("%+v", attributes)
		}
	}
	requireOrigins(b.new, b.old)
	for _, again := range []bool{false, true} {
		_, err := m.rollback(t, again)
		check(t, err)
		requireOrigins(map[bool][]byte{false: b.old, true: b.new}[again], map[bool][]byte{false: b.new, true: b.old}[again])
	}
}

// TestRollbackWantsEvidence requires that nothing known is not taken for nothing against it:
// neither release in common nor the word that nothing runs is enough.
func TestRollbackWantsEvidence(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.old, b.new)
	for _, fit := range []verify.ReplaceOptions{{}, {Stopped: true}} {
		r := request()
		r.Fit = fit
		for _, act := range []func() (*install.Outcome, error){
			func() (*install.Outcome, error) { return m.installer().Rollback(t.Context(), r) },
			func() (*install.Outcome, error) { return m.installer().PlanRollback(t.Context(), r) },
		} {
			_, err := act()
			var refused *install.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "nothing says which release the cluster runs") {
				t.Error(err)
			}
		}
	}
	if now := m.look(t, "refused"); now.target != "new" || now.old != "old" {
		t.Errorf("%+v", now)
	}
	r, asked := request(), 0
	r.Refresh = func(context.Context, fsatomic.Target) (verify.ReplaceOptions, install.Seen, error) {
		asked++
		return stopped("0.17.8"), install.Seen{DataFiles: []string{"/data/0"}}, nil
	}
	if _, err := m.installer().Rollback(t.Context(), r); err != nil || asked != 1 || !slices.Equal(m.known(t).DataFiles, []string{"/data/0"}) {
		t.Errorf("asked %d times, %v, %q", asked, err, m.known(t).DataFiles)
	}
	r.Again, r.Forget = true, []string{"/data/0"}
	r.Refresh = nil
	if _, err := m.installer().Rollback(t.Context(), r); err != nil || len(m.known(t).DataFiles) != 0 {
		t.Errorf("%v, %q", err, m.known(t).DataFiles)
	}
}

// TestOtherPrevious requires that only the file that was displaced is put back: one that
// its owner has rewritten since, whole as it may be, is rejected, unless its SHA-256 is named.
func TestOtherPrevious(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, test := range map[string]struct {
		previous []byte // at TARGET-old, after old was replaced by new; nil: as it was left
		current  []byte // at the target
		state    string // what stands in the state's place, unless empty
		named    string
		rejected bool
		warning  string
	}{
		"as it was displaced":              {},
		"rewritten":                        {previous: b.older, rejected: true},
		"rewritten, and its sha256 named":  {previous: b.older, named: strings.ToUpper(sumOf(b.older)), warning: "since its sha256 was named"},
		"as it was, and another named":     {named: sumOf(b.older), rejected: true},
		"as it was, and named":             {named: sumOf(b.old)},
		"moved there by hand":              {previous: b.new, current: b.next},
		"nothing is recorded":              {state: "gone", warning: "nothing is recorded of " + oldName},
		"the record is not to be believed": {state: "{", warning: "nothing is recorded of " + oldName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, nil, b.old)
			m.install(t, b.new)
			for name, data := range map[string][]byte{oldName: test.previous, targetName: test.current} {
				if data != nil {
					m.remove(t, path.Base(name))
					m.put(t, name, data)
				}
			}
			if test.state != "" {
				m.write(t, stateName, test.state)
			}
			if test.state == "gone" {
				m.remove(t, path.Base(stateName))
				m.state = "/another"
			}
			before := m.look(t, name)
			r := request()
			r.Fit, r.OldSHA256, r.DespiteRollout = stopped("0.17.7"), test.named, test.state == "{"
			for _, act := range []func() (*install.Outcome, error){
				func() (*install.Outcome, error) { return m.installer().PlanRollback(t.Context(), r) },
				func() (*install.Outcome, error) { return m.installer().Rollback(t.Context(), r) },
			} {
				outcome, err := act()
				var rejected *install.RejectedError
				if errors.As(err, &rejected) != test.rejected || test.rejected != errors.Is(err, install.ErrOtherOld) || !test.rejected && err != nil {
					t.Fatalf("%v, %q", err, outcome.Plan.Warnings)
				}
				if !warns(outcome, test.warning) && test.warning != "" || test.warning == "" && warns(outcome, "recorded") {
					t.Errorf("%q, want %q", outcome.Plan.Warnings, test.warning)
				}
			}
			now := m.look(t, name)
			if test.rejected && fmt.Sprint(now) != fmt.Sprint(before) || !test.rejected && (now.target != before.old || now.old != before.target) {
				t.Errorf("%+v, before %+v", now, before)
			}
			if last := m.known(t).Last; !test.rejected && last.Named != test.named {
				t.Errorf("%+v", last)
			}
		})
	}
}

// TestLowered requires that the previous file lies there without what only the target needs,
// that it gets all of it again when it is put back, and that one with other names is left alone.
func TestLowered(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	check(t, m.Alter(targetName, func(i *vfs.Info) { i.Mode = 0o6777 }))
	m.install(t, b.new)
	requireOld := func(uid int, mode vfs.Mode, capable bool) {
		t.Helper()
		_, got := m.read(t, oldName)
		if _, has := got.Xattrs[fsatomic.XattrCapability]; got.UID != uid || got.Mode != mode || has != capable || string(got.Xattrs["user.note"]) != "keep me" {
			t.Fatalf("%+v", got)
		}
	}
	requireOld(0, 0o755, false)
	for _, again := range []bool{false, true} {
		if _, err := m.rollback(t, again); err != nil {
			t.Fatal(err)
		}
		requireOld(0, 0o755, false)
		_, got := m.read(t, targetName)
		if got.UID != 12 || got.Mode != 0o6777 || string(got.Xattrs[fsatomic.XattrCapability]) != "capabilities" {
			t.Fatalf("%+v", got)
		}
	}

	dir, err := m.OpenDir(targetDir)
	check(t, err)
	check(t, dir.Link("tigerbeetle", "in-use"))
	outcome := m.install(t, b.next)
	requireOld(12, 0o6777, true)
	if !warns(outcome, "has other names") {
		t.Errorf("%q", outcome.Plan.Warnings)
	}
}

// TestOutcomeUnrecorded requires that a disk which fills after the swap, or a history that
// another process holds, is a warning: the installation is done and known.
func TestOutcomeUnrecorded(t *testing.T) {
	t.Parallel()
	b := files(t)
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t, memfs.Options{NoAllocate: true}, b.older, b.old)
		in := m.installer()
		in.Observe = func(step install.Step) {
			if step == install.StepReadBack {
				m.SetFree(0)
			}
		}
		outcome, err := in.Install(t.Context(), request(), fetchOf(b.new, nil))
		if err != nil || outcome.Result != install.ResultInstalled || !warns(outcome, "could not be recorded") || !warns(outcome, "history") {
			t.Fatalf("%v, %s, %q", err, outcome.Result, outcome.Plan.Warnings)
		}
		if state := m.known(t); state.Next == nil || state.Found(&install.File{SHA256: sumOf(b.new)}) != install.ResultFoundNew {
			t.Fatalf("%+v", state)
		}
		m.SetFree(1 << 20)
		outcome = m.install(t, b.next)
		if len(outcome.Recovered) != 1 || outcome.Recovered[0].Result != install.ResultFoundNew {
			t.Errorf("%+v", outcome.Recovered)
		}
	})
	t.Run("held", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			check(t, m.Make(stateDir, vfs.KindDirectory, 0o755))
			m.write(t, stateDir+"/history.jsonl", "")
			dir, err := m.OpenDir(stateDir)
			check(t, err)
			file, err := dir.Open("history.jsonl")
			check(t, err)
			check(t, file.TryLock())
			outcome, err := m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
			if err != nil || outcome.Result != install.ResultInstalled || !warns(outcome, "history.jsonl: in use by another process") {
				t.Fatalf("%v, %s, %q", err, outcome.Result, outcome.Plan.Warnings)
			}
			if state := m.known(t); state.Next != nil || state.Last.Result != install.ResultInstalled {
				t.Errorf("%+v", state)
			}
		})
	})
}

// TestReadBounded requires that of a journal, however large, no more than the newest records are held.
func TestReadBounded(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, nil)
	var text strings.Builder
	const extra = 5
	for number := range 2*install.RecordsMax + extra {
		fmt.Fprintf(&text, `{"version":1,"id":"%d","phase":"outcome","target":"/%d"}`+"\n", number, number%2)
	}
	check(t, m.Make(stateDir, vfs.KindDirectory, 0o755))
	m.write(t, stateDir+"/history.jsonl", text.String())
	history, err := m.journal().Read("")
	check(t, err)
	if last := history.Records[len(history.Records)-1].ID; len(history.Records) != install.RecordsMax || history.Complete || last != fmt.Sprint(2*install.RecordsMax+extra-1) {
		t.Errorf("%d records, the last is %s, complete %v", len(history.Records), last, history.Complete)
	}
	if history.Records[0].ID != fmt.Sprint(install.RecordsMax+extra) {
		t.Errorf("the first is %s", history.Records[0].ID)
	}
	if targets := history.Targets(); !slices.Equal(targets, []string{"/0", "/1"}) {
		t.Errorf("%q", targets)
	}
}

// TestRollbackFull requires that the way back, forth and back again needs no room on a full disk: what
// is written beside the target was held for it by the installation.
func TestRollbackFull(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, nil)
	m.install(t, b.old)
	m.install(t, b.new)
	m.SetFree(0)
	for number, want := range []string{"old", "new", "old", "new"} {
		outcome, err := m.rollback(t, number%2 == 1)
		if err != nil || outcome.Result != install.ResultRolledBack || warns(outcome, stateName) {
			t.Fatalf("%d: %s, %v, %q", number, outcome.Result, err, outcome.Plan.Warnings)
		}
		if now := m.look(t, want); now.target != want || len(now.residue) > 0 || m.known(t).Next != nil {
			t.Fatalf("%d: %+v", number, now)
		}
	}
}
