package fsatomic

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// Session is a mark that this process is alive, on a target whose lock it need not hold: another
// process sees it by [SessionAlive] until Close, or until the process ends, however that
// comes. Nothing is kept from anybody by it.
type Session struct{ file vfs.File }

// OpenSession marks a session of this number with the target that the lock is on. Of one number there
// may be several, such as that of a connection that was lost and that of the next. Errors:
// [vfs.ErrNotSupported], [ErrLockFile], [ErrChanged] where another file is at the lock's name, or the operating system's.
func (l *Lock) OpenSession(number int64) (*Session, error) {
	// A handle of its own: the lock's is closed when the lock is released.
	file, err := l.dir.OpenAppend(lockName(l.base()))
	if err == nil {
		var info, locked vfs.Info
		if info, err = checkLockFile(file); err == nil {
			locked, err = l.file.Stat()
		}
		if err == nil && !info.SameFile(locked) {
			err = ErrChanged
		}
		if err != nil {
			file.Close()
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "mark a session at", Path: l.path, Err: err}
	}
	if err := file.Mark(number); err != nil {
		file.Close()
		return nil, &fs.PathError{Op: "mark a session at", Path: l.path, Err: err}
	}
	return &Session{file}, nil
}

// Close ends the session. On nil it does nothing.
func (s *Session) Close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}

// SessionAlive says whether a session of this number is open with a target. It takes no lock and makes no file. Of a
// session whose lock file was removed meanwhile nothing is seen.
func SessionAlive(fsys vfs.FS, target Target, number int64) (bool, error) {
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return false, &fs.PathError{Op: "look for a session at", Path: target.Path, Err: err}
	}
	defer dir.Close()
	file, err := dir.Open(lockName(filepath.Base(target.Path)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	alive := false
	if err == nil {
		defer file.Close()
		if _, err = checkLockFile(file); err == nil {
			alive, err = file.Marked(number)
		}
	}
	if err != nil {
		return false, &fs.PathError{Op: "look for a session at", Path: target.Path, Err: err}
	}
	return alive, nil
}
