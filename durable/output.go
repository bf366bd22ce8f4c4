package durable

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/vfs"
)

const (
	tempSweepMax          = 100   // stale temporary files that are removed at a time
	tempMode     vfs.Mode = 0o600 // no other user may see an incomplete file
)

// Output is an ordinary file in the making: it appears at its name complete, or
// not at all. What is at the name already stays there until Commit. It takes no attributes over
// from that, and needs no lock.
// It must not be used by two goroutines at once, except for ReadAt.
//
// Where modes cannot be set, as on a FAT file system or some shares, the file is written all the
// same, see ModeErr.
//
// After a crash the temporary file is left over; the next Create of the same
// name removes it.
type Output struct {
	dir       vfs.Dir
	dirPath   string
	base      string
	mode      vfs.Mode
	overwrite bool
	file      vfs.File
	temp      string
	info      vfs.Info
	size      int64
	reserved  int64 // bytes
	modeErr   error
	done      bool
}

// Create begins the file name with exactly mode, whatever the umask. Without
// overwrite it must not exist (fs.ErrExist), now or at Commit. With overwrite a
// regular file is replaced, at the end of a chain of symbolic links if there is
// one. Errors: those of [vfs.Resolve], [vfs.ErrNotRegular], [vfs.ErrNoSpace], or the operating
// system's.
func Create(fsys vfs.FS, name string, mode vfs.Mode, overwrite bool) (*Output, error) {
	at, err := vfs.Resolve(fsys, name)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	dir, err := fsys.OpenDir(at.Dir)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	o := &Output{dir: dir, dirPath: at.Dir, base: at.Base, mode: mode, overwrite: overwrite}
	info, exists, err := vfs.LstatMaybe(dir, at.Base)
	if err == nil && exists {
		if err = vfs.Regular(info); err == nil && !overwrite {
			err = fs.ErrExist
		}
	}
	if err == nil {
		sweepTemp(dir, at.Base)
		err = o.open()
	}
	if err != nil {
		dir.Close()
		return nil, &fs.PathError{Op: "create", Path: name, Err: vfs.NoSpace(vfs.Cause(err))}
	}
	return o, nil
}

// open makes the temporary file and locks it, so that other processes see that it is in use.
func (o *Output) open() error {
	for range racesMax {
		name := RandomName(o.base, kindTemp)
		file, err := o.dir.Create(name, tempMode)
		if err != nil {
			return err
		}
		if o.info, err = file.Stat(); err == nil {
			err = file.Chmod(tempMode)
		}
		if err != nil && !vfs.ModeRefused(err) {
			return errors.Join(err, file.Close(), o.dir.Remove(name))
		}
		lockErr := file.TryLock()
		current, err := vfs.IsCurrent(o.dir, name, file)
		if err == nil && current && !errors.Is(lockErr, vfs.ErrLocked) { // some file systems have no locks
			o.file, o.temp = file, name
			return nil
		}
		file.Close()
		if err != nil {
			return errors.Join(err, o.dir.Remove(name))
		}
		// Another Create took it for a stale one before it was locked.
	}
	return fmt.Errorf("temporary files: %w", vfs.ErrRace)
}

// sweepTemp removes the temporary files of writers that have died: no process has their locks.
// What it cannot remove stays; nothing depends on it.
func sweepTemp(dir vfs.Dir, base string) {
	names, err := dir.List(HiddenPrefix(base)+kindTemp, tempSweepMax)
	if err != nil {
		return
	}
	for _, name := range names {
		if IsRandomName(base, kindTemp, name) {
			_ = sweep(dir, name)
		}
	}
}

// sweep removes a temporary file of a writer that has died. The error is [vfs.ErrLocked] where the writer lives, or why it stays.
func sweep(dir vfs.Dir, name string) error {
	info, err := dir.Lstat(name)
	if err == nil && (info.Kind != vfs.KindFile || info.Inode == 0) {
		err = vfs.ErrNotRegular
	}
	if err != nil {
		return err
	}
	file, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	current, err := vfs.IsCurrent(dir, name, file)
	if err != nil || !current {
		return cmp.Or(err, vfs.ErrRace)
	}
	if err := file.TryLock(); err != nil {
		return err
	}
	return dir.Remove(name)
}

