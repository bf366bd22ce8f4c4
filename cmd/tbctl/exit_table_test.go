package main

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestSystemErrors requires an exit code and a next step for what the system says of a
// file, wherever it comes up.
func TestSystemErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		hint string
	}{
		{syscall.EDQUOT, "quota -s"},
		{fmt.Errorf("%w: %w", vfs.ErrNoSpace, syscall.EDQUOT), "quota -s"},
		{syscall.ENOSPC, "df"},
		{fmt.Errorf("%w: %w", vfs.ErrNoSpace, syscall.ENOSPC), "df"},
		{syscall.ENOTDIR, "is a file, not a directory"},
		{syscall.ENAMETOOLONG, "shorter"},
		{syscall.ELOOP, "symbolic links"},
		{syscall.EROFS, "read-only"},
		{syscall.EIO, "dmesg"},
		{syscall.EMFILE, "ulimit -n"},
		{syscall.EACCES, "as root"},
		{vfs.ErrNoCurrent, "cd to a directory"},
	} {
		a := &app{ctx: context.Background(), command: "download"}
		got := classify(a, fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "/srv/x", Err: test.err}))
		if got.code != exitFailed || !strings.Contains(got.hint, test.hint) || strings.Contains(got.hint, "; make room in") {
			t.Errorf("%v: code %d, hint %q, want 1 and %q", test.err, got.code, got.hint, test.hint)
		}
	}
}
