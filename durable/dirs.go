package durable

import (
	"errors"
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
	made, err := fsys.OpenDir(path)
	if err != nil {
		return err
	}
	if err = made.Chmod(mode); vfs.ModeRefused(err) {
		err = nil
	}
	if err = errors.Join(err, made.Close()); err != nil {
		return err
	}
	if err := parent.Sync(); err != nil {
		return &SyncError{Path: path, Err: err}
	}
	return nil
}

// openAndClose returns an error unless path is a directory.
func openAndClose(fsys vfs.FS, path string) error {
	dir, err := fsys.OpenDir(path)
	if err != nil {
		return err
	}
	return dir.Close()
}
