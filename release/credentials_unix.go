//go:build unix

package release

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// secret refuses a file that others than this user and root may read.
func secret(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return nil
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%w: it belongs to user %d", ErrReadable, stat.Uid)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w: its mode is %04o", ErrReadable, info.Mode().Perm())
	}
	return nil
}