// Unfinished lists the files in a directory that are in the making, by the names that they were created with, of which each begins with prefix: those
// whose writers live, as far as the file system has locks. What writers that have died left is removed. More than most are [vfs.ErrTooLarge].
func Unfinished(dir vfs.Dir, prefix string, most int) (bases []string, err error) {
	names, err := dir.List("."+prefix, most+1)
	if err != nil {
		return nil, err
	}
	if len(names) > most {
		return nil, fmt.Errorf("%w: more than %d files are in the making", vfs.ErrTooLarge, most)
	}
	for _, name := range names {
		at := strings.LastIndex(name, nameMark)
		if at < 1 || !IsRandomName(name[1:at], kindTemp, name) {
			continue
		}
		if errors.Is(sweep(dir, name), vfs.ErrLocked) {
			bases = append(bases, name[1:at])
		}
	}
	return bases, nil
}

// Path returns where the file will be.
func (o *Output) Path() string { return filepath.Join(o.dirPath, o.base) }

// Size returns how many bytes were written.
func (o *Output) Size() int64 { return o.size }

// Reserve reserves space for size bytes, where the file system can. What is not written of it is given back by Commit and Abort. The
// error of too little space is a [vfs.SpaceError].
func (o *Output) Reserve(size int64) error {
	if err := vfs.Allocate(o.dir, o.dirPath, o.file, size); err != nil {
		return vfs.NoSpace(err)
	}
	o.reserved = size
	return nil
}

// Write appends to the file. A full disk is [vfs.ErrNoSpace].
func (o *Output) Write(data []byte) (int, error) {
	if o.done {
		return 0, &fs.PathError{Op: "write", Path: o.Path(), Err: fs.ErrClosed}
	}
	count, err := o.file.Write(data)
	o.size += int64(count)
	if err != nil {
		return count, &fs.PathError{Op: "write", Path: o.Path(), Err: vfs.NoSpace(vfs.Cause(err))}
	}
	return count, nil
}

// ReadAt reads what was written, through the descriptor.
func (o *Output) ReadAt(data []byte, offset int64) (int, error) { return o.file.ReadAt(data, offset) }

// Commit makes the file durable and then visible at its name, and that durable.
// On error it is not there and what was there is untouched, unless the error says
// otherwise with an [UnsureError].
// Afterwards the Output is closed.
func (o *Output) Commit() error {
	if o.done {
		return &fs.PathError{Op: "commit", Path: o.Path(), Err: fs.ErrClosed}
	}
	err := o.setMode()
	if err != nil {
		err = &fs.PathError{Op: "commit", Path: o.Path(), Err: err}
	} else if err = o.giveBack(); err != nil {
		err = &fs.PathError{Op: "commit", Path: o.Path(), Err: err}
	} else if err = o.file.Sync(); err != nil {
		err = &SyncError{Path: o.Path(), Err: vfs.NoSpace(err)}
	}
	if err != nil {
		return errors.Join(err, o.Abort())
	}
	if o.info.Inode == 0 { // a system on which an open file cannot be renamed
		o.file.Close()
	}
	if err := publish(o.dir, o.temp, o.base, o.overwrite); err != nil {
		return o.failed(err)
	}
	err = o.dir.Sync()
	o.close()
	if err != nil {
		return &UnsureError{Path: o.Path(), Visible: true, Err: &SyncError{Path: o.dirPath, Err: err}}
	}
	return nil
}

// CommitAs is [Output.Commit] at another name in the same directory, which was not known before the
// contents were. It is no symbolic link, and not looked at before.
func (o *Output) CommitAs(base string) error {
	o.base = base
	return o.Commit()
}

