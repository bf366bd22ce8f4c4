package fsatomic

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// StateSizeMax is the most bytes of a target's state.
const StateSizeMax = 1 << 20

// stateMode lets every user read it: nothing waits for a lock on this file.
const stateMode vfs.Mode = 0o644

// stateReserve are the bytes that a state holds beyond its end, on file systems that can do
// that: room for the next ones. A rollback is wanted most when the disk is full, and without an
// intent it may not begin. XFS wants a good quarter of a megabyte to make a file at all.
const stateReserve = 512 << 10

// stateReserveMin is the least that is worth holding.
const stateReserveMin = 16 << 10

// StatePath returns where the target's state is kept: a small file beside it that says
// what one holder of the lock leaves for the next one.
func (t Target) StatePath() string { return filepath.Join(t.dirPath(), stateName(t.base())) }

// ReadState returns the target's state. It needs no lock: the file is only ever
// replaced as a whole. It is believed only if root, the directory's owner or this user
// wrote it and other users may not: otherwise, and when it is not a regular file with one link or
// has more than [StateSizeMax] bytes, the error is [ErrStateFile]. Other errors: [ErrChanged] when the
// directory is no longer the one that was looked up, fs.ErrNotExist where there is none, or the operating system's.
//
// The writers are those of the file that was read, or of its name, also when it is not believed or not there; with [ErrChanged] and
// when the directory could not be opened they are not known, and none.
func ReadState(fsys vfs.FS, target Target) ([]byte, vfs.Writers, error) {
	data, writers, err := readState(fsys, target)
	if err != nil {
		return nil, writers, &fs.PathError{Op: "read", Path: target.StatePath(), Err: err}
	}
	return data, writers, nil
}

func readState(fsys vfs.FS, target Target) ([]byte, vfs.Writers, error) {
	dir, in, err := target.openDir(fsys)
	if err != nil {
		return nil, vfs.Writers{}, err
	}
	defer dir.Close()
	file, info, err := openState(dir.Open, dir, in, target.base(), fsys.Self())
	if err != nil {
		writers, failed := vfs.WritersIn(dir, target.StatePath(), nil, fsys.Self())
		if failed != nil {
			err = failed
		}
		return nil, writers, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	if err != nil {
		return nil, vfs.Writers{}, err
	}
	writers, err := vfs.WritersIn(dir, target.StatePath(), &info, fsys.Self())
	return data, writers, err
}

// openDir opens the directory that was looked up; another one is [ErrChanged].
func (t Target) openDir(fsys vfs.FS) (dir vfs.Dir, in vfs.Info, err error) {
	if dir, err = fsys.OpenDir(t.dirPath()); err != nil {
		return nil, in, err
	}
	if in, err = dir.Lstat("."); err == nil && t.Dir.Inode != 0 && !in.SameFile(t.Dir) {
		err = ErrChanged
	}
	if err != nil {
		dir.Close()
		return nil, in, err
	}
	return dir, in, nil
}

// OldWriters returns who may write the previous file, or its name where there is none. Errors: [ErrChanged] when the directory is no
// longer the one that was looked up, or the operating system's.
func OldWriters(fsys vfs.FS, target Target) (vfs.Writers, error) {
	dir, _, err := target.openDir(fsys)
	if err != nil {
		return vfs.Writers{}, &fs.PathError{Op: "find who may write", Path: target.OldPath, Err: err}
	}
	defer dir.Close()
	return vfs.WritersIn(dir, target.OldAt(), nil, fsys.Self())
}

// openState opens a state file with open, if it is to be believed. It looks at it before, since
// opening a symbolic link only says that there are too many, and afterwards, since it may be
// another one by then.
func openState(open func(string) (vfs.File, error), dir vfs.Dir, in vfs.Info, base string, self vfs.Self) (file vfs.File, info vfs.Info, err error) {
	info, err = dir.Lstat(stateName(base))
	if err == nil {
		err = believable(info, in, self)
	}
	if err == nil {
		file, err = open(stateName(base))
	}
	if err != nil {
		return nil, info, err
	}
	if info, err = file.Stat(); err == nil {
		err = believable(info, in, self)
	}
	if err != nil {
		file.Close()
		return nil, info, err
	}
	return file, info, nil
}

// believable says why a state file may be another user's work.
func believable(file, dir vfs.Info, self vfs.Self) error {
	switch {
	case file.Kind != vfs.KindFile:
		return fmt.Errorf("%w: it is a %s", ErrStateFile, file.Kind)
	case file.Links > 1:
		return fmt.Errorf("%w: it has %d links", ErrStateFile, file.Links)
	case file.UID != 0 && file.UID != dir.UID && file.UID != self.UID:
		return fmt.Errorf("%w: it belongs to user %d", ErrStateFile, file.UID)
	case file.Mode&0o022 != 0:
		return fmt.Errorf("%w: others may write it (mode %s)", ErrStateFile, file.Mode)
	case file.Size > StateSizeMax:
		return fmt.Errorf("%w: %w: %d bytes, at most %d", ErrStateFile, vfs.ErrTooLarge, file.Size, StateSizeMax)
	}
	return nil
}

// WriteState replaces the target's state in one step. On nil its contents are on the
// disk, and its name is with the next sync of the directory: [Staged.Commit] and [SwapBack]
// make one before the swap, [Lock.Sync] at any time. After a crash before that, the
// state is the old or the new one, whole. On error it is the old one, as far as the error
// is not that of the last step, the rename. On a full disk it takes the room that the state
// before it held for it. Errors: [vfs.ErrTooLarge], [vfs.ErrNoSpace], a [durable.SyncError], or the operating
// system's.
func (l *Lock) WriteState(data []byte) error {
	path := l.join(stateName(l.base()))
	if !l.held() {
		return &fs.PathError{Op: "write", Path: path, Err: fs.ErrClosed}
	}
	if len(data) > StateSizeMax {
		return &fs.PathError{Op: "write", Path: path, Err: fmt.Errorf("%w: %d bytes, at most %d", vfs.ErrTooLarge, len(data), StateSizeMax)}
	}
	name := durable.RandomName(l.base(), kindStage) // a leftover is cleared away by Recover
	err := l.makeState(name, data)
	if errors.Is(vfs.NoSpace(err), vfs.ErrNoSpace) && l.giveReserve() {
		if err = l.removeIfThere(name); err == nil {
			err = l.makeState(name, data)
		}
	}
	if err == nil {
		if err = l.dir.Rename(name, stateName(l.base())); err == nil {
			return nil
		}
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: %w", ErrRename, err)
		}
	}
	var failed *durable.SyncError
	if errors.As(err, &failed) {
		failed.Path = path
	} else {
		err = &fs.PathError{Op: "write", Path: path, Err: vfs.NoSpace(vfs.Cause(err))}
	}
	return errors.Join(err, l.removeIfThere(name))
}

