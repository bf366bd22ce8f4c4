package install_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// service is the user who owns the target's directory.
const service = 7

// serviceMachine has a target that root installed twice, with capabilities, in the service's directory.
func serviceMachine(t *testing.T, options memfs.Options) *machine {
	t.Helper()
	m := newMachine(t, options, nil, files(t).older)
	check(t, m.Alter(targetName, func(i *vfs.Info) { i.UID = 0 }))
	check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = service }))
	m.install(t, files(t).old)
	m.install(t, files(t).new)
	return m
}

// plant puts a file in place of another as the service's user does.
func (m *machine) plant(t *testing.T, name string, data []byte) {
	t.Helper()
	dir, err := m.OpenDir(path.Dir(name))
	check(t, err)
	_ = dir.Remove(path.Base(name))
	file, err := dir.Create(path.Base(name), 0o755)
	check(t, err)
	_, err = file.Write(data)
	check(t, errors.Join(err, file.Chown(service, service), file.Chmod(0o755), file.Sync(), dir.Sync()))
}

// forge rewrites the state as the service's user does.
func (m *machine) forge(t *testing.T, change func(*install.State)) {
	t.Helper()
	text, _ := m.read(t, stateName)
	state := new(install.State)
	check(t, json.Unmarshal(text, state))
	change(state)
	text, err := json.Marshal(state)
	check(t, err)
	m.plant(t, stateName, text)
	check(t, m.Alter(stateName, func(i *vfs.Info) { i.Mode = 0o644 }))
}

func (m *machine) unlink(t *testing.T, name string) {
	t.Helper()
	dir, err := m.OpenDir(path.Dir(name))
	check(t, err)
	check(t, errors.Join(dir.Remove(path.Base(name)), dir.Sync()))
}

// setCapability is what the operator's setcap does.
func (m *machine) setCapability(t *testing.T, name string) {
	t.Helper()
	dir, err := m.OpenDir(path.Dir(name))
	check(t, err)
	file, err := dir.OpenAppend(path.Base(name))
	check(t, err)
	check(t, errors.Join(file.SetXattr(fsatomic.XattrCapability, []byte("capabilities")), file.Close()))
}

func backTo(release string) install.Request {
	r := request()
	r.Fit = stopped(release)
	return r
}

