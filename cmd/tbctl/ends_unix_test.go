//go:build unix

package main

import (
	"errors"
	"os"
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
