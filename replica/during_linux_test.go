package replica_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// focus returns a process file system that shows one process alone, so that it
// can be looked at thousands of times a second.
func focus(t *testing.T, pid int) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"self", "stat", strconv.Itoa(pid)} {
		if err := os.Symlink("/proc/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A replica that is looked at without a pause while it upgrades is never
// missed, and what is certain of it is right at every moment.
func TestFindDuringUpgrade(t *testing.T) {
	t.Parallel()
	before, after := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v")
	for run := range 4 {
		binary, dataFile := standin.Install(t, before)
		p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: "now", Poll: time.Millisecond})
		finder := replica.NewFinder(binary, replica.Options{Proc: focus(t, p.PID())})
		standin.Replace(t, binary, after)
		var last multiversion.Release
		seen := map[string]int{}
		for deadline := time.Now().Add(2 * time.Minute); last != testbin.Release("0.17.8"); {
			view, err := finder.Find(t.Context())
			found := view.Processes
			if err != nil || len(found) != 1 || !found[0].Replica {
				t.Fatalf("run %d: found %+v, %v, after %v; it said:\n%s", run, found, err, seen, p.Log())
			}
			got := found[0].Running
			seen[fmt.Sprintf("%s %s %t", got.Release, got.Source, got.Certain)]++
			if got.Certain {
				if got.Release < last {
					t.Fatalf("run %d: %s runs for certain, after %s", run, got.Release, last)
				}
				last = got.Release
			}
			if time.Now().After(deadline) {
				t.Fatalf("run %d: at %s, seen %v", run, last, seen)
			}
		}
		t.Logf("run %d: %v", run, seen)
		p.Kill()
	}
}

// A plain executable is known once a pack holds it, and before that by its data file.
func TestFindPlain(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Executable(t, testbin.Release("0.17.6")))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	checkRunning(t, only(t, binary), "0.17.6", replica.SourceDataFile, false, replica.OriginTarget)
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.6"))
	p.Must("releases_bundled new: [0.17.6 0.17.7]")
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourcePack, true, replica.OriginReplaced)
	checkOffered(t, got, "0.17.6", "0.17.7")
	if err := errors.Join(os.Truncate(dataFile, 0), os.Remove(binary)); err != nil {
		t.Fatal(err)
	}
	if got := only(t, binary); got.Running.Source != replica.SourcePack || !got.Running.Certain {
		t.Errorf("without its data file: %+v", got.Running)
	}
}

func TestFindPlainWithoutAnything(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Executable(t, testbin.Release("0.17.6")))
	standin.Start(t, binary, dataFile, standin.Options{})
	if err := os.Truncate(dataFile, 0); err != nil {
		t.Fatal(err)
	}
	got := only(t, binary)
	if got.Running.Release != 0 || got.Running.Source != replica.SourceNone || got.Running.Note == "" {
		t.Errorf("running %+v", got.Running)
	}
}
