package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
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
	needAllSeen(t)
	binary, other := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	hidden, gone := t.TempDir(), filepath.Join(t.TempDir(), "gone.tigerbeetle")
	query := host.Query{Target: binary, Remembered: []string{hidden, gone}}
	if report, err := host.Look(t.Context(), query); err != nil || len(report.Needs) != 0 || len(report.Warnings) != 1 || len(report.Unseen) != 1 {
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

// A data file that was seen before may have been named by who may write the target's directory: it leads to no other
// process's files, and makes nobody believed. What the operator names himself does.
func TestLookRememberedMagicLink(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	through, link := "/proc/self/root"+dataFile, filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(through, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{through, link} {
		if file := host.ReadDataFile(t.Context(), name); !errors.Is(file.Err, vfs.ErrMagicLink) || file.Gone || file.Release != 0 {
			t.Errorf("%s: %+v", name, file)
		}
		query := host.Query{Target: binary, Remembered: []string{name}}
		if users := query.Options().Users; len(users) != 0 {
			t.Errorf("%s: %d is believed", name, users)
		}
	}
	query := host.Query{Target: binary, DataFiles: []string{through}}
	report, err := host.Look(t.Context(), query)
	if err != nil || len(report.Needs) != 1 || len(query.Options().Users) != 1 {
		t.Errorf("named: %+v, %v", report, err)
	}
}

// The data files that are to be remembered are a replica's by its path here, and apart from them
// those that were named; a named one is not asked twice, and is none that was seen.
func TestLookDataFiles(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	_, other := standin.Install(t, standin.Binary(t, "0.17.3", "0.17.2"))
	standin.Start(t, binary, dataFile, standin.Options{})
	report, err := host.Look(t.Context(), host.Query{Target: binary, DataFiles: []string{other}, Remembered: []string{other}})
	if err != nil || !slices.Equal(report.DataFiles, []string{dataFile}) || len(report.Needs) != 3 ||
		!slices.Equal(report.Named, []verify.Reached{{Release: testbin.Release("0.17.3"), DataFile: other}}) ||
		report.Reached.Release != testbin.Release("0.17.6") || report.Reached.DataFile != dataFile || !report.Options(host.Query{DataFiles: []string{other}}).Said {
		t.Errorf("%q, %+v, %v", report.DataFiles, report, err)
	}
}

// What cannot be seen is told, and settled by what is said or remembered.
func TestLookUnseen(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	blind := replica.Options{Proc: filepath.Join(t.TempDir(), "none")}
	unreadable := t.TempDir()
	running := []multiversion.Release{testbin.Release("0.17.6")}
	tests := []struct {
		name    string
		query   host.Query
		kinds   []replica.UnseenKind
		settled bool
	}{
		{"nothing", host.Query{}, nil, false},
		{"no /proc", host.Query{Replicas: blind}, []replica.UnseenKind{replica.UnseenNoProc}, false},
		{"no /proc, running", host.Query{Replicas: blind, Running: running}, []replica.UnseenKind{replica.UnseenNoProc}, true},
		{"no /proc, a data file", host.Query{Replicas: blind, DataFiles: []string{dataFile}}, []replica.UnseenKind{replica.UnseenNoProc}, true},
		{"no /proc, stopped", host.Query{Replicas: blind, Stopped: true}, []replica.UnseenKind{replica.UnseenNoProc}, true},
		{"no /proc, remembered", host.Query{Replicas: blind, Remembered: []string{dataFile}}, []replica.UnseenKind{replica.UnseenNoProc}, true},
		{"no /proc, one of two remembered", host.Query{Replicas: blind, Remembered: []string{dataFile, unreadable}},
			[]replica.UnseenKind{replica.UnseenNoProc, host.UnseenDataFile}, false},
		{"remembered and gone", host.Query{Remembered: []string{filepath.Join(unreadable, "gone")}}, nil, false},
		{"remembered and unreadable", host.Query{Remembered: []string{unreadable}}, []replica.UnseenKind{host.UnseenDataFile}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.query.Target = binary
			report, err := host.Look(t.Context(), test.query)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []replica.UnseenKind
			for _, unseen := range report.Unseen {
				kinds = append(kinds, unseen.Kind)
			}
			options := report.Options(test.query)
			if !slices.Equal(kinds, test.kinds) || options.Settled != test.settled || len(options.Unseen) != len(kinds) {
				t.Errorf("unseen %v, options %+v", report.Unseen, options)
			}
		})
	}
}

// needAllSeen skips a test of what is told where everything is seen, which a container does not show.
func needAllSeen(t *testing.T) {
	t.Helper()
	view, err := host.See(t.Context(), host.Query{Target: "/none"})
	if err != nil || len(view.Unseen) > 0 {
		t.Skipf("skipped: it needs to see every process: %+v, %v", view.Unseen, err)
	}
}

// mallory is a user whom nothing is believed.
const mallory = 45551

// mallorys starts a replica of mallory's from root's binary.
func mallorys(t *testing.T, binary, dataFile string) *standin.Process {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: changing the user needs root")
	}
	for _, dir := range []string{filepath.Dir(binary), filepath.Dir(filepath.Dir(binary))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dataFile, mallory, mallory); err != nil {
		t.Fatal(err)
	}
	return standin.Start(t, binary, dataFile, standin.Options{User: mallory})
}