// TestRollbackEntitled requires that root's rollback gives capabilities, setuid and another owner only to a
// file that a record knows which nobody else can have written, or that the operator names.
func TestRollbackEntitled(t *testing.T) {
	t.Parallel()
	b := files(t)
	const history = stateDir + "/history.jsonl"
	evil := b.older // as whole as any other
	forged := func(t *testing.T, m *machine) {
		m.plant(t, oldName, evil)
		m.forge(t, func(s *install.State) { s.Previous.SHA256 = sumOf(evil) })
	}
	for name, test := range map[string]struct {
		change  func(t *testing.T, m *machine)
		refused error
		want    string // at the target
	}{
		"as it was":         {func(*testing.T, *machine) {}, nil, "old"},
		"without the state": {func(t *testing.T, m *machine) { m.unlink(t, stateName) }, nil, "old"},
		"without the state, after many other records": {func(t *testing.T, m *machine) {
			m.unlink(t, stateName)
			text, _ := m.read(t, history)
			line := bytes.Replace(bytes.SplitAfter(text, []byte("\n"))[0], []byte(targetName), []byte(targetName+"-of-another"), 1)
			text = append(text, bytes.Repeat(line, 4<<20/len(line)+1)...)
			check(t, durable.WriteFile(m, history, 0o600, true, func(w io.Writer) error { _, err := w.Write(text); return err }))
		}, nil, "old"},
		"another file, state gone":        {func(t *testing.T, m *machine) { m.plant(t, oldName, b.next); m.unlink(t, stateName) }, install.ErrOtherOld, ""},
		"the right one, nothing is known": {func(t *testing.T, m *machine) { m.unlink(t, stateName); m.unlink(t, history) }, install.ErrUnvouched, ""},
		"another's history":               {func(t *testing.T, m *machine) { check(t, m.Alter(stateDir, func(i *vfs.Info) { i.UID = service })) }, install.ErrUnvouched, ""},
		"a history that others may write": {func(t *testing.T, m *machine) { check(t, m.Alter(history, func(i *vfs.Info) { i.Mode = 0o666 })) }, install.ErrUnvouched, ""},
		"displaced, and had them":         {forged, nil, "older"},
		"displaced, and had none of them": {func(t *testing.T, m *machine) { m.launder(t, false) }, install.ErrUnvouched, ""},
		"said to have been installed":     {func(t *testing.T, m *machine) { m.launder(t, true) }, install.ErrUnvouched, ""},
		"root's directory again, no state": {func(t *testing.T, m *machine) {
			check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = 0 }))
			m.unlink(t, stateName)
			m.unlink(t, history)
		}, nil, "old"},
		"root's directory, another's file": {func(t *testing.T, m *machine) {
			check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = 0 }))
			m.plant(t, oldName, b.next)
			m.unlink(t, stateName)
		}, install.ErrOtherOld, ""},
		"root's directory, another's file, nothing known": {func(t *testing.T, m *machine) {
			check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = 0 }))
			m.plant(t, oldName, b.next)
			m.unlink(t, stateName)
			m.unlink(t, history)
		}, install.ErrUnvouched, ""},
		"a group's directory": {func(t *testing.T, m *machine) {
			check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID, i.Mode = 0, 0o775 }))
			forged(t, m)
			check(t, m.Alter(stateName, func(i *vfs.Info) { i.UID = 0 }))
			m.unlink(t, history)
		}, install.ErrUnvouched, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := serviceMachine(t, memfs.Options{})
			test.change(t, m)
			before, rights := m.read(t, targetName)
			kept, _ := m.read(t, oldName)
			r := backTo("0.17.7")
			for _, act := range []func(context.Context, install.Request) (*install.Outcome, error){m.installer().PlanRollback, m.installer().Rollback} {
				outcome, err := act(t.Context(), r)
				if test.refused == nil {
					check(t, err)
					continue
				}
				if !errors.Is(err, test.refused) || !strings.Contains(err.Error(), sumOf(kept)) {
					t.Fatalf("%v, %s", err, outcome.Result)
				}
				if data, _ := m.read(t, targetName); string(data) != string(before) {
					t.Fatal("the target was changed")
				}
			}
			if test.refused != nil {
				r.OldSHA256 = sumOf(kept)
				_, err := m.installer().Rollback(t.Context(), r)
				check(t, err)
				test.want = b.name(kept)
			}
			data, got := m.read(t, targetName)
			if b.name(data) != test.want || got.UID != rights.UID || string(got.Xattrs[fsatomic.XattrCapability]) != "capabilities" {
				t.Errorf("the target is %s with %+v", b.name(data), got)
			}
		})
	}
}

// launder lets root displace a file of the service's, as which the history has it, and gives the installed one capabilities then.
func (m *machine) launder(t *testing.T, installed bool) {
	t.Helper()
	b := files(t)
	m.plant(t, targetName, b.older)
	if installed {
		m.forge(t, func(s *install.State) {
			s.Next = &install.Next{Operation: install.Record{Version: 1, ID: "1", Phase: install.PhaseOutcome, Result: install.ResultInstalled,
				Operation: install.OperationInstall, Target: targetName, New: &install.File{SHA256: sumOf(b.older)}}}
			s.Next.Installed = &install.Recorded{File: install.File{SHA256: sumOf(b.older)}, Origin: &install.Origin{Source: "https://example.com"}}
		})
	}
	// What the target was before comes out of a history of its own.
	m.unlink(t, stateDir+"/history.jsonl")
	outcome := m.install(t, b.new)
	if installed && (len(outcome.Recovered) != 1 || !strings.Contains(outcome.Recovered[0].Error, "user 7 may write /opt/tigerbeetle")) {
		t.Fatalf("%+v", outcome.Recovered)
	}
	m.setCapability(t, targetName)
}

