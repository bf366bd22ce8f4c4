package datafile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"golang.org/x/sys/unix"
)

// Opening a pipe without a writer, or some devices, would wait or do worse.
func TestOpenOddKinds(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/null", "/dev/tty"} {
		file, err := datafile.Open(name)
		if !errors.Is(err, datafile.ErrFileKind) || file != nil {
			t.Errorf("%s: error %v, want ErrFileKind", name, err)
		}
	}
}

// Where the name is given to a pipe again and again, no pipe is ever opened.
func TestOpenSwapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, pipe := filepath.Join(dir, "data"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(name, newFixture(t).encode(t), 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, pipe, unix.IN_OPEN); err != nil {
		t.Skipf("skipped: %v", err)
	}
	done := make(chan struct{})
	defer func() { <-done }()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, pipe, unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 20000 {
		if file, err := datafile.Open(name); err == nil {
			file.Close()
		} else if !errors.Is(err, datafile.ErrFileKind) {
			t.Fatal(err)
		}
	}
	if count, err := unix.Read(watch, make([]byte, 4096)); err == nil && count > 0 {
		t.Error("the pipe was opened")
	}
}

// A block device may be a data file.
func TestReadBlockDevice(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a loop device needs root")
	}
	name := filepath.Join(t.TempDir(), "backing")
	data := make([]byte, 1<<20)
	copy(data, newFixture(t).encode(t))
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("losetup", "--find", "--show", "--read-only", name).CombinedOutput()
	if err != nil {
		t.Skipf("skipped: no loop device: %v: %s", err, output)
	}
	device := strings.TrimSpace(string(output))
	t.Cleanup(func() { exec.Command("losetup", "--detach", device).Run() })
	got, err := datafile.ReadFile(t.Context(), device)
	if err != nil || got.Sequence != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
}
