package durable

import (
	"errors"
	"io/fs"
	"os"

	"github.com/tbctl/tbctl/vfs"
)

// Scratch is a temporary file for data that must be read at random but comes
// as a stream. It has no name where the system allows that, and is gone when it
// is closed or the process dies. It must not be used by two goroutines at once.
type Scratch struct {
	dir  vfs.Dir
	file vfs.File
	name string // to be removed at Close; empty where that has been done
	size int64

	closed bool

	wrap func(error) error // an error of writing
}

// ScratchError says that a scratch file cannot be kept. What was to be kept in it is not to blame.
type ScratchError struct {
	Dir string
	Err error
}

func (e *ScratchError) Error() string {
	return "keep a scratch file in " + e.Dir + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ScratchError) Unwrap() error { return e.Err }

const scratchBase = "scratch"

// NewScratch makes an empty scratch file in the system's directory for
// temporary files. Other users cannot read it. Its errors, and those of Write, are
// [ScratchError]s.
func NewScratch() (*Scratch, error) {
	scratch, err := ScratchAt(vfs.OS(), os.TempDir(), RandomName(scratchBase, kindTemp), 0,
		func(err error) error { return &ScratchError{os.TempDir(), err} })
	if err != nil {
		return nil, err
	}
	if scratch.name != "" && scratch.dir.Remove(scratch.name) == nil { // an open file cannot be removed on Windows
		scratch.name = ""
	}
	return scratch, nil
}

// ScratchAt makes an empty scratch file in a directory and reserves space for size bytes
// (0: unknown). Where the file system has no files without names it has the name until it is
// closed. Its errors, and those of Write, are what wrap makes of them.
func ScratchAt(fsys vfs.FS, dirPath, name string, size int64, wrap func(error) error) (*Scratch, error) {
	dir, err := fsys.OpenDir(dirPath)
	if err != nil {
		return nil, wrap(withoutPath(err))
	}
	scratch := &Scratch{dir: dir, wrap: wrap}
	scratch.file, err = dir.CreateUnnamed(tempMode)
	if errors.Is(err, vfs.ErrNotSupported) {
		scratch.name = name
		scratch.file, err = dir.Create(name, tempMode)
	}
	if err != nil {
		return nil, wrap(withoutPath(errors.Join(vfs.NoSpace(err), dir.Close())))
	}
	if size > 0 {
		if err := vfs.Allocate(dir, dirPath, scratch.file, size); err != nil {
			return nil, wrap(withoutPath(errors.Join(err, scratch.Close())))
		}
	}
	return scratch, nil
}

// File is the open file, for what it may have besides contents.
func (s *Scratch) File() vfs.File { return s.file }

// Rename gives a file that has a name another one in its directory. One without a name has none.
func (s *Scratch) Rename(name string) error {
	if s.name == "" {
		return nil
	}
	if err := s.dir.Rename(s.name, name); err != nil {
		return withoutPath(err)
	}
	s.name = name
	return nil
}

// Write appends.
func (s *Scratch) Write(data []byte) (int, error) {
	count, err := s.file.Write(data)
	s.size += int64(count)
	if err != nil {
		return count, s.wrap(vfs.NoSpace(err))
	}
	return count, nil
}

// ReadAt reads what was written.
func (s *Scratch) ReadAt(data []byte, offset int64) (int, error) { return s.file.ReadAt(data, offset) }

// Size returns how many bytes were written.
func (s *Scratch) Size() int64 { return s.size }

// Abort is Close.
func (s *Scratch) Abort() error { return s.Close() }

// Close removes the file. On nil, and the second time, it does nothing.
func (s *Scratch) Close() error {
	if s == nil || s.closed {
		return nil
	}
	s.closed = true
	err := s.file.Close()
	if s.name != "" {
		if removeErr := s.dir.Remove(s.name); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return errors.Join(err, s.dir.Close())
}

// withoutPath leaves out a path that tells the user nothing.
func withoutPath(err error) error {
	var path *fs.PathError
	if !errors.As(err, &path) {
		return err
	}
	if errors.Is(err, vfs.ErrNoSpace) {
		return vfs.NoSpace(path.Err)
	}
	return path.Err
}