// TestRollbackNoRights requires that a file which gets no rights that its owner has not is put back without a
// record: the service may do that itself.
func TestRollbackNoRights(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, nil)
	check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = service }))
	m.plant(t, targetName, b.new)
	m.plant(t, oldName, b.old)
	outcome, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
	if err != nil || !warns(outcome, "nothing is recorded of") {
		t.Fatalf("%v, %+v", err, outcome)
	}
	if data, got := m.read(t, targetName); b.name(data) != "old" || got.UID != service || got.Xattrs[fsatomic.XattrCapability] != nil {
		t.Errorf("%s, %+v", b.name(data), got)
	}
}

// TestFinishedForged requires that what was done last is not believed from a state that others can have written, where
// root's history knows it.
func TestFinishedForged(t *testing.T) {
	t.Parallel()
	b := files(t)
	forge := func(operation install.Operation, data []byte) func(*install.State) {
		return func(s *install.State) {
			s.Last = &install.Record{Version: 1, ID: "1", Phase: install.PhaseOutcome, Operation: operation, Result: install.ResultRolledBack, Target: targetName, New: &install.File{SHA256: sumOf(data)}}
		}
	}
	t.Run("not undone", func(t *testing.T) {
		t.Parallel()
		m := serviceMachine(t, memfs.Options{})
		_, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
		check(t, err)
		m.forge(t, forge(install.OperationInstall, b.old))
		outcome, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
		if err != nil || outcome.Result != install.ResultAlready || len(outcome.Plan.Warnings) > 0 {
			t.Errorf("%v, %s, %q", err, outcome.Result, outcome.Plan.Warnings)
		}
	})
	t.Run("not claimed", func(t *testing.T) {
		t.Parallel()
		m := serviceMachine(t, memfs.Options{})
		m.forge(t, forge(install.OperationRollback, b.new))
		outcome, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
		if data, _ := m.read(t, targetName); err != nil || outcome.Result != install.ResultRolledBack || b.name(data) != "old" {
			t.Errorf("%v, %s, %s", err, outcome.Result, b.name(data))
		}
	})
	t.Run("not known otherwise", func(t *testing.T) {
		t.Parallel()
		m := serviceMachine(t, memfs.Options{})
		m.forge(t, forge(install.OperationRollback, b.new))
		m.unlink(t, stateDir+"/history.jsonl")
		outcome, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
		if err != nil || outcome.Result != install.ResultAlready || !warns(outcome, "is known from "+stateName+" alone, and user 7 may write") {
			t.Errorf("%v, %s, %q", err, outcome.Result, outcome.Plan.Warnings)
		}
	})
}

// TestSettleForged requires that the record of an operation which a state tells of is about that state's target alone, and
// that one which others can have written does not say in root's history who did it, how and from what.
func TestSettleForged(t *testing.T) {
	t.Parallel()
	const other, evil = "/srv/other/tigerbeetle", "evil"
	for owner, said := range map[int]string{0: evil, service: ""} {
		m := serviceMachine(t, memfs.Options{})
		m.forgeNext(t, func(r *install.Record) {
			r.Target, r.User, r.SudoUser, r.Command, r.Host, r.Source = other, evil, evil, evil, evil, evil
			r.PID, r.Named, r.Verified, r.Trust = 1, evil, []string{evil}, []install.Trust{{Kind: evil, Status: "held"}}
			r.Method, r.OldRights = evil, &fsatomic.Attributes{Mode: 0o4755}
		})
		check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = owner }))
		check(t, m.Alter(stateName, func(i *vfs.Info) { i.UID = owner }))
		outcome, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).new, nil))
		if err != nil || len(outcome.Recovered) != 1 {
			t.Fatalf("directory of user %d: %v, %+v", owner, err, outcome.Recovered)
		}
		if history, err := m.journal().Read(other); err != nil || len(history.Records) > 0 {
			t.Errorf("directory of user %d: the history of the other target: %v, %+v", owner, err, history.Records)
		}
		history, err := m.journal().Read(targetName)
		check(t, err)
		last := history.Records[len(history.Records)-1]
		for what, text := range map[string]string{"user": last.User, "sudo user": last.SudoUser, "command": last.Command, "host": last.Host, "source": last.Source} {
			if text != said {
				t.Errorf("directory of user %d: the %s is %q, want %q", owner, what, text, said)
			}
		}
		if owner != 0 {
			text, err := json.Marshal(last)
			if check(t, err); strings.Contains(string(text), evil) || last.PID != 0 || last.OldRights != nil || !strings.Contains(last.Error, "user 7 may write") {
				t.Errorf("the record is %s", text)
			}
		}
		if last.Hearsay != (owner != 0) || last.Result != install.ResultFoundNew || last.Operation != install.OperationRollback || last.New.SHA256 != sumOf(files(t).new) {
			t.Errorf("directory of user %d: %+v", owner, last)
		}
		if state := m.known(t); state.Last == nil || state.Last.Target != targetName || state.Last.User != said {
			t.Errorf("directory of user %d: the state has %+v", owner, state.Last)
		}
	}
}

