package fsatomic

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

const (
	stageMode     vfs.Mode = 0o600   // no other user may see or run an incomplete file
	writeBackSize          = 8 << 20 // bytes after which the device begins, so that Sync has less to wait for
	inodeTriesMax          = 64      // files made to get one whose number is in no leftover's name
)

// Staged is a file in the making, in the directory of the target that it will
// replace. It is written, given its attributes, and committed or aborted. Until
// its attributes are set it has mode 0600, where there are modes. It must not be used by
// two goroutines at once, except for ReadAt.
//
// After a crash it is left over; the next [Recover] removes it.
type Staged struct {
	lock       *Lock
	target     Target
	file       vfs.File
	name       string   // in the lock's directory
	info       vfs.Info // only what never changes: device and inode
	size       int64    // bytes written
	allocated  int64    // bytes reserved
	started    int64    // bytes that the system was asked to write to the device
	attributed bool     // attributes are set and hold
	synced     bool
	sealed     vfs.Info // as it was when it was verified, and with its attributes; zero: not sealed
	failed     error    // the first failed fsync
	done       bool
}

// Stage creates a file that is to replace target, and reserves space for size
// bytes where the file system can (0: unknown). The lock must be the target's,
// and [Recover] must have been called under it. Errors: [vfs.ErrNoSpace] (a
// [vfs.SpaceError]), [ErrChanged], [ErrInode], [ErrNotRecovered], [fs.ErrClosed], or the
// operating system's. On error nothing is left behind.
func Stage(lock *Lock, target Target, size int64) (*Staged, error) {
	if err := lock.admits(target); err != nil {
		return nil, &fs.PathError{Op: "stage", Path: target.Path, Err: err}
	}
	s, err := lock.stageUnused(target)
	if err == nil && size > 0 { // before the first byte comes
		if err = vfs.Allocate(lock.dir, lock.join("."), s.file, size); err == nil {
			s.allocated = size
		}
	}
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "stage", Path: target.Path, Err: err}, s.Abort())
	}
	return s, nil
}

// stageUnused creates a file whose inode number is in the name of no leftover:
// a later recovery would take one for the other. Files with such a number stay
// open until there is a better one, so that the number is not given again. On
// error the file may be nil.
func (l *Lock) stageUnused(target Target) (_ *Staged, err error) {
	var used []*Staged
	defer func() {
		for _, s := range used {
			err = errors.Join(err, s.Abort())
		}
	}()
	leftover := ""
	for range inodeTriesMax {
		name := durable.RandomName(l.base(), kindStage)
		file, err := l.dir.Create(name, stageMode)
		if err != nil {
			return nil, vfs.NoSpace(err)
		}
		s := &Staged{lock: l, target: target, file: file, name: name}
		if s.info, err = file.Stat(); err == nil {
			err = file.Chmod(stageMode) // a umask may even take the owner's own bits away
		}
		if vfs.ModeRefused(err) { // what matters is the mode that it gets in the end
			err = nil
		}
		if err == nil {
			leftover, err = l.leftoverOf(s.info.Inode)
		}
		if err != nil || leftover == "" {
			return s, err
		}
		used = append(used, s)
	}
	return nil, fmt.Errorf("%w, which would have its inode number: move %s away", ErrInode, l.join(leftover))
}

// leftoverOf returns the name of a leftover that has an inode number in it, or nothing.
func (l *Lock) leftoverOf(inode uint64) (string, error) {
	names, err := l.dir.List(durable.HiddenPrefix(l.base()), leftoversMax)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if b, ok := parseName(l.base(), name); ok && inode != 0 && (b.inode == inode || b.other == inode) {
			return name, nil
		}
	}
	return "", nil
}

// admits reports whether target may be changed under the lock.
func (l *Lock) admits(target Target) error {
	switch {
	case !l.held():
		return fs.ErrClosed
	case !target.SamePlace(l.Place()):
		return fmt.Errorf("%w: the lock is for %s", ErrChanged, l.path)
	case !l.recovered:
		return ErrNotRecovered
	}
	return nil
}

// Path returns where the staged file is now.
func (s *Staged) Path() string { return s.lock.join(s.name) }

// Size returns how many bytes were written.
func (s *Staged) Size() int64 { return s.size }

