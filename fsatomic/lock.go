package fsatomic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

const (
	// Who may open the lock file may hold it: its owner, and the group of a directory in which
	// the group may make and remove files anyway.
	lockMode       vfs.Mode = 0o600
	lockModeGroup  vfs.Mode = 0o660
	holderSizeMax           = 4 << 10                // bytes of a lock file that are read
	commandSizeMax          = 1 << 10                // bytes of a command that are written
	lockGrace               = 100 * time.Millisecond // who only looks whether it is held has it for an instant
)

// LockOptions says how to take a lock. The zero value does not wait.
type LockOptions struct {
	Command string        // what the holder does, for others to read
	Wait    time.Duration // how long to wait for another holder; [durable.WaitForever]
}

// Lock is the exclusive right to change a target and the names beside it. It
// is an flock(2) on a file beside the target, which stays there for ever: when
// the holder dies, however it dies, the lock is free. Who may open the lock file may
// hold it: its owner, root, and in a directory that is a group's that group.
//
// A Lock keeps the target's directory open; all changes go through it. It must
// not be used by two goroutines at once.
type Lock struct {
	fsys      vfs.FS
	dir       vfs.Dir
	dirInfo   vfs.Info
	path      string // the target's path, without symbolic links
	file      vfs.File
	writable  bool // the lock file could be opened for writing, and is ours to write
	recovered bool
}

func (l *Lock) base() string            { return filepath.Base(l.path) }
func (l *Lock) join(name string) string { return filepath.Join(filepath.Dir(l.path), name) }
func (l *Lock) lockPath() string        { return l.join(lockName(l.base())) }
func (l *Lock) held() bool              { return l.file != nil }
func (l *Lock) sync() error {
	if err := l.dir.Sync(); err != nil {
		return &durable.SyncError{Path: filepath.Dir(l.path), Err: err}
	}
	return nil
}

// Acquire takes the lock of the target. While another process or goroutine has
// it, Acquire waits as long as the options say and then returns a [durable.BusyError].
// Errors: also [ErrLockFile], [ErrChanged] when the directory is no longer the
// one that was looked up, [ErrSystem], the context's, or the operating
// system's. On error nothing is held; the lock file may have been made.
func Acquire(ctx context.Context, fsys vfs.FS, target Target, options LockOptions) (*Lock, error) {
	if target.Dir.Inode == 0 {
		return nil, &fs.PathError{Op: "lock", Path: target.Path, Err: ErrSystem}
	}
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: target.Path, Err: err}
	}
	lock := &Lock{fsys: fsys, dir: dir, path: target.Path}
	if lock.dirInfo, err = dir.Lstat("."); err == nil && !lock.dirInfo.SameFile(target.Dir) {
		err = ErrChanged
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = durable.WhileBusy(ctx, patient(options.Wait), func() (err error) {
			lock.file, err = durable.OpenLocked(dir, lockName(lock.base()), lock.openLockFile, func(file vfs.File) error {
				return &durable.BusyError{Path: lock.lockPath(), Holder: readHolder(file)}
			})
			return err
		})
	}
	if err != nil {
		dir.Close()
		return nil, target.lockError(err)
	}
	if lock.writable = lock.writable && lock.isOurs(); lock.writable {
		lock.share()
		lock.writeHolder(options.Command)
	}
	return lock, nil
}

// Place is the target that the lock is for: its path and directory, and nothing else of it.
func (l *Lock) Place() Target { return Target{Path: l.path, Dir: l.dirInfo} }

// patient is a time to wait for a lock, in which one who only looks whether it is held is done.
func patient(wait time.Duration) time.Duration {
	if wait == durable.WaitForever {
		return wait
	}
	return max(wait, lockGrace)
}

// lockError names the lock file where that is what is wrong, and otherwise the target.
func (t Target) lockError(err error) error {
	path := t.Path
	if errors.Is(err, ErrLockFile) {
		path = filepath.Join(t.dirPath(), lockName(t.base()))
	}
	return &fs.PathError{Op: "lock", Path: path, Err: err}
}