// TestFinishedByHistory requires that without a state a rollback is not said to be done already by what is in the history
// from others: in a record that was completed from their state, or in a history that they may write.
func TestFinishedByHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*machine)
		want   install.Result
	}{
		"root's":                 {func(*machine) {}, install.ResultAlready},
		"completed":              {nil, install.ResultRolledBack},
		"that others may write":  {func(m *machine) { check(t, m.Alter(stateDir+"/history.jsonl", func(i *vfs.Info) { i.Mode = 0o666 })) }, install.ResultRolledBack},
		"in another's directory": {func(m *machine) { check(t, m.Alter(stateDir, func(i *vfs.Info) { i.UID = service })) }, install.ResultRolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := serviceMachine(t, memfs.Options{})
			if test.change == nil {
				m.forgeNext(t, func(*install.Record) {})
				_, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).new, nil))
				check(t, err)
			} else {
				_, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
				check(t, err)
				test.change(m)
			}
			check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = 0 }))
			m.unlink(t, stateName)
			outcome, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
			if err != nil || outcome.Result != test.want {
				t.Errorf("%v, %s, want %s", err, outcome.Result, test.want)
			}
		})
	}
}

// forgeNext writes into the state that a rollback to the installed file is under way, as the service's user does.
func (m *machine) forgeNext(t *testing.T, change func(*install.Record)) {
	t.Helper()
	m.forge(t, func(s *install.State) {
		operation := *s.Last
		operation.Phase, operation.Result, operation.Operation = install.PhaseIntent, "", install.OperationRollback
		change(&operation)
		s.Next = &install.Next{Operation: operation, Files: s.Files}
	})
}

// TestKnownForged requires that where the installed file came from is not believed from a state that others can have
// written: they could say that any file is the one that is asked for.
func TestKnownForged(t *testing.T) {
	t.Parallel()
	for owner, told := range map[int]bool{0: true, service: false} {
		m := serviceMachine(t, memfs.Options{})
		check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = owner }))
		r, asked := request(), false
		r.AlreadyInstalled = func(_ context.Context, _ install.File, from *install.Origin) (install.Origin, bool, error) {
			asked = true
			if (from != nil) != told {
				t.Errorf("directory of user %d: from %+v", owner, from)
			}
			return install.Origin{}, false, nil
		}
		_, err := m.installer().Install(t.Context(), r, fetchOf(files(t).new, nil))
		check(t, err)
		if !asked {
			t.Error("not asked")
		}
	}
}

