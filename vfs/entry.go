package vfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// LstatMaybe is Lstat for an entry that need not exist.
func LstatMaybe(dir Dir, name string) (info Info, exists bool, err error) {
	info, err = dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, false, nil
	}
	return info, err == nil, err
}

// Regular returns an error for everything but a regular file.
func Regular(info Info) error {
	switch info.Kind {
	case KindFile:
		return nil
	case KindDirectory:
		return ErrDirectory
	}
	return fmt.Errorf("%w: it is a %s", ErrNotRegular, info.Kind)
}

// IsCurrent reports whether file is what is at name. Where there are no inode numbers it is,
// if anything is there: such systems rename and remove no open file.
func IsCurrent(dir Dir, name string, file File) (bool, error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, exists, err := LstatMaybe(dir, name)
	return exists && (opened.Inode == 0 || there.SameFile(opened)), err
}

// Allocate reserves space for a file in the directory, where the file system can.
func Allocate(dir Dir, path string, file File, size int64) error {
	err := file.Allocate(size)
	switch {
	case errors.Is(err, syscall.EDQUOT): // what the file system has free is not what the owner may take
		return fmt.Errorf("reserve %d bytes: %w", size, NoSpace(Cause(err)))
	case errors.Is(err, syscall.ENOSPC):
		have := int64(0)
		if volume, err := dir.Volume(); err == nil {
			have = volume.FreeBytes
		}
		return &SpaceError{Path: path, Need: size, Have: have}
	case err != nil && !errors.Is(err, ErrNotSupported):
		return fmt.Errorf("reserve %d bytes: %w", size, err)
	}
	return nil
}

// NoSpace marks the errors of a full disk or quota as [ErrNoSpace], and says no path: what is full is
// for the caller to name.
func NoSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &noSpaceError{err}
	}
	return err
}

// noSpaceError says the cause once. It matches [ErrNoSpace] and what the system says.
type noSpaceError struct{ err error }

func (e *noSpaceError) Error() string {
	if errors.Is(e.err, syscall.EDQUOT) {
		return ErrNoSpace.Error() + ": " + syscall.EDQUOT.Error()
	}
	return ErrNoSpace.Error()
}

// Unwrap returns both.
func (e *noSpaceError) Unwrap() []error { return []error{ErrNoSpace, e.err} }

// Cause is an error without its operation and path, if it is one about a path: for a caller who names the same
// place himself, or one that the user knows by another name.
func Cause(err error) error {
	if path, ok := err.(*fs.PathError); ok { //nolint:errorlint // not one further inside
		return path.Err
	}
	return err
}

// ModeRefused reports whether the file system, and not the disk, refused a mode.
func ModeRefused(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrNotSupported)
}

// NoLinks reports whether the file system or a rule of the system forbids
// another link to the file, so that only a copy is left.
func NoLinks(err error) bool {
	return errors.Is(err, ErrNotSupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EMLINK)
}

// HasContents reports whether the entry called name has the same contents as a file of
// size bytes. It is for file systems that number names instead of files, or number
// them again when they are looked up again, where two links seem to be two files.
func HasContents(dir Dir, name string, file io.ReaderAt, size int64) (bool, error) {
	info, exists, err := LstatMaybe(dir, name)
	if err != nil || !exists || info.Kind != KindFile || info.Size != size {
		return false, err
	}
	other, err := dir.Open(name)
	if err != nil {
		return false, err
	}
	defer other.Close()
	buffer := make([]byte, min(size, blockSize))
	err = ReadBlocks(context.Background(), file, 0, size, func(block []byte, offset int64) error {
		err := ReadFull(other, buffer[:len(block)], offset)
		if err == nil && !bytes.Equal(block, buffer[:len(block)]) {
			err = errDiffers
		}
		return err
	})
	if errors.Is(err, errDiffers) {
		return false, nil
	}
	return err == nil, err
}

var errDiffers = errors.New("the contents differ")
