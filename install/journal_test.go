package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/fsatomic/memfs"
	"github.com/tbctl/tbctl/install"
)

// TestRecords requires that both records say who, what, from where and how.
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
	if len(history.Records) != 2 || history.Damaged != 0 || !history.Complete || len(history.Open()) != 0 {
		t.Fatalf("%+v", history)
	}
	intent, outcome := history.Records[0], history.Records[1]
	for _, record := range history.Records {
		if record.ID != intent.ID || record.Version != 1 || record.Operation != install.OperationInstall || record.Target != targetName ||
			record.User != "operator" || record.SudoUser != "admin" || record.Command != "tbctl install test" || record.PID == 0 ||
			record.Time.IsZero() || record.Old.SHA256 != sumOf(b.old) || record.New.SHA256 != sumOf(b.new) ||
			record.New.Release.String() != "0.17.9" || len(record.Verified) == 0 || len(record.Source) > 5000 {
			t.Errorf("%+v", record)
		}
	}
	if intent.Phase != install.PhaseIntent || intent.Result != "" || outcome.Phase != install.PhaseOutcome ||
		outcome.Result != install.ResultInstalled || outcome.Method != fsatomic.MethodExchanged {
		t.Errorf("%+v", history.Records)
	}
}

// TestReadDamaged requires that records survive lines that are none.
func TestReadDamaged(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, nil)
	check(t, m.Make(stateDir, fsatomic.KindDirectory, 0o755))
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
	_, err = file.Write(good) // without its newline: being written
	check(t, err)
	history, err := m.journal().Read("")
	if err != nil || len(history.Records) != 2 || history.Damaged != 4 {
		t.Errorf("%d records, %d damaged, %v", len(history.Records), history.Damaged, err)
	}
	if history, err = m.journal().Read("/another"); err != nil || len(history.Records) != 0 {
		t.Errorf("%+v, %v", history, err)
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
	if open, err := in.Reconcile(t.Context(), ""); err != nil || len(open) != 0 {
		t.Errorf("%+v, %v", open, err)
	}
}

// crashAfterIntent crashes right after the intent became durable.
func crashAfterIntent(t *testing.T) *machine {
	t.Helper()
	b := files(t)
	for number := 1; ; number++ {
		m := newMachine(t, memfs.Options{}, b.older, b.old)
		check(t, m.Make(stateDir, fsatomic.KindDirectory, 0o755))
		m.CrashAt(number)
		_, err := m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
		if !m.Crashed() {
			t.Fatal("no intent was written", err)
		}
		m.Restart(memfs.None())
		if m.phases(t) == "intent" {
			return m
		}
	}
}

// TestReconcile requires the truth about an interrupted operation from whoever
// asks, and its record from whoever may write it.
func TestReconcile(t *testing.T) {
	t.Parallel()
	b := files(t)
	remove := func(t *testing.T, m *machine, names ...string) {
		dir, err := m.OpenDir(targetDir)
		check(t, err)
		for _, name := range names {
			check(t, dir.Remove(name))
		}
	}
	tests := []struct {
		name    string
		arrange func(t *testing.T, m *machine)
		found   install.Result
		phases  string
	}{
		{"old", nil, install.ResultFoundOld, "intent outcome:found-old"},
		{"new", func(t *testing.T, m *machine) {
			remove(t, m, "tigerbeetle")
			m.put(t, targetName, b.new)
		}, install.ResultFoundNew, "intent outcome:found-new"},
		{"another", func(t *testing.T, m *machine) {
			remove(t, m, "tigerbeetle")
			m.put(t, targetName, b.next)
		}, install.ResultFoundOther, "intent outcome:found-other"},
		{"none", func(t *testing.T, m *machine) { remove(t, m, "tigerbeetle") }, install.ResultFoundNone, "intent outcome:found-none"},
		{"no directory", func(t *testing.T, m *machine) {
			dir, err := m.OpenDir("/opt")
			check(t, err)
			check(t, dir.Rename("tigerbeetle", "elsewhere"))
		}, install.ResultFoundNone, "intent"},
		{"full disk", func(_ *testing.T, m *machine) { m.SetFree(5000) }, install.ResultFoundOld, "intent outcome:found-old"},
		{"not allowed to write", func(t *testing.T, m *machine) { m.SetUser(fsatomic.Self{UID: 12, GID: 34}) }, install.ResultFoundOld, "intent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := crashAfterIntent(t)
			if test.arrange != nil {
				test.arrange(t, m)
			}
			open, err := m.installer().Reconcile(t.Context(), targetName)
			if err != nil || len(open) != 1 || open[0].Found != test.found || open[0].Busy || open[0].Intent.Target != targetName {
				t.Errorf("%+v, %v", open, err)
			}
			if got := m.phases(t); got != test.phases {
				t.Errorf("the journal has %q, want %q", got, test.phases)
			}
		})
	}
}

// TestReconcileBusy requires that an operation which is under way is not given an
// outcome by somebody else.
func TestReconcileBusy(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	check(t, m.Make(stateDir, fsatomic.KindDirectory, 0o755))
	in := m.installer()
	asked := false
	in.Observe = func(step install.Step) {
		if step != install.StepReadBack {
			return
		}
		asked = true
		open, err := m.installer().Reconcile(t.Context(), "")
		if err != nil || len(open) != 1 || !open[0].Busy || open[0].Found != install.ResultFoundNew {
			t.Errorf("%+v, %v", open, err)
		}
	}
	_, err := in.Install(t.Context(), request(), fetchOf(files(t).new, nil))
	check(t, err)
	if got, want := m.phases(t), "intent outcome:installed"; got != want || !asked {
		t.Errorf("the journal has %q, want %q", got, want)
	}
}

// TestReconcileGoesOn requires that one target which cannot be looked at does not
// hide the others.
func TestReconcileGoesOn(t *testing.T) {
	t.Parallel()
	m := crashAfterIntent(t)
	check(t, m.Make(targetDir+"/directory", fsatomic.KindDirectory, 0o755))
	line, err := json.Marshal(install.Record{Version: 1, ID: "0", Phase: install.PhaseIntent, Target: targetDir + "/directory"})
	check(t, err)
	check(t, fsatomic.Append(t.Context(), m.FS, path.Join(stateDir, "history.jsonl"), line))
	open, err := m.installer().Reconcile(t.Context(), "")
	if !errors.Is(err, fsatomic.ErrDirectory) || len(open) != 1 || open[0].Intent.Target != targetName {
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
	if got, want := m.phases(t), "intent outcome:found-old intent outcome:installed"; got != want {
		t.Errorf("the journal has %q, want %q", got, want)
	}
}