// TestRollbackFresh requires that what is put back is a file that nobody else has ever opened, if somebody else may
// hold the previous one open for writing; and that one where nobody can.
func TestRollbackFresh(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, test := range map[string]struct {
		change func(t *testing.T, m *machine)
		fresh  bool
	}{
		"root's, in root's directory":       {func(*testing.T, *machine) {}, false},
		"in the service's directory":        {func(t *testing.T, m *machine) { check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = service })) }, true},
		"the service's, in root's":          {func(t *testing.T, m *machine) { check(t, m.Alter(targetName, func(i *vfs.Info) { i.UID = service })) }, true},
		"a group's":                         {func(t *testing.T, m *machine) { check(t, m.Alter(targetName, func(i *vfs.Info) { i.Mode = 0o775 })) }, true},
		"below the service's directory":     {func(t *testing.T, m *machine) { check(t, m.Alter("/opt", func(i *vfs.Info) { i.UID = service })) }, true},
		"nothing is known of its owner":     {nil, true},
		"the same, on a disk that is full":  {nil, false},
		"no room, and it would get nothing": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, nil, nil)
			m.install(t, b.old)
			if test.change != nil {
				test.change(t, m)
			}
			if strings.HasPrefix(name, "no room") {
				check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = service }))
				check(t, m.Alter(targetName, func(i *vfs.Info) { i.UID = service }))
			}
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			held, err := dir.OpenAppend("tigerbeetle") // as a replica's user may, before it is displaced
			check(t, err)
			defer held.Close()
			m.install(t, b.new)
			switch {
			case strings.HasPrefix(name, "no room"):
				m.SetFree(0)
			case test.change == nil:
				m.unlink(t, stateName)
				m.setCapability(t, targetName)
				if !test.fresh {
					m.SetFree(4 << 10) // no reserve is left either
				}
			}
			outcome, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
			if err != nil || outcome.Result != install.ResultRolledBack {
				t.Fatalf("%v, %s", err, outcome.Result)
			}
			m.SetFree(1 << 20)
			_, err = held.Write([]byte("changed later"))
			check(t, err)
			data, _ := m.read(t, targetName)
			if fresh := b.name(data) == "old"; fresh != test.fresh {
				t.Errorf("a fresh file is %v, the target is %s", fresh, b.name(data))
			}
			if now := m.residue(t); len(now) > 0 {
				t.Errorf("left %q", now)
			}
		})
	}
}

// TestRollbackNoRoom requires that a file which others may hold open gets no rights only because there is no room for a
// copy: that is refused before anything is changed.
func TestRollbackNoRoom(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := serviceMachine(t, memfs.Options{})
	m.SetFree(100)
	for _, act := range []func(context.Context, install.Request) (*install.Outcome, error){m.installer().PlanRollback, m.installer().Rollback} {
		outcome, err := act(t.Context(), backTo("0.17.8"))
		var plan *install.PlanError
		if !errors.As(err, &plan) || !errors.Is(err, vfs.ErrNoSpace) {
			t.Fatalf("%v, %s", err, outcome.Result)
		}
	}
	target, _ := m.read(t, targetName)
	if old, _ := m.read(t, oldName); b.name(target) != "new" || b.name(old) != "old" || len(m.residue(t)) > 0 {
		t.Errorf("%s, %s, %q", b.name(target), b.name(old), m.residue(t))
	}
	m.SetFree(int64(len(b.old)) + 100)
	_, err := m.installer().Rollback(t.Context(), backTo("0.17.8"))
	check(t, err)
}