// A stranger's replica counts for what it can have been started with, and the operator's word more than it.
func TestLookStranger(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := mallorys(t, binary, dataFile)
	who := fmt.Sprintf("process %d of user %d", p.PID(), mallory)
	needs := func(t *testing.T, query host.Query, want ...string) host.Report {
		t.Helper()
		query.Target = binary
		report, err := host.Look(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, need := range report.Needs {
			got = append(got, need.Release.String()+" "+string(need.Why)+" "+need.Source)
		}
		if !slices.Equal(got, want) {
			t.Errorf("needs %q, want %q", got, want)
		}
		return report
	}
	runs, data := "0.17.6 running "+who, "0.17.6 data-file "+dataFile+" of "+who
	report := needs(t, host.Query{}, runs, data)
	if report.Reached.Release != 0 || len(report.DataFiles) != 0 {
		t.Errorf("remembered of a stranger: %+v, %q", report.Reached, report.DataFiles)
	}
	if len(report.Strangers) != 2 || report.Strangers[0] != (host.Stranger{PID: p.PID(), Release: testbin.Release("0.17.6")}) {
		t.Errorf("strangers %+v", report.Strangers)
	}
	if report := needs(t, host.Query{Stopped: true}); len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], who+" runs from the target, and is left out") {
		t.Errorf("stopped: %q", report.Warnings)
	}
	if report := needs(t, host.Query{Ignore: []int{p.PID()}}); len(report.Warnings) != 1 || len(report.Strangers) != 0 {
		t.Errorf("ignored: %q, %+v", report.Warnings, report.Strangers)
	}
	// Whose data file is remembered is believed, and stands against the operator's word.
	if report := needs(t, host.Query{Remembered: []string{dataFile}}, fmt.Sprintf("0.17.6 running process %d", p.PID()), "0.17.6 data-file "+dataFile); len(report.Strangers) != 0 {
		t.Errorf("remembered: %+v", report.Strangers)
	}
	query := host.Query{Target: binary, Remembered: []string{dataFile}, Stopped: true}
	if _, err := host.Look(t.Context(), query); err == nil {
		t.Error("stopped, and a replica of a remembered data file runs: no error")
	}
	// A data file of a release that the target never held is made up.
	rewrite(t, dataFile, "0.16.1")
	if report := needs(t, host.Query{}, runs); !strings.Contains(strings.Join(report.Warnings, "; "), "data file of release 0.16.1, which neither the target") {
		t.Errorf("made up: %q", report.Warnings)
	}
}

// rewrite gives the data file's last checkpoint another release.
func rewrite(t *testing.T, dataFile, release string) {
	t.Helper()
	superblock, err := datafile.ReadFile(t.Context(), dataFile)
	if err != nil {
		t.Fatal(err)
	}
	superblock.Parent, superblock.Release = superblock.Checksum, testbin.Release(release)
	superblock.Sequence++
	raw, err := zone.Encode(&superblock)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dataFile, raw[:], 0o600); err != nil {
		t.Fatal(err)
	}
}

// The operator's word is held, too, against a replica that has the target's data file but runs from another path; a
// copy of the target alone is another one.
func TestLookStoppedElsewhere(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	other, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, other, dataFile, standin.Options{})
	query := host.Query{Target: binary, Stopped: true}
	if _, err := host.Look(t.Context(), query); err != nil {
		t.Errorf("of a copy: %v", err)
	}
	query.Remembered = []string{dataFile}
	_, err := host.Look(t.Context(), query)
	if runs, ok := errors.AsType[*host.StillRunsError](err); !ok || runs.PID != p.PID() || !strings.Contains(err.Error(), other) {
		t.Errorf("with the target's data file: %v", err)
	}
	query.Ignore = []int{p.PID()}
	if _, err := host.Look(t.Context(), query); err != nil {
		t.Errorf("left out: %v", err)
	}
}
