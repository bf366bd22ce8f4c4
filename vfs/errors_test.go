package vfs_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestNoSpace requires that a full disk and a used up quota are told apart, each said once and without the path
// of a file that the user does not know.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	for cause, text := range map[syscall.Errno]string{
		syscall.ENOSPC: "not enough free space",
		syscall.EDQUOT: "not enough free space: " + syscall.EDQUOT.Error(),
	} {
		err := vfs.NoSpace(&fs.PathError{Op: "write", Path: "/srv/.temp", Err: cause})
		if err.Error() != text || !errors.Is(err, vfs.ErrNoSpace) || !errors.Is(err, cause) {
			t.Errorf("%v: %q", cause, err)
		}
	}
	other := &fs.PathError{Op: "write", Path: "/srv/.temp", Err: syscall.EIO}
	if err := vfs.NoSpace(other); !errors.Is(err, syscall.EIO) || errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("%v", err)
	}
	if err := vfs.Cause(other); err.Error() != syscall.EIO.Error() { //nolint:errorlint // the text
		t.Errorf("%v", err)
	}
}
