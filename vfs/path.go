package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	linksMax = 40 // symbolic links in a row, as in the kernel

	// NameSizeMax is how many bytes the name of a file may have: with what a caller adds it stays below the 255 of every
	// file system.
	NameSizeMax = 200
)

// Place is where a path leads.
type Place struct {
	Asked string   // absolute, as asked for
	Dir   string   // absolute, without symbolic links
	Base  string   // a single element, not a symbolic link
	Links []string // the links followed for the last element
}

// Resolve follows name to the place of the file: the directory's real path,
// and the last element through its chain of symbolic links. The last element
// need not exist unless a link leads to it. A path through the files of a process, such as /proc/PID/root/NAME, leads to no
// place that has a path here: it is [ErrProcessPath].
func Resolve(fsys FS, name string) (Place, error) {
	asked, err := Absolute(name)
	if err != nil {
		return Place{}, err
	}
	at := Place{Asked: asked}
	path := asked
	for {
		dirText, base := SplitPath(path)
		real, err := fsys.RealPath(dirText)
		if errors.Is(err, fs.ErrNotExist) {
			if len(at.Links) > 0 {
				return Place{}, ErrDangling
			}
			missing := dirText
			if path, ok := errors.AsType[*fs.PathError](err); ok { // the first directory that is not there
				missing = path.Path
			}
			return Place{}, &noDirectoryError{missing}
		}
		if path, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(err, syscall.ENOTDIR) {
			err = &notDirectoryError{path.Path}
		}
		if err == nil && (base == "" || base == "." || base == "..") {
			err = ErrDirectory
		}
		if err == nil {
			err = CheckName(base)
		}
		if err != nil {
			return Place{}, at.magic(err)
		}
		at.Dir, at.Base = real, base
		text, isLink, err := readLink(fsys, real, base, len(at.Links) > 0)
		if err != nil || !isLink {
			return at, at.magic(err)
		}
		at.Links = append(at.Links, filepath.Join(real, base))
		if len(at.Links) > linksMax {
			return Place{}, ErrLinkLoop
		}
		path = text
		if !filepath.IsAbs(text) {
			// Not filepath.Join: it would take "x/.." away although x may be a link.
			path = real + string(filepath.Separator) + text
		}
	}
}

// magic is the error for a path that leads through a process's files, where the path that was asked for says so itself.
func (p Place) magic(err error) error {
	if errors.Is(err, ErrMagicLink) && typed(p.Asked) == own {
		return ErrProcessPath
	}
	return err
}

// noDirectoryError names the first directory of a path that is not there. It matches
// [ErrNoDirectory] and fs.ErrNotExist.
type noDirectoryError struct{ path string }

func (e *noDirectoryError) Error() string { return e.path + ": " + ErrNoDirectory.Error() }

func (e *noDirectoryError) Is(target error) bool {
	return target == ErrNoDirectory || target == fs.ErrNotExist
}

// notDirectoryError names what stands where a path has a directory. It matches syscall.ENOTDIR.
type notDirectoryError struct{ path string }

func (e *notDirectoryError) Error() string { return e.path + " is not a directory" }

func (e *notDirectoryError) Unwrap() error { return syscall.ENOTDIR }

// readLink returns the text of a symbolic link at base. Nothing there is an
// error only when a link led here.
func readLink(fsys FS, dirPath, base string, linked bool) (text string, isLink bool, err error) {
	dir, err := fsys.OpenDir(dirPath)
	if err != nil {
		return "", false, err
	}
	defer dir.Close()
	info, exists, err := LstatMaybe(dir, base)
	if err != nil {
		return "", false, err
	}
	if !exists && linked {
		return "", false, ErrDangling
	}
	if info.Kind != KindSymlink {
		return "", false, nil
	}
	// Links are read here, not by the kernel, and so its own protection does not apply.
	in, err := dir.Lstat(".")
	if err == nil && linkOfStranger(in, info, fsys.Self().UID) {
		err = fmt.Errorf("%s: %w (%d)", filepath.Join(dirPath, base), ErrLinkOwner, info.UID)
	}
	if err != nil {
		return "", false, err
	}
	text, err = dir.Readlink(base)
	return text, true, err
}

// linkOfStranger reports whether link may be a trap: in a directory like /tmp only links of this
// user and of the directory's owner are followed.
func linkOfStranger(dir, link Info, uid int) bool {
	return dir.Mode&0o1002 == 0o1002 && link.UID != uid && link.UID != dir.UID
}

// Absolute makes name absolute without taking ".." away, which a lexical
// clean-up does wrongly after a symbolic link.
func Absolute(name string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", ErrName
	}
	if filepath.IsAbs(name) {
		return name, nil
	}
	if filepath.Separator != '/' { // Windows has paths that are neither relative nor absolute
		return filepath.Abs(name)
	}
	wd, err := os.Getwd()
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoCurrent
	}
	if err != nil {
		return "", err
	}
	return wd + string(filepath.Separator) + name, nil
}

// SplitPath divides a path before its last element.
func SplitPath(path string) (dir, base string) {
	dir, base = filepath.Split(path)
	if len(dir) > 1 && os.IsPathSeparator(dir[len(dir)-1]) && filepath.VolumeName(dir) != dir[:len(dir)-1] {
		dir = strings.TrimRight(dir, string(filepath.Separator))
		if dir == "" {
			dir = string(filepath.Separator)
		}
	}
	return dir, base
}

// CheckName refuses what cannot be the last element of a path of a file.
func CheckName(name string) error {
	if len(name) > NameSizeMax {
		return fmt.Errorf("%w: it has %d bytes, and may have %d", ErrName, len(name), NameSizeMax)
	}
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, 0) ||
		strings.ContainsRune(name, filepath.Separator) {
		return ErrName
	}
	return nil
}
