package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestRecords requires that the journal and the target's state say who, what, from where and how.
func TestRecords(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	r := request()
	r.Source = strings.Repeat("x", 10_000)
	_, err := m.installer().Install(t.Context(), r, func(_ context.Context, w io.Writer) (install.Origin, error) {
		_, err := w.Write(b.new)
		return install.Origin{}, err
	})
	check(t, err)
	history, err := m.journal().Read(targetName)
	check(t, err)
	if len(history.Records) != 1 || history.Damaged != 0 || !history.Complete {
		t.Fatalf("%+v", history)
	}
	state := m.known(t)
	for _, record := range []install.Record{history.Records[0], *state.Last} {
		if record.Version != 1 || record.ID == "" || record.Phase != install.PhaseOutcome || record.Operation != install.OperationInstall || record.Target != targetName ||
			record.User != "operator" || record.SudoUser != "admin" || record.Command != "tbctl install test" || record.PID == 0 ||
			record.Time.IsZero() || record.Old.SHA256 != sumOf(b.old) || record.New.SHA256 != sumOf(b.new) ||
			record.New.Release.String() != "0.17.9" || len(record.Verified) == 0 || len(record.Source) > 5000 ||
			record.Result != install.ResultInstalled || record.Method != fsatomic.MethodExchanged {
			t.Errorf("%+v", record)
		}
	}
}

// TestReadDamaged requires that records survive lines that are none.
func TestReadDamaged(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, nil)
	check(t, m.Make(stateDir, vfs.KindDirectory, 0o755))
	good, err := json.Marshal(install.Record{Version: 1, ID: "a", Phase: install.PhaseIntent, Target: targetName})
	check(t, err)
	dir, err := m.OpenDir(stateDir)
	check(t, err)
	file, err := dir.Create("history.jsonl", 0o644)
	check(t, err)
	later := strings.Replace(string(good), "{", `{"later_field":{"deep":[1]},`, 1)
	for _, line := range []string{string(good), `{"version":1,"id":"tor`, "", "\x00\x00\x00", "[]", "{}", later, "\x00\x00" + `{"x`} {
		_, err := file.Write([]byte(line + "\n"))
		check(t, err)
	}
	_, err = file.Write(good[:len(good)-20]) // the last one, which no newline ends
	check(t, err)
	history, err := m.journal().Read("")
	if err != nil || len(history.Records) != 2 || history.Damaged != 6 {
		t.Errorf("%d records, %d damaged, %v", len(history.Records), history.Damaged, err)
	}
	var numbers []int
	for _, line := range history.DamagedLines {
		numbers = append(numbers, line.Number)
	}
	if !slices.Equal(numbers, []int{2, 4, 5, 6, 8, 9}) {
		t.Errorf("the lines %v", numbers)
	}
	if history, err = m.journal().Read("/another"); err != nil || len(history.Records) != 0 {
		t.Errorf("%+v, %v", history, err)
	}
}

// A history that is a link whose end is not there, as where a file system is not mounted, is not an empty one.
func TestDanglingJournal(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, nil)
	if _, err := m.journal().Read(""); err != nil {
		t.Fatalf("nothing there: %v", err)
	}
	check(t, m.Symlink("/data/not-mounted", stateDir))
	if _, err := m.journal().Read(""); !errors.Is(err, vfs.ErrDangling) {
		t.Errorf("%v", err)
	}
}

func TestNoJournal(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	in := m.installer()
	in.Journal = nil
	outcome, err := in.Install(t.Context(), request(), fetchOf(files(t).new, nil))
	if err != nil || outcome.Result != install.ResultInstalled {
		t.Fatal(outcome, err)
	}
	if history, err := in.Journal.Read(""); err != nil || len(history.Records) != 0 || !history.Complete {
		t.Errorf("%+v, %v", history, err)
	}
}

