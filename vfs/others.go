package vfs

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// OthersMayWrite says why another user than root and this one may decide what a file says, or "": the open
// file, the directory in which its name is, or the one to which links lead from there, is not theirs alone. A group of the user's own number is his own, as many systems make
// one for each user; no other group is asked who is in it. A user of less than 0 is of a system where this cannot be seen.
func OthersMayWrite(path string, opened fs.FileInfo, user int) string {
	if user < 0 {
		return ""
	}
	writable := func(info fs.FileInfo) bool {
		others := fs.FileMode(0o022)
		if user != 0 && groupOf(info) == user {
			others = 0o002
		}
		return info.Mode().Perm()&others != 0
	}
	foreign := func(info fs.FileInfo) bool { return OwnerOf(info) != 0 && OwnerOf(info) != user }
	switch {
	case foreign(opened):
		return fmt.Sprintf("it belongs to user %d", OwnerOf(opened))
	case writable(opened):
		return "others may write it"
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err.Error()
	}
	for _, name := range []string{path, real} {
		dir, err := Stat(filepath.Dir(name))
		switch {
		case err != nil:
			return err.Error()
		case foreign(dir):
			return fmt.Sprintf("its directory belongs to user %d", OwnerOf(dir))
		case writable(dir):
			return "others may write its directory"
		}
	}
	return ""
}