// TestRollbackHearsay requires that a data file which others may have named is no reason to go back to an older release,
// as long as nobody else says so; going forth needs none, and where nobody else can have named it it counts.
func TestRollbackHearsay(t *testing.T) {
	t.Parallel()
	const data = "/data/0"
	fromState := backTo("0.17.8")
	fromState.Fit.Needs[0].Source = data
	for name, test := range map[string]struct {
		owner  int
		change func(*install.Request)
		want   bool
	}{
		"the service's directory": {service, func(*install.Request) {}, false},
		"named":                   {service, func(r *install.Request) { r.Named = []verify.Reached{{DataFile: data}} }, true},
		"a replica runs": {service, func(r *install.Request) {
			r.Fit.Needs = append(r.Fit.Needs, verify.Need{Release: r.Fit.Needs[0].Release, Why: verify.NeedRunning})
		}, true},
		"root's directory": {0, func(*install.Request) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := serviceMachine(t, memfs.Options{})
			check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = test.owner }))
			m.forge(t, func(s *install.State) { s.DataFiles = []string{data} })
			if test.owner == 0 {
				check(t, m.Alter(stateName, func(i *vfs.Info) { i.UID = 0 }))
			}
			r := fromState
			r.Fit.Needs = slices.Clone(fromState.Fit.Needs)
			test.change(&r)
			_, err := m.installer().Rollback(t.Context(), r)
			if !test.want {
				hearsay, ok := errors.AsType[*install.HearsayError](err)
				if !ok || hearsay.DataFile != data || fault.Of(err) != fault.Refused {
					t.Fatalf("error %v", err)
				}
				r.Fit.Needs[0].Source = "--data-file"
				_, err = m.installer().Rollback(t.Context(), r)
			}
			check(t, err)
			r = fromState
			r.Again = true
			outcome, err := m.installer().Rollback(t.Context(), r)
			if err != nil || outcome.Result != install.ResultRolledBack {
				t.Errorf("forth again: %v, %s", err, outcome.Result)
			}
		})
	}
}

// TestInstallHearsay requires that a data file which others may have named does not settle what replicas need
// that nobody has seen.
func TestInstallHearsay(t *testing.T) {
	t.Parallel()
	b := files(t)
	for owner, want := range map[int]bool{0: true, service: false} {
		m := serviceMachine(t, memfs.Options{})
		check(t, m.Alter(targetDir, func(i *vfs.Info) { i.UID = owner }))
		r := request()
		r.AllowDowngrade = true
		r.Fit = verify.ReplaceOptions{Needs: needs("0.17.7"), Unseen: []string{"hidden"}, Settled: true}
		outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.older, nil))
		unseen := slices.ContainsFunc(outcome.Plan.Fit.Findings, func(finding verify.Finding) bool {
			return finding.Name == verify.CheckUnseen && finding.Status == verify.Failed
		})
		if unseen == want {
			t.Errorf("directory of user %d: %v, %+v", owner, err, outcome.Plan.Fit.Findings)
		}
	}
}

// exchanging is a file system in which one of the times that a directory is opened, another is opened in its place: who owns the directory
// above exchanges both, and again.
type exchanging struct {
	vfs.FS
	dir, other string
	at         int // 0: never
	count      *int
}

func (e exchanging) OpenDir(name string) (vfs.Dir, error) {
	if name == e.dir {
		if *e.count++; *e.count == e.at {
			name = e.other
		}
	}
	return e.FS.OpenDir(name)
}

// TestDescribedIsLookedUp holds that what is recorded of a displaced file is of one file, whichever the name led to meanwhile: no
// record says that another's file was installed here with the rights of the one that was.
func TestDescribedIsLookedUp(t *testing.T) {
	t.Parallel()
	b := files(t)
	const other = "/opt/other"
	for at := 1; ; at++ {
		m := newMachine(t, memfs.Options{}, nil, b.old)
		check(t, m.Make(other, vfs.KindDirectory, 0o755))
		for _, dir := range []string{targetDir, other} {
			check(t, m.Alter(dir, func(i *vfs.Info) { i.UID = service }))
		}
		m.plant(t, other+"/tigerbeetle", b.older)
		count := 0
		in := m.installer()
		in.FS = exchanging{m.FS, targetDir, other, at, &count}
		outcome, err := in.Install(t.Context(), request(), fetchOf(b.new, nil))
		if err == nil && (outcome.Plan.Installed == nil || outcome.Plan.Installed.SHA256 != sumOf(b.old)) {
			t.Errorf("exchanged at %d: displaced is %+v", at, outcome.Plan.Installed)
		}
		history, readErr := m.journal().Read("")
		check(t, readErr)
		for _, record := range history.Records {
			if record.Old != nil && record.Old.SHA256 != sumOf(b.old) {
				t.Errorf("exchanged at %d: the history says that %s was displaced, with %+v", at, record.Old.SHA256, record.OldRights)
			}
		}
		if at > count { // the last ran without
			check(t, err)
			return
		}
	}
}
