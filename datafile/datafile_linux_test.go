package datafile_test

import (
	"errors"
	"path/filepath"
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
