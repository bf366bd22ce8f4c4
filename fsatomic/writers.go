package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/tbctl/tbctl/vfs"
)

// Writers are those who may change what is at a path, besides root and this process's
// user: the file itself, its name, or a directory on the way to it.
type Writers struct {
	Users []int // who own one of them
	Any   bool  // a group, or every user, may write one of them

	first string // one of them, for String
}

// None reports whether there are none: root or this user has written what is there.
func (w Writers) None() bool { return len(w.Users) == 0 && !w.Any }

// Only reports whether no other user than this one is among them.
func (w Writers) Only(uid int) bool {
	return !w.Any && !slices.ContainsFunc(w.Users, func(user int) bool { return user != uid })
}

// String says of the first of them who may write what.
func (w Writers) String() string {
	switch {
	case w.None():
		return "nobody else may write it"
	case w.Any:
		return "others may write " + w.first
	}
	return fmt.Sprintf("user %d may write %s", w.Users[0], w.first)
}

// Add adds those who may write something of this owner and mode at path.
func (w *Writers) Add(self vfs.Self, path string, uid int, mode vfs.Mode) {
	if w.first == "" || !w.Any && mode&0o022 != 0 {
		w.first = path
	}
	w.Any = w.Any || mode&0o022 != 0
	if uid != 0 && uid != self.UID && !slices.Contains(w.Users, uid) {
		w.Users = append(w.Users, uid)
	}
	if w.None() {
		w.first = ""
	}
}

// WritersOf returns the writers of the file at a path, or of the name where there is no file.
// In a sticky directory others may not touch what belongs to root or to this user. A group that
// an ACL lets write shows in the mode. Nothing is said of a descriptor that was opened before, nor of
// an earlier owner.
func WritersOf(fsys vfs.FS, name string) (Writers, error) {
	writers, err := writersOf(fsys, name)
	if err != nil {
		return Writers{}, &fs.PathError{Op: "find who may write", Path: name, Err: err}
	}
	return writers, nil
}

func writersOf(fsys vfs.FS, name string) (Writers, error) {
	parent, base := vfs.SplitPath(name)
	path, err := fsys.RealPath(parent)
	if err != nil {
		return Writers{}, err
	}
	self := fsys.Self()
	ours := false // whether what is in the directory belongs to root or to this user
	var writers Writers
	for {
		dir, err := fsys.OpenDir(path)
		if err != nil {
			return Writers{}, err
		}
		in, err := dir.Lstat(".")
		if err == nil && base != "" {
			var info vfs.Info
			switch info, err = dir.Lstat(base); {
			case err == nil:
				ours = info.UID == 0 || info.UID == self.UID
				if info.Kind == vfs.KindSymlink { // it shows every right, and nobody can write it
					info.Mode = 0
				}
				writers.Add(self, filepath.Join(path, base), info.UID, info.Mode)
			case errors.Is(err, fs.ErrNotExist):
				err = nil
			}
		}
		if err = errors.Join(err, dir.Close()); err != nil {
			return Writers{}, err
		}
		mode := in.Mode
		if mode&0o1000 != 0 && ours {
			mode &^= 0o022
		}
		writers.Add(self, path, in.UID, mode)
		ours, base = in.UID == 0 || in.UID == self.UID, ""
		if filepath.Dir(path) == path {
			return writers, nil
		}
		path = filepath.Dir(path)
	}
}
