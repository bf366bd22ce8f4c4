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
	got, err := datafile.ReadFile(t.Context(), device, once)
	if err != nil || got.Sequence != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
}
