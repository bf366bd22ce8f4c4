package install_test

import (
	"io/fs"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/install"
)

// TestErrorsSayThePathOnce requires that an error about a file does not repeat the path that its cause names.
func TestErrorsSayThePathOnce(t *testing.T) {
	t.Parallel()
	const path = "/srv/f"
	sync := &durable.SyncError{Path: path, Err: &fs.PathError{Op: "sync", Path: path, Err: syscall.EIO}}
	for text, err := range map[string]error{
		"history /srv/f: permission denied":         &install.JournalError{Path: path, Err: &fs.PathError{Op: "read journal", Path: path, Err: syscall.EACCES}},
		"history /srv/f: no such device":            &install.JournalError{Path: path, Err: &fs.PathError{Op: "read journal", Path: path, Err: &fs.PathError{Op: "open", Path: path, Err: syscall.ENODEV}}},
		"history /srv/f: open /srv: is a directory": &install.JournalError{Path: path, Err: &fs.PathError{Op: "open", Path: "/srv", Err: syscall.EISDIR}},
		"state /srv/f: sync: input/output error":    &install.StateError{Path: path, Err: sync},
		"read /srv/f back: input/output error":      &install.ReadBackError{Target: path, Err: &fs.PathError{Op: "read back", Path: path, Err: syscall.EIO}},
		"sync /srv/f: input/output error":           sync,
	} {
		if err.Error() != text {
			t.Errorf("%q, want %q", err, text)
		}
	}
}
