package vfs

import (
	"bytes"
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
	case errors.Is(err, syscall.ENOSPC):
		have := int64(0)
		if volume, err := dir.Volume(); err == nil {
			have = volume.FreeBytes
		}
		return &SpaceError{path, size, have}
	case err != nil && !errors.Is(err, ErrNotSupported):
		return fmt.Errorf("reserve %d bytes: %w", size, err)
	}
	return nil
}

// NoSpace marks the errors of a full disk or quota as [ErrNoSpace].
func NoSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
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

const compareSize = 256 << 10 // bytes compared at a time

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
	return sameBytes(file, other, size)
}

// sameBytes compares the first size bytes of two files.
func sameBytes(a, b io.ReaderAt, size int64) (bool, error) {
	one, two := make([]byte, min(size, compareSize)), make([]byte, min(size, compareSize))
	for done := int64(0); done < size; {
		count := min(size-done, compareSize)
		if err := readWhole(a, one[:count], done); err != nil {
			return false, err
		}
		if err := readWhole(b, two[:count], done); err != nil {
			return false, err
		}
		if !bytes.Equal(one[:count], two[:count]) {
			return false, nil
		}
		done += count
	}
	return true, nil
}

// readWhole fills data, or says why not.
func readWhole(r io.ReaderAt, data []byte, offset int64) error {
	count, err := r.ReadAt(data, offset)
	switch {
	case count == len(data):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
