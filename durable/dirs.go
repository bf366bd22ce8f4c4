package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/vfs"
)

const pathElementsMax = 4096

// openParent opens the directory that name is in, and with make makes it first.
func openParent(fsys vfs.FS, name string, make bool) (vfs.Dir, string, error) {
	path, err := vfs.Absolute(name)
	if err != nil {
		return nil, "", err
	}
	parent, base := vfs.SplitPath(path)
	if err := vfs.CheckName(base); err != nil {
		return nil, "", err
	}
	if make {
		if err := MkdirAll(fsys, parent, journalDirMode); err != nil {
			return nil, "", err
		}
	}
	dir, err := fsys.OpenDir(parent)
	return dir, base, err
}

// MkdirAll makes a directory and the ones above it that do not exist, each with
// exactly mode, whatever the umask, where there are modes, and durably. Directories that
// exist are left alone. On error some may have been made.
func MkdirAll(fsys vfs.FS, name string, mode vfs.Mode) error {
	path, err := vfs.Absolute(name)
	if err == nil {
		err = mkdirAll(fsys, path, mode, pathElementsMax)
	}
	if inner, ok := errors.AsType[*fs.PathError](err); ok && inner.Path == path {
		err = inner.Err
	}
	if err != nil {
		return &fs.PathError{Op: "make directory", Path: name, Err: err}
	}
	return nil
}

func mkdirAll(fsys vfs.FS, path string, mode vfs.Mode, depth int) error {
	err := openAndClose(fsys, path)
	if err == nil {
		return nil
	}
	// Not cleaned up: after a symbolic link ".." is another directory.
	parentPath, base := vfs.SplitPath(strings.TrimRight(path, string(filepath.Separator)))
	if !errors.Is(err, fs.ErrNotExist) || base == "" || depth == 0 {
		return err
	}
	if err := mkdirAll(fsys, parentPath, mode, depth-1); err != nil {
		return err
	}
	if base == "." || base == ".." {
		return openAndClose(fsys, path)
	}
	parent, err := fsys.OpenDir(parentPath)
	if err != nil {
		return err
	}
	defer parent.Close()
	err = parent.Mkdir(base, mode)
	if errors.Is(err, fs.ErrExist) { // another process just made it; or it is a file, or a link to nothing
		return openAndClose(fsys, path)
	}
	if err != nil {
		return err
	}
	if err := setDirMode(fsys, parent, base, path, mode); err != nil {
		return err
	}
	if err := parent.Sync(); err != nil {
		return &SyncError{Path: path, Err: err}
	}
	return nil
}

// setDirMode gives a directory that was made just now its mode, whatever the umask. Who may write the one above it may have put
// another directory, or a link, at the name: then it must be the entry that is there, and empty.
func setDirMode(fsys vfs.FS, parent vfs.Dir, base, path string, mode vfs.Mode) error {
	in, err := parent.Lstat(".")
	if err != nil {
		return err
	}
	made, err := fsys.OpenDir(path)
	if err != nil {
		return err
	}
	defer made.Close()
	if self := fsys.Self(); othersWrite(in, self.UID, self) {
		there, err := parent.Lstat(base)
		if err != nil {
			return err
		}
		opened, err := made.Lstat(".")
		if err == nil && !there.SameFile(opened) {
			err = fmt.Errorf("%w, in the place of the directory that was made", ErrForeign)
		}
		if err != nil {
			return err
		}
		if names, err := made.List("", 1); err != nil || len(names) > 0 { // used already, or another: it keeps its mode
			return err
		}
	}
	if err = made.Chmod(mode); vfs.ModeRefused(err) {
		err = nil
	}
	return err
}

// openAndClose returns an error unless path is a directory.
func openAndClose(fsys vfs.FS, path string) error {
	dir, err := fsys.OpenDir(path)
	if err != nil {
		return err
	}
	return dir.Close()
}
