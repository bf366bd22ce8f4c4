package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// ScratchError says that there is no place for a scratch file: a wish of this
// program's, and no fault of what was to be kept in it.
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
// temporary files. Nobody else can read it. Its errors, and those of Write, are
// [ScratchError]s.
func NewScratch() (*Scratch, error) {
	wrap := func(err error) error { return &ScratchError{os.TempDir(), withoutPath(err)} }
	scratch, err := newScratch(vfs.OS(), os.TempDir(), scratchBase, 0)
	if err != nil {
		return nil, wrap(err)
	}
	if scratch.name != "" && scratch.dir.Remove(scratch.name) == nil { // an open file cannot be removed on Windows
		scratch.name = ""
	}
	scratch.wrap = wrap
	return scratch, nil
}

// ScratchBeside makes an empty scratch file of the file system that a target is in,
// and reserves space for size bytes (0: unknown): what does not fit there would not fit
// as a [Staged] file. The target's directory shows nothing of it where the file system has
// files without names, and else a name until it is closed, which after a crash the next
// [Recover] removes. Errors: [vfs.ErrNoSpace], or the operating system's.
func ScratchBeside(fsys vfs.FS, target Target, size int64) (*Scratch, error) {
	wrap := func(err error) error { return &fs.PathError{Op: "try out", Path: target.Path, Err: withoutPath(err)} }
	scratch, err := newScratch(fsys, target.dirPath(), target.base(), size)
	if err != nil {
		return nil, wrap(err)
	}
	scratch.wrap = wrap
	return scratch, nil
}

func newScratch(fsys vfs.FS, path, base string, size int64) (*Scratch, error) {
	dir, err := fsys.OpenDir(path)
	if err != nil {
		return nil, err
	}
	file, name, err := createUnnamed(dir, base)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	scratch := &Scratch{dir: dir, file: file, name: name}
	if size > 0 {
		if err := vfs.Allocate(dir, path, file, size); err != nil {
			return nil, errors.Join(err, scratch.Close())
		}
	}
	return scratch, nil
}

// createUnnamed makes a file without a name, or where there is no such thing one whose
// name a [Recover] of base knows for that of something incomplete.
func createUnnamed(dir vfs.Dir, base string) (file vfs.File, name string, err error) {
	file, err = dir.CreateUnnamed(stageMode)
	if errors.Is(err, vfs.ErrNotSupported) {
		name = randomName(base, kindStage)
		file, err = dir.Create(name, stageMode)
	}
	if err != nil {
		return nil, "", vfs.NoSpace(err)
	}
	return file, name, nil
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

// Try finds out whether a file in the target's place would get and keep the attributes,
// by giving them to one without a name or, where the file system has none, to one that
// is removed again. It finds what only the file system or a security module knows, which
// [Target.Check] cannot. Errors: [ErrAttribute] (an [AttributeError]), [vfs.ErrNoSpace], or
// the operating system's.
func (t Target) Try(fsys vfs.FS, attrs Attributes) error {
	dir, err := fsys.OpenDir(t.dirPath())
	if err != nil {
		return &fs.PathError{Op: "try out", Path: t.Path, Err: err}
	}
	defer dir.Close()
	file, name, err := createUnnamed(dir, t.base())
	if err != nil {
		return &fs.PathError{Op: "try out", Path: t.Path, Err: err}
	}
	err = setAttributes(file, t.Path, attrs)
	err = errors.Join(err, file.Close())
	if name != "" {
		if removeErr := dir.Remove(name); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, &fs.PathError{Op: "remove", Path: filepath.Join(t.dirPath(), name), Err: removeErr})
		}
	}
	return err
}

// withoutPath leaves out a path of which nobody knows.
func withoutPath(err error) error {
	var path *fs.PathError
	if !errors.As(err, &path) {
		return err
	}
	if errors.Is(err, vfs.ErrNoSpace) {
		return fmt.Errorf("%w: %w", vfs.ErrNoSpace, path.Err)
	}
	return path.Err
}
