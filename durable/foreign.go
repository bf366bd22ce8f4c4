package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/vfs"
)

// ErrForeign says that another user may have put what is there at its name. Who may write a directory can rename any file of it,
// also one that he may neither read nor write, and so have it written to by a process that may.
var ErrForeign = errors.New("another user may have put it there")

// othersWrite reports whether other users may put a file of that owner at a name in the directory.
// In a sticky directory they may not do so with one that is this user's.
func othersWrite(in vfs.Info, owner int, self vfs.Self) bool {
	ours := func(uid int) bool { return uid == 0 || uid == self.UID }
	switch {
	case in.Inode == 0: // a system that tells no owner
		return false
	case !ours(in.UID):
		return true
	case in.Mode&0o1000 != 0 && ours(owner):
		return false
	}
	return in.Mode&0o022 != 0
}

// OwnDir refuses a directory in which other users may put files, with [ErrForeign].
func OwnDir(dir vfs.Dir, self vfs.Self) error {
	in, err := dir.Lstat(".")
	if err == nil && othersWrite(in, -1, self) {
		err = fmt.Errorf("%w: the directory belongs to user %d, and has mode %s", ErrForeign, in.UID, in.Mode)
	}
	return err
}

// journalMark is how many bytes at its beginning tell a journal from another file: those of a line of it.
const journalMark = 16

// isJournal refuses an open file that is not a journal to which lines that begin like this one are added: it is a regular
// file of one name, and where others may have put it there it is empty, or begins like the line.
func isJournal(dir vfs.Dir, file vfs.File, info vfs.Info, line []byte, self vfs.Self) error {
	if err := vfs.Regular(info); err != nil {
		return err
	}
	if info.Links > 1 {
		return manyLinks(info)
	}
	in, err := dir.Lstat(".")
	if err != nil || info.Size == 0 || !othersWrite(in, info.UID, self) {
		return err
	}
	begin := make([]byte, min(journalMark, len(line)))
	count, err := file.ReadAt(begin, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(begin[:count], line[:len(begin)]) {
		return fmt.Errorf("%w: it holds something else", ErrForeign)
	}
	return nil
}