// crashAfterIntent crashes right after the intent became durable.
func crashAfterIntent(t *testing.T) *machine {
	t.Helper()
	b := files(t)
	for number := 1; ; number++ {
		m := newMachine(t, memfs.Options{}, b.older, b.old)
		check(t, m.Make(stateDir, vfs.KindDirectory, 0o755))
		m.CrashAt(number)
		_, err := m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
		if !m.Crashed() {
			t.Fatal("no intent was written", err)
		}
		m.Restart(memfs.None())
		if m.known(t).Next != nil {
			return m
		}
	}
}

// remove removes files beside the target, durably.
func (m *machine) remove(tb testing.TB, names ...string) {
	tb.Helper()
	dir, err := m.OpenDir(targetDir)
	check(tb, err)
	for _, name := range names {
		check(tb, dir.Remove(name))
	}
	check(tb, dir.Sync())
}

// TestInterrupted requires the truth about an interrupted operation from everybody who
// asks, and that asking changes nothing.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := files(t)
	tests := []struct {
		name    string
		arrange func(t *testing.T, m *machine)
		found   install.Result
	}{
		{"old", nil, install.ResultFoundOld},
		{"new", func(t *testing.T, m *machine) {
			m.remove(t, "tigerbeetle")
			m.put(t, targetName, b.new)
		}, install.ResultFoundNew},
		{"another", func(t *testing.T, m *machine) {
			m.remove(t, "tigerbeetle")
			m.put(t, targetName, b.next)
		}, install.ResultFoundOther},
		{"none", func(t *testing.T, m *machine) { m.remove(t, "tigerbeetle") }, install.ResultFoundNone},
		{"full disk", func(_ *testing.T, m *machine) { m.SetFree(0) }, install.ResultFoundOld},
		{"another user, without the journal", func(t *testing.T, m *machine) {
			m.SetUser(vfs.Self{UID: 1000, GID: 34})
			m.state = "/home/1000"
		}, install.ResultFoundOld},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := crashAfterIntent(t)
			if test.arrange != nil {
				test.arrange(t, m)
			}
			m.CrashAt(0)
			open, err := m.installer().Interrupted(t.Context(), targetName)
			if m.Self().UID != 0 && errors.Is(err, fs.ErrPermission) { // who has the lock, only root sees
				err = nil
			}
			if err != nil || open == nil || open.Found != test.found || open.Busy || open.Completed || open.Intent.Target != targetName {
				t.Errorf("%+v, %v", open, err)
			}
			if m.Count() != 0 {
				t.Errorf("looking changed something: %v", m.Trace())
			}
		})
	}
}

// TestInterruptedBusy requires that an operation which is under way is shown as such.
func TestInterruptedBusy(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	in := m.installer()
	asked := false
	in.Observe = func(step install.Step) {
		if step != install.StepReadBack {
			return
		}
		asked = true
		open, err := m.installer().Interrupted(t.Context(), targetName)
		if err != nil || open == nil || !open.Busy || open.Found != install.ResultFoundNew {
			t.Errorf("%+v, %v", open, err)
		}
	}
	_, err := in.Install(t.Context(), request(), fetchOf(files(t).new, nil))
	check(t, err)
	if got, want := m.phases(t), "outcome:installed"; got != want || !asked {
		t.Errorf("the journal has %q, want %q", got, want)
	}
}

// TestInterruptedNowhere requires that a target which is gone with its directory is no
// error, and one that cannot be looked at is.
func TestInterruptedNowhere(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, nil)
	check(t, m.Make(targetDir+"/directory", vfs.KindDirectory, 0o755))
	if open, err := m.installer().Interrupted(t.Context(), "/gone/tigerbeetle"); open != nil || err != nil {
		t.Errorf("%+v, %v", open, err)
	}
	if open, err := m.installer().Interrupted(t.Context(), targetDir+"/directory"); open != nil || !errors.Is(err, vfs.ErrDirectory) {
		t.Errorf("%+v, %v", open, err)
	}
}

