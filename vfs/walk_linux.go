package vfs

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// HoldForeign holds the file at a path that another user may have written, without opening it: the descriptor is an O_PATH one. No
// path leads through another process's files, see [OpenForeign].
func HoldForeign(path string) (int, error) { return openPath(path, foreign, unix.O_PATH) }

// walk opens a path as openat2(2) does that follows no link of /proc to a process's files, for where that is not to be had: before
// Linux 5.6, or under a filter of system calls. It goes element by element, and reads each link itself.
func walk(name string, flags int) (int, error) {
	if name == "" {
		return -1, unix.ENOENT
	}
	at := -1 // the directory that the rest of the path begins in
	enter := func(fd int) {
		if at >= 0 {
			_ = unix.Close(at)
		}
		at = fd
	}
	defer func() { enter(-1) }()
	rest := name
	for links := 0; ; {
		if absolute := strings.HasPrefix(rest, "/"); absolute || at < 0 {
			start := "."
			if absolute {
				start = "/"
			}
			fd, err := openat(unix.AT_FDCWD, start, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return -1, err
			}
			enter(fd)
			rest = strings.TrimLeft(rest, "/")
		}
		element, after, more := strings.Cut(rest, "/")
		if element == "" { // after the last slash, which says that it is a directory
			element = "."
		}
		if !more && flags&unix.O_NOFOLLOW != 0 {
			return openat(at, element, flags|unix.O_CLOEXEC, 0)
		}
		next, err := openat(at, element, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		text, isLink, err := linkText(at, next)
		switch {
		case err == nil && !isLink && more:
			enter(next)
			rest = strings.TrimLeft(after, "/")
			continue
		case err == nil && !isLink && flags&unix.O_PATH != 0:
			return next, nil
		}
		_ = unix.Close(next)
		switch {
		case err != nil:
			return -1, err
		case !isLink:
			return openat(at, element, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
		if links++; links > linksMax {
			return -1, ErrMagicLink // as openat2 has one error for both
		}
		if rest = text; more {
			rest += "/" + after
		}
	}
}

// linkText returns the text of an entry of a directory, if it is a symbolic link. One that must not be followed is an error.
func linkText(dir, entry int) (text string, isLink bool, err error) {
	var in, st unix.Stat_t
	if err = ignoringEINTR(func() error { return unix.Fstat(entry, &st) }); err != nil || kindOf(st.Mode) != KindSymlink {
		return "", false, err
	}
	if err = ignoringEINTR(func() error { return unix.Fstat(dir, &in) }); err != nil {
		return "", true, err
	}
	if isMagic(entry, in.Ino) {
		return "", true, ErrMagicLink
	}
	if linkOfStranger(ownerAndKind(in.Mode, in.Uid), ownerAndKind(st.Mode, st.Uid), os.Geteuid()) {
		return "", true, unix.EACCES // as the kernel's own protection has it
	}
	text, err = readlinkat(entry, "")
	return text, true, err
}

// readlink is [Dir.Readlink], and follows no link of /proc to a process's files.
func (d *osDir) readlink(name string) (string, error) {
	entry, err := openat(d.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(entry)
	var in unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(d.fd(), &in) }); err != nil {
		return "", err
	}
	if isMagic(entry, in.Ino) {
		return "", ErrMagicLink
	}
	return readlinkat(entry, "")
}

// procRoot is the inode number of the root of every proc file system.
const procRoot = 1

// isMagic reports whether a symbolic link, in a directory of that inode number, is one of /proc to a process's files. Its text is
// their path as that process sees it. The links in the root of /proc, as /proc/self, are like any other.
func isMagic(link int, dir uint64) bool {
	var in unix.Statfs_t
	err := ignoringEINTR(func() error { return unix.Fstatfs(link, &in) })
	return err == nil && in.Type == unix.PROC_SUPER_MAGIC && dir != procRoot
}
