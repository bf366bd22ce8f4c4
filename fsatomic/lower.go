package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tbctl/tbctl/vfs"
)

// modeLowered are the bits of a mode that a file which is only kept must not have: setuid,
// setgid, and that others may write it.
const modeLowered vfs.Mode = 0o6022

// LowerOld takes from the previous file what only a file at the target needs: its
// capabilities, setuid and setgid, the right of group and others to write it and,
// where this process may give files away, its owner: it becomes root's. What runs from it
// does not notice. [SwapBack] gives it the attributes of the file that it displaces.
//
// A file that has further names, which may be in use, is left as it is: [ErrLinks]. Without a
// previous file nothing is done. On nil what was to be taken is gone, durably; on error or after a
// crash the file may have some of it still.
func (l *Lock) LowerOld() error {
	if !l.held() {
		return &fs.PathError{Op: "lower", Path: l.path + oldSuffix, Err: fs.ErrClosed}
	}
	err := l.lowerOld()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "lower", Path: l.path + oldSuffix, Err: err}
	}
	return nil
}

func (l *Lock) lowerOld() error {
	file, err := l.dir.Open(l.base() + oldSuffix)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case info.Kind != vfs.KindFile:
		return vfs.Regular(info)
	case info.Links > 1:
		return fmt.Errorf("%w: %d", ErrLinks, info.Links)
	}
	changed := false
	// Capabilities first: changing owner or mode would take them away too, without saying so.
	switch _, err := file.Xattr(XattrCapability); {
	case err == nil:
		changed = true
		if err := file.RemoveXattr(XattrCapability); err != nil {
			return err
		}
	case !errors.Is(err, vfs.ErrNoXattr) && !errors.Is(err, vfs.ErrNotSupported):
		return err
	}
	if l.fsys.Self().Chown && info.UID != 0 {
		changed = true
		if err := file.Chown(0, OwnerUnchanged); err != nil {
			return err
		}
	}
	if mode := info.Mode &^ modeLowered; mode != info.Mode {
		changed = true
		if err := file.Chmod(mode); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return file.Sync()
}