// openLockFile opens the lock file, making it if there is none. One that belongs to another
// user may be open for reading only.
func (l *Lock) openLockFile() (vfs.File, error) {
	// Looked at before it is opened: the error of opening says little of what is not a file.
	if info, there, err := vfs.LstatMaybe(l.dir, lockName(l.base())); err == nil && there {
		if err := checkLock(info); err != nil {
			return nil, err
		}
	}
	file, err := durable.OpenOrCreate(l.dir, lockName(l.base()), lockMode)
	l.writable = err == nil
	if errors.Is(err, fs.ErrPermission) {
		if readable, openErr := l.dir.Open(lockName(l.base())); openErr == nil {
			file, err = readable, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if _, err := checkLockFile(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// checkLockFile refuses what another user may have put at the lock's name so that the holder's
// line is written elsewhere.
func checkLockFile(file vfs.File) (vfs.Info, error) {
	info, err := file.Stat()
	if err == nil {
		err = checkLock(info)
	}
	return info, err
}

// checkLock refuses what is not a lock file.
func checkLock(info vfs.Info) error {
	switch {
	case info.Kind != vfs.KindFile:
		return fmt.Errorf("%w: it is a %s", ErrLockFile, info.Kind)
	case info.Links > 1:
		return fmt.Errorf("%w: it has %d links", ErrLockFile, info.Links)
	}
	return nil
}

// isOurs reports whether the file that is locked is a lock file and nothing else: it has this one name, and is
// empty, as one that was made just now, or holds a holder's line. Who may write the directory can put any file at the name
// for a moment; such a one is locked, which does it no harm, and stays as it is.
func (l *Lock) isOurs() bool {
	info, err := checkLockFile(l.file)
	return err == nil && (info.Size == 0 || info.Size <= holderSizeMax && isHolder(l.file, info.Size))
}

// isHolder reports whether the file holds one holder's line and nothing else.
func isHolder(file vfs.File, size int64) bool {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, size))
	var holder durable.Holder
	return err == nil && fault.UnmarshalKnown(text, &holder) == nil && holder.PID > 0
}

// share gives the lock file the mode that it must have in the directory, whatever the umask
// and an earlier tbctl gave it. Only the file's owner and root may do that; for others it stays as it is.
func (l *Lock) share() {
	info, err := l.file.Stat()
	if err != nil {
		return
	}
	mode := lockMode
	if l.dirInfo.Mode&0o020 != 0 {
		mode = lockModeGroup
		if info.GID != l.dirInfo.GID && l.file.Chown(OwnerUnchanged, l.dirInfo.GID) != nil {
			mode = lockMode
		}
	}
	if info.Mode != mode {
		_ = l.file.Chmod(mode)
	}
}

// writeHolder writes who has the lock, for [durable.BusyError]. Nothing but that message
// depends on it, and so its errors are dropped.
func (l *Lock) writeHolder(command string) {
	host, _ := os.Hostname()
	holder := durable.Holder{PID: os.Getpid(), Host: host, Start: time.Now().UTC().Truncate(time.Second)}
	for size := commandSizeMax; ; size /= 2 { // encoded it may be six times as long
		holder.Command = command[:min(size, len(command))]
		line, err := json.Marshal(holder)
		if err == nil && len(line) >= holderSizeMax && size > 0 {
			continue
		}
		if err == nil && l.file.Truncate(0) == nil {
			_, _ = l.file.Write(append(line, '\n'))
		}
		return
	}
}

// readHolder returns what the lock file says, or zero.
func readHolder(file vfs.File) durable.Holder {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, holderSizeMax))
	var holder durable.Holder
	if err != nil || fault.Unmarshal(text, &holder) != nil {
		return durable.Holder{}
	}
	return holder
}

// Release gives the lock back and closes the directory. On nil it does
// nothing; so it does the second time. On error the lock is free all the same.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	if l.writable {
		_ = l.file.Truncate(0) // the next holder may be unable to write its own name
	}
	// Unlock, not only close: a child process may have inherited the descriptor.
	err := errors.Join(l.file.Unlock(), l.file.Close(), l.dir.Close())
	l.file = nil
	if err != nil {
		return &fs.PathError{Op: "unlock", Path: l.path, Err: err}
	}
	return nil
}

// WasTarget reports whether the file of that name has been a target: whether there is
// a lock file beside it, or what is known of it.
func WasTarget(fsys vfs.FS, name string) bool {
	target, err := Lookup(fsys, name)
	if err != nil {
		return false
	}
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return false
	}
	defer dir.Close()
	return isTarget(dir, filepath.Base(target.Path))
}

// isTarget is [WasTarget] of a name in a directory.
func isTarget(dir vfs.Dir, base string) bool {
	return slices.ContainsFunc([]string{lockName(base), stateName(base)}, func(name string) bool {
		_, exists, err := vfs.LstatMaybe(dir, name)
		return err == nil && exists
	})
}

// KeptFor is the target for which the file of that name is kept beside it: as its previous file, as what is known of it, or as
// a file of tbctl's in the making; "": for none.
func KeptFor(fsys vfs.FS, name string) string {
	target, err := Lookup(fsys, name)
	if err != nil {
		return ""
	}
	return target.KeptFor
}

// HeldBy says who has the lock of the target at this moment, and whether anybody has: a holder that
// did not write its name is zero. It makes no lock file. To find out it has the lock for an instant itself,
// which others wait for, as it does for them. Errors: [ErrLockFile], or the operating system's.
func HeldBy(fsys vfs.FS, target Target) (durable.Holder, bool, error) {
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return durable.Holder{}, false, target.lockError(err)
	}
	defer dir.Close()
	err = durable.WhileBusy(context.Background(), lockGrace, func() error { return tryLock(dir, lockName(target.base())) })
	if busy, held := errors.AsType[*durable.BusyError](err); held {
		return busy.Holder, true, nil
	}
	if err != nil {
		return durable.Holder{}, false, target.lockError(err)
	}
	return durable.Holder{}, false, nil
}

// tryLock locks a lock file that is there, and gives the lock back.
func tryLock(dir vfs.Dir, name string) error {
	info, there, err := vfs.LstatMaybe(dir, name)
	if err == nil && there {
		err = checkLock(info)
	}
	if err != nil || !there {
		return err
	}
	file, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := checkLockFile(file); err != nil {
		return err
	}
	if err := file.TryLock(); errors.Is(err, vfs.ErrLocked) {
		return &durable.BusyError{Path: name, Holder: readHolder(file)}
	} else if err != nil {
		return err
	}
	return file.Unlock()
}

// AwaitFree waits for another holder of the target's lock as [Acquire] does, for one who
// changes nothing and so takes no lock. Errors: a [durable.BusyError], those of [HeldBy], or the
// context's.
func AwaitFree(ctx context.Context, fsys vfs.FS, target Target, wait time.Duration) error {
	err := durable.WhileBusy(ctx, wait, func() error {
		holder, held, err := HeldBy(fsys, target)
		if held {
			err = &durable.BusyError{Path: filepath.Join(target.dirPath(), lockName(target.base())), Holder: holder}
		}
		return err
	})
	if errors.Is(err, durable.ErrBusy) {
		return &fs.PathError{Op: "lock", Path: target.Path, Err: err}
	}
	return err
}
