package vfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

// leased makes a file that this process has a write lease on.
func leased(t *testing.T) (path string, fd uintptr) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tigerbeetle")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("skipped: no leases here: %v", err)
	}
	return path, file.Fd()
}

// opens are the ways to open a file.
var opens = map[string]func(path string) error{
	"in a directory": func(path string) error {
		dir, err := vfs.OS().OpenDir(filepath.Dir(path))
		if err != nil {
			return err
		}
		defer dir.Close()
		file, err := dir.Open(filepath.Base(path))
		if err != nil {
			return err
		}
		return file.Close()
	},
	"by its name": func(path string) error {
		file, _, err := vfs.OpenFile(path, nil)
		if err != nil {
			return err
		}
		return file.Close()
	},
}

// A lease that is given back when it is asked for does not hinder opening the file.
func TestLeaseGivenBack(t *testing.T) {
	t.Parallel()
	for name, open := range opens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, fd := leased(t)
			returned := make(chan error, 1)
			go func() {
				for {
					if kind, err := unix.FcntlInt(fd, unix.F_GETLEASE, 0); err != nil || kind != unix.F_WRLCK { // it is asked for
						_, err = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
						returned <- err
						return
					}
					runtime.Gosched()
				}
			}()
			if err := errors.Join(open(path), <-returned); err != nil {
				t.Error(err)
			}
		})
	}
}

// One that is kept is told as that, with whose the file is.
func TestLeaseKept(t *testing.T) {
	t.Parallel()
	for name, open := range opens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := leased(t)
			err := open(path)
			var lease *vfs.LeaseError
			if !errors.As(err, &lease) || lease.UID != os.Getuid() || fault.Of(err) != fault.Busy || !strings.Contains(err.Error(), path+": another process has a lease") {
				t.Errorf("%v", err)
			}
		})
	}
}
