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

// What is said, what was seen before and what runs add up; the last is the replica's and its data file's.
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
	want := []string{"0.17.1 running --running", "0.17.3 data-file " + other, "0.17.6 data-file " + dataFile}
	if !slices.Equal(got[:3], want) || len(got) != 5 || got[3] != fmt.Sprintf("0.17.6 running process %d", p.PID()) || got[4] != want[2] {
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