// makeState makes a file of these contents, which are durable.
func (l *Lock) makeState(name string, data []byte) error {
	file, err := l.dir.Create(name, stateMode)
	if err != nil {
		return err
	}
	defer file.Close() // nothing is unwritten: it is synced
	info, err := file.Stat()
	if err == nil && info.Mode != stateMode { // whatever the umask
		if err = file.Chmod(stateMode); vfs.ModeRefused(err) {
			err = nil
		}
	}
	if err == nil {
		reserve(file, int64(len(data)))
		_, err = file.Write(data)
	}
	if err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return &durable.SyncError{Err: vfs.NoSpace(err)}
	}
	return nil
}

// reserve holds room for further states beyond the end of one of so many bytes: all of it, or as
// much as there is. Without it the state is good all the same.
func reserve(file vfs.File, size int64) {
	for room := int64(stateReserve); room >= max(size, stateReserveMin); room /= 2 {
		if err := file.Allocate(size + room); !errors.Is(vfs.NoSpace(err), vfs.ErrNoSpace) {
			return
		}
	}
}

// giveReserve gives back what the state that is there holds beyond its end, and reports
// whether it could.
func (l *Lock) giveReserve() bool {
	file, info, err := openState(l.dir.OpenAppend, l.dir, l.dirInfo, l.base(), l.fsys.Self())
	if err != nil {
		return false
	}
	defer file.Close()
	return file.Truncate(info.Size) == nil && file.Sync() == nil
}

// removeIfThere removes a file that tbctl made.
func (l *Lock) removeIfThere(name string) error {
	_, exists, err := vfs.LstatMaybe(l.dir, name)
	if err == nil && exists {
		err = l.dir.Remove(name)
	}
	return err
}

// Sync makes all changes of the directory's names durable. A failure is a [durable.SyncError].
func (l *Lock) Sync() error {
	if !l.held() {
		return &fs.PathError{Op: "sync", Path: l.path, Err: fs.ErrClosed}
	}
	return l.sync()
}
