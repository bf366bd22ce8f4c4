package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// serviceUser is a user of whom no other test has processes.
const serviceUser = 45556

// served is a replica of another user than the one who installs, in a directory that he may pass through.
func served(t *testing.T) (binary, dataFile string, running *standin.Process) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it starts a replica of another user")
	}
	binary, dataFile = standin.Install(t, standin.Binary(t, "0.17.7", "0.17.6"))
	dir := filepath.Dir(binary)
	for _, name := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dataFile, serviceUser, serviceUser); err != nil {
		t.Fatal(err)
	}
	running = standin.Start(t, binary, dataFile, standin.Options{User: serviceUser, Upgrade: "never"})
	return binary, dataFile, running
}

// TestMayExecute: no file is installed that the user of a running replica could not read or execute; without a replica the
// owner of its data file is warned of.
func TestMayExecute(t *testing.T) {
	t.Parallel()
	binary, dataFile, running := served(t)
	next := standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	before, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	said := host.Said{DataFiles: []string{dataFile}}
	group := serviceUser
	for name, test := range map[string]struct {
		mode  vfs.Mode
		gid   *int
		right vfs.Right
	}{
		"unreadable":          {0o700, nil, vfs.RightRead},
		"not executable":      {0o744, nil, vfs.RightExecute},
		"not his group":       {0o750, nil, vfs.RightRead},
		"his group, unlisted": {0o705, &group, vfs.RightRead},
	} {
		for _, dryRun := range []bool{true, false} {
			_, err := siteOf(binary, said).Install(t.Context(), install.Request{Mode: &test.mode, GID: test.gid}, fetching(next), dryRun)
			denied, ok := errors.AsType[*vfs.DeniedError](err)
			if !ok || denied.Right != test.right || fault.Of(err) != fault.Refused {
				t.Errorf("%s, dry run %v: %v", name, dryRun, err)
			}
		}
	}
	if now, err := os.ReadFile(binary); err != nil || !slices.Equal(now, before) {
		t.Fatalf("the target was changed: %v", err)
	}

	// The directory is closed to him.
	if err := os.Chmod(filepath.Dir(binary), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = siteOf(binary, said).Install(t.Context(), install.Request{}, fetching(next), true)
	if denied, ok := errors.AsType[*vfs.DeniedError](err); !ok || denied.Right != vfs.RightSearch || denied.Of.Path != filepath.Dir(binary) {
		t.Errorf("a closed directory: %v", err)
	}
	if err := os.Chmod(filepath.Dir(binary), 0o755); err != nil {
		t.Fatal(err)
	}

	// What he may do with the file that is there is part of the outlook.
	query := host.Query{Target: binary, DataFiles: []string{dataFile}}
	for mode, kind := range map[os.FileMode]host.OutlookKind{0o755: host.OutlookArmed, 0o744: host.OutlookRestartFails, 0o700: host.OutlookRefuses} {
		if err := os.Chmod(binary, mode); err != nil {
			t.Fatal(err)
		}
		view, err := host.See(t.Context(), query)
		if err != nil || len(view.Processes) != 1 {
			t.Fatalf("mode %v: %d processes, %v", mode, len(view.Processes), err)
		}
		process := view.Processes[0]
		process.Armed = &replica.Armed{Checksum: header("0.17.6 0.17.7").ChecksumBinary}
		if seen := host.Foresee(process, header("0.17.6 0.17.7"), 0); seen.OutlookKind != kind || kind != host.OutlookArmed && !strings.Contains(seen.Outlook, "user 45556 may not") {
			t.Errorf("mode %v: %s: %s", mode, seen.OutlookKind, seen.Outlook)
		}
	}
	if err := os.Chmod(binary, 0o755); err != nil {
		t.Fatal(err)
	}

	running.Kill()
	mode := vfs.Mode(0o700)
	outcome, err := siteOf(binary, said).Install(t.Context(), install.Request{Mode: &mode}, fetching(next), false)
	if err != nil || !slices.ContainsFunc(outcome.Plan.Warnings, func(text string) bool {
		return strings.Contains(text, "user 45556 may not read") && strings.Contains(text, "mode 0755")
	}) {
		t.Errorf("without a replica: %v, %q", err, outcome.Plan.Warnings)
	}
	if _, err := siteOf(binary, said).Install(t.Context(), install.Request{Mode: &mode}, fetching(next), false); err != nil {
		t.Errorf("again, as it is installed already: %v", err)
	}
}
