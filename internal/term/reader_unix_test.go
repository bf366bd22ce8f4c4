//go:build unix

package term

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// An ends is one end for tbctl to write to, and one that reads it.
type ends struct{ write, read *os.File }

func pipeEnds(t *testing.T) ends {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return ends{write, read}
}

func socketEnds(t *testing.T) ends {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds { // a copy in another test's child would keep it open
		syscall.CloseOnExec(fd)
	}
	return ends{os.NewFile(uintptr(fds[0]), "here"), os.NewFile(uintptr(fds[1]), "there")}
}

// lose closes the end that reads, and waits until it is gone: a process that another test
// starts at this moment has it for an instant.
func (e ends) lose(t *testing.T) {
	t.Helper()
	e.read.Close()
	const waitMax = 10_000 // milliseconds
	poll := []unix.PollFd{{Fd: int32(e.write.Fd())}}
	for {
		count, err := unix.Poll(poll, waitMax)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || count != 1 {
			t.Fatalf("the other end stays: %v", err)
		}
		return
	}
}

// TestReaderLost goes through what a standard stream may be.
func TestReaderLost(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) ends{"pipe": pipeEnds, "socket": socketEnds} {
		e := make(t)
		if ReaderLost(e.write) {
			t.Errorf("%s: lost while it is read", name)
		}
		e.lose(t)
		if !ReaderLost(e.write) {
			t.Errorf("%s: nothing is lost without its reader", name)
		}
		e.write.Close()
		if ReaderLost(e.write) {
			t.Errorf("%s: a closed descriptor is lost", name)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if ReaderLost(file) || ReaderLost(null) || ReaderLost(&bytes.Buffer{}) {
		t.Error("a file, the null device or a buffer is lost")
	}
}