// ModeErr says, after Commit, why the file has another mode than it was created with; nil if it has
// that mode, and on systems without modes.
func (o *Output) ModeErr() error { return o.modeErr }

// setMode gives the file its mode, and keeps why it could not.
func (o *Output) setMode() error {
	err := o.file.Chmod(o.mode)
	if err != nil && !vfs.ModeRefused(err) {
		return err
	}
	info, statErr := o.file.Stat()
	if statErr != nil {
		return statErr
	}
	if o.info.Inode == 0 || info.Mode == o.mode {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("reads back differently: want %s, got %s", o.mode, info.Mode)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the temporary name tells the user nothing
	}
	o.modeErr = &fs.PathError{Op: "set mode of", Path: o.Path(), Err: err}
	return nil
}

// giveBack ends the reservation of what was not written.
func (o *Output) giveBack() error {
	if o.reserved <= o.size {
		return nil
	}
	return o.file.Truncate(o.size)
}

// failed says what is true after an error of the rename, which may have happened all the same.
func (o *Output) failed(err error) error {
	there, exists, statErr := vfs.LstatMaybe(o.dir, o.base)
	_, waits, tempErr := vfs.LstatMaybe(o.dir, o.temp)
	visible := exists && !errors.Is(err, fs.ErrExist) && o.isThere(there, waits || tempErr != nil)
	if statErr == nil && !visible && (waits || tempErr != nil) {
		return errors.Join(&fs.PathError{Op: "commit", Path: o.Path(), Err: err}, o.Abort())
	}
	if waits && visible { // if the second name stays, nothing is wrong
		_ = o.dir.Remove(o.temp)
	}
	o.close()
	return &UnsureError{Path: o.Path(), Visible: visible, Err: fmt.Errorf("rename: %w", vfs.Cause(err))}
}

// isThere reports whether what is at the name is the file.
func (o *Output) isThere(there vfs.Info, waits bool) bool {
	if o.info.Inode == 0 { // it is closed already
		return !waits && there.Size == o.size
	}
	if there.SameFile(o.info) {
		return true
	}
	same, err := vfs.HasContents(o.dir, o.base, o.file, o.size)
	return err == nil && same
}

func (o *Output) close() {
	o.done = true
	o.file.Close()
	o.dir.Close()
}

// Abort removes the file. On nil and after Commit or another Abort it does
// nothing.
func (o *Output) Abort() error {
	if o == nil || o.done {
		return nil
	}
	o.done = true
	o.file.Close()
	err := o.dir.Remove(o.temp)
	o.dir.Close()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "remove", Path: filepath.Join(o.dirPath, o.temp), Err: err}
	}
	return nil
}

// publish renames from to its lasting name. Only with overwrite it replaces a file there, as far
// as the file system can tell.
func publish(dir vfs.Dir, from, to string, overwrite bool) error {
	if overwrite {
		return dir.Rename(from, to)
	}
	err := dir.RenameNoReplace(from, to)
	if !errors.Is(err, vfs.ErrNotSupported) {
		return err
	}
	if err = dir.Link(from, to); err == nil {
		_ = dir.Remove(from) // if the second name stays, nothing is wrong
		return nil
	}
	if !vfs.NoLinks(err) {
		return err
	}
	if _, exists, err := vfs.LstatMaybe(dir, to); err != nil || exists {
		return cmp.Or(err, fs.ErrExist)
	}
	return dir.Rename(from, to)
}

// WriteFile creates or, with overwrite, replaces an ordinary file in one durable
// step, see [Create] and [Output.Commit]. An error of fill is returned as it is,
// and nothing is changed.
func WriteFile(fsys vfs.FS, name string, mode vfs.Mode, overwrite bool, fill func(io.Writer) error) error {
	output, err := Create(fsys, name, mode, overwrite)
	if err != nil {
		return err
	}
	if err := fill(output); err != nil {
		return errors.Join(err, output.Abort())
	}
	return output.Commit()
}