// TestInstallTellsOfInterrupted requires that the next run says what the crash left.
func TestInstallTellsOfInterrupted(t *testing.T) {
	t.Parallel()
	m := crashAfterIntent(t)
	outcome, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).new, nil))
	if err != nil || len(outcome.Recovered) != 1 || outcome.Recovered[0].Result != install.ResultFoundOld {
		t.Errorf("%v: %+v", err, outcome)
	}
	if got, want := m.phases(t), "outcome:found-old outcome:installed"; got != want {
		t.Errorf("the journal has %q, want %q", got, want)
	}
}

// TestJournalUnwritable requires that nothing depends on the journal: what cannot be
// written there is a warning, and what was done is known all the same.
func TestJournalUnwritable(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, arrange := range map[string]func(*machine) error{
		"a file in the directory's place": func(m *machine) error { return m.Make(stateDir, vfs.KindFile, 0o644) },
		"a directory in its place": func(m *machine) error {
			return errors.Join(m.Make(stateDir, vfs.KindDirectory, 0o755), m.Make(stateDir+"/history.jsonl", vfs.KindDirectory, 0o755))
		},
		"a link in its place": func(m *machine) error {
			return errors.Join(m.Make(stateDir, vfs.KindDirectory, 0o755), m.Symlink(targetName, stateDir+"/history.jsonl"))
		},
		"an immutable directory": func(m *machine) error {
			return errors.Join(m.Make(stateDir, vfs.KindDirectory, 0o755),
				m.Alter(stateDir, func(info *vfs.Info) { info.Immutable = true }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			check(t, arrange(m))
			outcome, err := m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
			told := strings.Count(strings.Join(outcome.Plan.Warnings, "\n"), stateDir+"/history.jsonl: ")
			if err != nil || outcome.Result != install.ResultInstalled || told != 1 || !warns(outcome, "this install gets no record in the history: history "+stateDir) { // though it could be neither read nor written
				t.Fatalf("%v: %+v", err, outcome.Plan.Warnings)
			}
			r := request()
			r.Fit.Stopped, r.Fit.Needs = true, needs("0.17.8")
			for _, want := range []install.Result{install.ResultRolledBack, install.ResultAlready} {
				if outcome, err = m.installer().Rollback(t.Context(), r); err != nil || outcome.Result != want {
					t.Fatalf("%v: %s, want %s", err, outcome.Result, want)
				}
			}
			if now := m.look(t, name); fmt.Sprint(now) != fmt.Sprint(sight{"old", "new", nil}) {
				t.Errorf("%+v", now)
			}
		})
	}
}

func warns(outcome *install.Outcome, text string) bool {
	return slices.ContainsFunc(outcome.Plan.Warnings, func(warning string) bool { return strings.Contains(warning, text) })
}

// TestReadWhileWritten: a last line of which a part is there when the journal is read is not told as damaged when all of it is there a moment later.
func TestReadWhileWritten(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, nil)
	line := `{"version":1,"id":"a","phase":"outcome","target":"` + targetName + `"}` + "\n"
	for name, text := range map[string]string{"/before": line + line[:20], stateDir: line + line} {
		check(t, m.Make(name, vfs.KindDirectory, 0o755))
		dir, err := m.OpenDir(name)
		check(t, err)
		file, err := dir.Create("history.jsonl", 0o600)
		check(t, err)
		_, err = file.Write([]byte(text))
		check(t, err)
	}
	journal := &install.Journal{FS: &writing{FS: m.journal().FS, before: "/before"}, Dir: stateDir}
	if history, err := journal.Read(""); err != nil || len(history.Records) != 2 || history.Damaged != 0 || len(history.DamagedLines) != 0 {
		t.Errorf("%+v, %v", history, err)
	}
}

// writing shows the directory at before, the first time that one is opened.
type writing struct {
	vfs.FS
	before string
}

func (w *writing) OpenDir(name string) (vfs.Dir, error) {
	if w.before != "" {
		name, w.before = w.before, ""
	}
	return w.FS.OpenDir(name)
}