// Write appends to the file. It takes away what SetAttributes gave, since
// writing clears capabilities. A full disk is [vfs.ErrNoSpace].
func (s *Staged) Write(data []byte) (int, error) {
	if s.done {
		return 0, &fs.PathError{Op: "write the new file of", Path: s.target.Path, Err: fs.ErrClosed}
	}
	s.attributed, s.synced, s.sealed = false, false, vfs.Info{}
	count, err := s.file.Write(data)
	s.size += int64(count)
	if s.size-s.started >= writeBackSize {
		s.file.WriteBack(s.started, s.size-s.started)
		s.started = s.size
	}
	if err != nil {
		return count, &fs.PathError{Op: "write the new file of", Path: s.target.Path, Err: vfs.NoSpace(vfs.Cause(err))}
	}
	return count, nil
}

// ReadAt reads what was written, through the descriptor.
func (s *Staged) ReadAt(data []byte, offset int64) (int, error) {
	count, err := s.file.ReadAt(data, offset)
	if err != nil && err != io.EOF {
		err = &fs.PathError{Op: "read the new file of", Path: s.target.Path, Err: err}
	}
	return count, err
}

// Seal is called when all is written and before it is read back and judged: from here on
// it must stay as it is, see Changed. Space that was reserved and not used is given
// back. Writing breaks the seal.
func (s *Staged) Seal() error {
	if s.done {
		return &fs.PathError{Op: "look at the new file of", Path: s.target.Path, Err: fs.ErrClosed}
	}
	if err := s.giveBack(); err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return &fs.PathError{Op: "look at the new file of", Path: s.target.Path, Err: err}
	}
	s.sealed = info
	return nil
}

// giveBack gives back the space that was reserved and not used.
func (s *Staged) giveBack() error {
	if s.allocated <= s.size {
		return nil
	}
	if err := s.file.Truncate(s.size); err != nil {
		return &fs.PathError{Op: "truncate the new file of", Path: s.target.Path, Err: err}
	}
	s.allocated = s.size
	return nil
}

// Changed reports whether the file may have been changed since it was sealed: its size
// and times are others. Where a file system sets them later by itself, reading it again is
// what tells; then it is sealed again. A file that was never sealed has not changed.
func (s *Staged) Changed() (bool, error) {
	if s.sealed.Kind == "" {
		return false, nil
	}
	info, err := s.file.Stat()
	if err != nil {
		return false, &fs.PathError{Op: "look at the new file of", Path: s.target.Path, Err: err}
	}
	return !info.Unchanged(s.sealed), nil
}

// SetAttributes gives the complete file its owner, mode, ACL, capabilities,
// label and user attributes, in this order, and reads each of them back through
// the descriptor. What did not hold is an [AttributeError]. Space that was reserved and
// not used is given back. What is sealed stays so.
func (s *Staged) SetAttributes(attrs Attributes) error {
	if s.done {
		return &fs.PathError{Op: "set attributes of the new file of", Path: s.target.Path, Err: fs.ErrClosed}
	}
	s.attributed, s.synced = false, false
	if err := s.giveBack(); err != nil {
		return err
	}
	changed, err := s.Changed()
	if err != nil {
		return err
	}
	if err := setAttributes(s.file, s.target.Path, attrs); err != nil {
		return err
	}
	s.attributed = true
	if s.sealed.Kind == "" || changed { // what has changed stays so
		return nil
	}
	before := s.sealed
	if err := s.Seal(); err != nil {
		return err
	}
	s.sealed.Size, s.sealed.Modified = before.Size, before.Modified // attributes have no part in them
	return nil
}

// Sync makes contents and attributes durable. A failure is a [durable.SyncError] and
// final: every later Sync and Commit fails with it too.
func (s *Staged) Sync() error {
	switch {
	case s.done:
		return &fs.PathError{Op: "sync the new file of", Path: s.target.Path, Err: fs.ErrClosed}
	case s.failed != nil:
		return s.failed
	case s.synced:
		return nil
	}
	if err := s.file.Sync(); err != nil {
		s.failed = &durable.SyncError{Path: s.target.Path, Err: vfs.NoSpace(err)}
		return s.failed
	}
	s.synced = true
	return nil
}

// Abort removes the file. On nil and after a commit or another Abort it does
// nothing. On error the file may be left; the next [Recover] removes it.
func (s *Staged) Abort() error {
	if s == nil || s.done {
		return nil
	}
	s.done = true
	// Only what Stage made: after a swap something else may be at the name. And before it
	// is closed, as long as its inode number is certain.
	info, err := s.lock.dir.Lstat(s.name)
	err = errors.Join(err, s.file.Close())
	if info.SameFile(s.info) {
		err = errors.Join(err, s.lock.dir.Remove(s.name))
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: s.Path(), Err: err}
	}
	return nil
}
