package host_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// TestSamePlace: who owns the directory above a target makes its name lead to another target and back, so that the
// replicas are looked for at the one and the files change places at the other. What is changed is what was looked at.
func TestSamePlace(t *testing.T) {
	t.Parallel()
	older, newer := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.7", "0.17.6")
	twice := func(binary string) {
		t.Helper()
		said := host.Said{Running: []multiversion.Release{testbin.Release("0.17.6")}}
		if _, err := siteOf(binary, said).Install(t.Context(), install.Request{}, fetching(newer), false); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		first   bool // whether the name leads to the victim at the first look too, whose replica starts later then
		refused func(error) bool
	}{
		"looked at the one": {false, func(err error) bool { return errors.Is(err, fsatomic.ErrChanged) }},
		"looked at the other, and at the one under the lock": {true, func(err error) bool {
			var runs *host.StillRunsError
			return errors.As(err, &runs)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim, dataFile := standin.Install(t, older)
			twice(victim)
			start := sync.OnceFunc(func() { standin.Start(t, victim, dataFile, standin.Options{}).Must("listening") })
			if !test.first {
				start()
			}
			above := t.TempDir()
			bin, other := filepath.Join(above, "bin"), filepath.Join(above, "other")
			target := filepath.Join(bin, filepath.Base(victim))
			if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(target, older, 0o755), os.Symlink(filepath.Dir(victim), other)); err != nil {
				t.Fatal(err)
			}
			twice(target)
			before, err := os.ReadFile(victim)
			if err != nil {
				t.Fatal(err)
			}
			led := false
			lead := func(there bool) {
				if led != there {
					led = there
					if err := unix.Renameat2(unix.AT_FDCWD, bin, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
						t.Error(err)
					}
				}
			}
			site := siteOf(target, host.Said{Running: []multiversion.Release{testbin.Release("0.17.6")}, Stopped: true})
			site.Installer.Observe = func(step install.Step) {
				lead(step != install.StepJudge)
				if step == install.StepVerify {
					start()
				}
			}
			lead(test.first)
			_, err = site.Rollback(t.Context(), install.Request{}, false)
			if !test.refused(err) {
				t.Errorf("error %v", err)
			}
			if after, err := os.ReadFile(victim); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the victim's target was changed: %v", err)
			}
		})
	}
}

// TestSamePlaceArmed: a name that leads to another target after the operation is not waited for there.
func TestSamePlaceArmed(t *testing.T) {
	t.Parallel()
	older, newer := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.7", "0.17.6")
	for _, dryRun := range []bool{false, true} {
		victim, dataFile := standin.Install(t, newer)
		standin.Start(t, victim, dataFile, standin.Options{}).Must("listening")
		above := t.TempDir()
		bin, other := filepath.Join(above, "bin"), filepath.Join(above, "other")
		target := filepath.Join(bin, filepath.Base(victim))
		if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(target, older, 0o755), os.Symlink(filepath.Dir(victim), other)); err != nil {
			t.Fatal(err)
		}
		site := siteOf(target, host.Said{})
		if _, err := site.Install(t.Context(), install.Request{}, fetching(newer), dryRun); err != nil {
			t.Fatal(err)
		}
		if err := unix.Renameat2(unix.AT_FDCWD, bin, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
			t.Fatal(err)
		}
		var err error
		count := 0
		if dryRun {
			count, err = site.ForeseeArmed(t.Context(), true)
		} else {
			count, err = site.WaitArmed(t.Context(), time.Minute, false, nil)
		}
		if count != 0 || !errors.Is(err, fsatomic.ErrChanged) {
			t.Errorf("dry run %t: %d replicas, error %v", dryRun, count, err)
		}
	}
}
