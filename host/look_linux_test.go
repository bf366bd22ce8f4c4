package host_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// What is said, what runs and what was seen before add up, and each data file is asked once.
func TestLook(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	_, other := standin.Install(t, standin.Binary(t, "0.17.3", "0.17.2"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	gone := filepath.Join(t.TempDir(), "gone.tigerbeetle")
	report, err := host.Look(t.Context(), host.Query{
		Target: binary, Running: []multiversion.Release{testbin.Release("0.17.1")}, DataFiles: []string{other}, Remembered: []string{dataFile, gone},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, need := range report.Needs {
		got = append(got, need.Release.String()+" "+string(need.Why)+" "+need.Source)
	}
	want := []string{
		"0.17.1 running --running", "0.17.3 data-file " + other, fmt.Sprintf("0.17.6 running process %d", p.PID()), "0.17.6 data-file " + dataFile,
	}
	if !slices.Equal(got, want) {
		t.Errorf("needs %q", got)
	}
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], gone) {
		t.Errorf("warnings %q", report.Warnings)
	}
}

// The operator's word is held against what is seen.
func TestLookStopped(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	query := host.Query{Target: binary, Stopped: true}
	_, err := host.Look(t.Context(), query)
	if runs, ok := errors.AsType[*host.StillRunsError](err); !ok || runs.PID != p.PID() {
		t.Errorf("error %v", err)
	}
	query.Ahead = true
	if report, err := host.Look(t.Context(), query); err != nil || len(report.Warnings) != 1 || !report.Options(query).Stopped {
		t.Errorf("ahead: %+v, %v", report, err)
	}
	p.Kill()
	query.Ahead = false
	if report, err := host.Look(t.Context(), query); err != nil || len(report.Needs) != 0 {
		t.Errorf("after its end: %+v, %v", report, err)
	}
}

func TestLookDataFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "none")
	_, err := host.Look(t.Context(), host.Query{Target: name, DataFiles: []string{name}})
	if failure, ok := errors.AsType[*host.DataFileError](err); !ok || failure.Name != name {
		t.Errorf("error %v", err)
	}
}

// A data file that was seen before and cannot be seen now stands against the way back alone, and
// only while the operator has not said what is needed. One that is gone tells nothing.
func TestLookRemembered(t *testing.T) {
	t.Parallel()
	binary, other := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	hidden, gone := t.TempDir(), filepath.Join(t.TempDir(), "gone.tigerbeetle")
	query := host.Query{Target: binary, Remembered: []string{hidden, gone}}
	if report, err := host.Look(t.Context(), query); err != nil || len(report.Needs) != 0 || len(report.Warnings) != 2 {
		t.Errorf("forward: %+v, %v", report, err)
	}
	query.Back, query.Stopped = true, true
	_, err := host.Look(t.Context(), query)
	if unseen, ok := errors.AsType[*host.RememberedError](err); !ok || unseen.Name != hidden {
		t.Errorf("back: %v", err)
	}
	named := query
	named.DataFiles = []string{other}
	running := query
	running.Running = []multiversion.Release{testbin.Release("0.17.5")}
	for what, query := range map[string]host.Query{"named": named, "running": running} {
		if report, err := host.Look(t.Context(), query); err != nil || len(report.Needs) != 1 {
			t.Errorf("back, %s: %+v, %v", what, report, err)
		}
	}
	query.Remembered = []string{gone}
	if report, err := host.Look(t.Context(), query); err != nil || len(report.Needs) != 0 || len(report.Warnings) != 1 {
		t.Errorf("gone: %+v, %v", report, err)
	}
}

// The data files that are to be remembered are those that were named, and a replica's by its
// path here.
func TestLookDataFiles(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	_, other := standin.Install(t, standin.Binary(t, "0.17.3", "0.17.2"))
	standin.Start(t, binary, dataFile, standin.Options{})
	report, err := host.Look(t.Context(), host.Query{Target: binary, DataFiles: []string{other}, Remembered: []string{other}})
	if err != nil || !slices.Equal(report.DataFiles, []string{other, dataFile}) || len(report.Needs) != 3 {
		t.Errorf("%q, %+v, %v", report.DataFiles, report.Needs, err)
	}
}
