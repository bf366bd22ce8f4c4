package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
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
func (w *Writers) Add(self Self, path string, uid int, mode Mode) {
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

// climbMax is how many directories stand above each other at most.
const climbMax = 1024

// WritersIn returns the writers of an entry of an open directory: of the file that was opened there, whose description is
// opened, or, if that is nil, of what is there now. Name is its path, for people: the way up to the root is that of the handle,
// wherever the path leads by then.
//
// In a sticky directory others may not touch what belongs to root or to this user. A group that
// an ACL lets write shows in the mode. What this user may not look at may be anybody's. Nothing is said of a
// descriptor that was opened before, nor of an earlier owner.
func WritersIn(dir Dir, name string, opened *Info, self Self) (Writers, error) {
	writers, err := writersIn(dir, name, opened, self)
	if err != nil {
		return Writers{}, &fs.PathError{Op: "find who may write", Path: name, Err: err}
	}
	return writers, nil
}

func writersIn(dir Dir, name string, opened *Info, self Self) (Writers, error) {
	var writers Writers
	path, base := filepath.Dir(name), filepath.Base(name)
	if opened == nil {
		info, exists, err := LstatMaybe(dir, base)
		if err != nil {
			return Writers{}, err
		}
		if info.Kind == KindSymlink { // it shows every right, and nobody can write it
			info.Mode = 0
		}
		if exists {
			opened = &info
		}
	}
	ours := false // whether what is in the directory belongs to root or to this user
	if opened != nil {
		ours = opened.UID == 0 || opened.UID == self.UID
		writers.Add(self, name, opened.UID, opened.Mode)
	}
	in, err := dir.Lstat(".")
	if err != nil {
		return Writers{}, err
	}
	at := dir
	defer func() {
		if at != dir {
			at.Close()
		}
	}()
	for range climbMax {
		mode := in.Mode
		if mode&0o1000 != 0 && ours {
			mode &^= 0o022
		}
		writers.Add(self, path, in.UID, mode)
		ours = in.UID == 0 || in.UID == self.UID
		up, err := at.Up()
		if errors.Is(err, fs.ErrPermission) {
			writers.Add(self, filepath.Dir(path), -1, ModeMax)
			return writers, nil
		}
		if err != nil {
			return Writers{}, err
		}
		if at != dir {
			at.Close()
		}
		at = up
		above, err := up.Lstat(".")
		if err != nil {
			return Writers{}, err
		}
		if above.SameFile(in) || above.Inode == 0 && filepath.Dir(path) == path { // the root
			return writers, nil
		}
		in, path = above, filepath.Dir(path)
	}
	return Writers{}, ErrTooLarge
}
