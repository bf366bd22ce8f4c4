package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Dangling says of a name that does not exist whether it, or a directory on the way to it, is a symbolic link whose end is not there: then
// what it should have been may matter, and must not be taken for nothing. The error has the link's name and is [ErrDangling]. It is nil where nothing
// has the name, and where that cannot be seen.
func Dangling(fsys FS, name string) error {
	for at := name; filepath.Dir(at) != at; at = filepath.Dir(at) {
		dir, err := fsys.OpenDir(filepath.Dir(at))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil
		}
		info, exists, err := LstatMaybe(dir, filepath.Base(at))
		dir.Close()
		if err == nil && exists && info.Kind == KindSymlink {
			return &fs.PathError{Op: "follow", Path: at, Err: ErrDangling}
		}
		return nil
	}
	return nil
}
