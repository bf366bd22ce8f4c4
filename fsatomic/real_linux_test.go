package fsatomic_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
)

// slowVariable opts in to the tests that kill real processes at real system
// calls and cut the power of a real file system.
const slowVariable = "FSATOMIC_SLOW"

func needSlow(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv(slowVariable) == "" {
		t.Skipf("set %s=1 to run it", slowVariable)
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
}

// TestSystemCalls lets every system call of an installation that changes
// something fail, and kills the process at it.
func TestSystemCalls(t *testing.T) {
	t.Parallel()
	needRoot(t)
	needSlow(t, "strace")
	const times = 8 // of each call, in each thread
	calls := []string{"openat", "renameat2", "renameat", "fsync", "fchmod", "fchown", "fsetxattr", "write", "ftruncate", "fallocate", "flock"}
	for _, call := range calls {
		for _, what := range []string{"signal=SIGKILL", "error=EIO"} {
			t.Run(call+"/"+what, func(t *testing.T) {
				disturbed := 0
				for when := range times {
					name := filepath.Join(t.TempDir(), "binary")
					replace(t, fsatomic.OS(), name, contentsOlder, fsatomic.CommitOptions{})
					replace(t, fsatomic.OS(), name, contentsOld, fsatomic.CommitOptions{})
					check(t, os.Chown(name, 12, 34))
					setRaw(t, name, "user.note", []byte("keep"))
					helper := helperCommand(t, "install", name, contentsNew)
					command := exec.CommandContext(t.Context(), "strace", append([]string{"-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call,
						"-e", fmt.Sprintf("inject=%s:%s:when=%d", call, what, when+1)}, helper.Args...)...)
					command.Env = helper.Env
					output, err := command.CombinedOutput()
					checkInterrupted(t, name, fmt.Sprintf("%d: %v: %s", when+1, err, output))
					if err != nil || len(output) > 0 {
						disturbed++
					}
				}
				if disturbed == 0 && call+what != "ftruncateerror=EIO" { // it only clears the holder's line
					t.Error("nothing was disturbed")
				}
			})
		}
	}
}

// checkInterrupted checks what is there after an interrupted installation and
// after the next one.
func checkInterrupted(t *testing.T, name, what string) {
	t.Helper()
	at := mustRead(t, name)
	if at != contentsOld && at != contentsNew {
		t.Fatalf("%s: target %q", what, at)
	}
	replace(t, fsatomic.OS(), name, contentsNext, fsatomic.CommitOptions{})
	if got, old := mustRead(t, name), mustRead(t, name+"-old"); got != contentsNext || old != at {
		t.Fatalf("%s: after the next run %q and %q, want the previous to be %q", what, got, old, at)
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 3 {
		t.Fatalf("%s: left over: %v", what, entries)
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	contents, err := os.ReadFile(name)
	check(t, err)
	return string(contents)
}

// Syncs that a negative control leaves out.
type (
	careless struct {
		fsatomic.FS
		file, dir bool
	}
	carelessDir struct {
		fsatomic.Dir
		file, dir bool
	}
	carelessFile struct{ fsatomic.File }
)

func (c careless) OpenDir(name string) (fsatomic.Dir, error) {
	dir, err := c.FS.OpenDir(name)
	return carelessDir{dir, c.file, c.dir}, err
}

func (c carelessDir) Create(name string, mode fsatomic.Mode) (fsatomic.File, error) {
	file, err := c.Dir.Create(name, mode)
	if err != nil || !c.file {
		return file, err
	}
	return carelessFile{file}, nil
}

func (c carelessDir) Sync() error {
	if c.dir {
		return nil
	}
	return c.Dir.Sync()
}

func (carelessFile) Sync() error { return nil }

// TestPowerCut installs on an ext4 file system, and mounts a copy of its device
// as it was at that moment. Without the syncs the file is lost: the test would
// notice.
func TestPowerCut(t *testing.T) {
	needRoot(t)
	needSlow(t, "mkfs.ext4", "mount", "umount", "cp")
	tests := []struct {
		name      string
		file, dir bool // leave out
		want      string
	}{
		{"with all syncs", false, false, contentsNew},
		{"without the file's", true, false, ""},
		{"without the directory's", false, true, contentsOld},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			base := t.TempDir()
			image, cut := filepath.Join(base, "image"), filepath.Join(base, "cut")
			file, err := os.Create(image)
			check(t, err)
			check(t, errors.Join(file.Truncate(32<<20), file.Close()))
			run(t, "mkfs.ext4", "-q", "-F", image)
			name := filepath.Join(mountImage(t, image, filepath.Join(base, "a")), "dir", "binary")
			check(t, fsatomic.MkdirAll(fsatomic.OS(), filepath.Dir(name), 0o755))
			replace(t, fsatomic.OS(), name, contentsOld, fsatomic.CommitOptions{})
			run(t, "sync", "-f", name)
			replace(t, careless{fsatomic.OS(), test.file, test.dir}, name, contentsNew, fsatomic.CommitOptions{})
			run(t, "cp", "--sparse=always", image, cut)
			after := filepath.Join(mountImage(t, cut, filepath.Join(base, "b")), "dir", "binary")
			if got := strings.Trim(mustRead(t, after), "\x00"); got != test.want {
				t.Fatalf("after the power cut %q, want %q", got, test.want)
			}
			if test.want == contentsNew {
				if old := mustRead(t, after+"-old"); old != contentsOld {
					t.Fatalf("previous file %q", old)
				}
				checkInterrupted(t, after, "power cut")
			}
		})
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, output)
	}
}

// mountImage mounts an image such that a missing sync is not hidden.
func mountImage(t *testing.T, image, dir string) string {
	t.Helper()
	check(t, os.Mkdir(dir, 0o755))
	command := exec.CommandContext(t.Context(), "mount", "-o", "loop,noauto_da_alloc", image, dir)
	if output, err := command.CombinedOutput(); err != nil {
		t.Skipf("cannot mount: %v: %s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	return dir
}
