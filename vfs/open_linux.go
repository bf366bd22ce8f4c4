package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// openFile holds the file without opening it, looks at what it is, and opens that very one. It waits for a lease no longer than wait.
func openFile(name string, from origin, wait time.Duration, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	fd, err := openPath(name, from, unix.O_PATH)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	held := os.NewFile(uintptr(fd), name)
	defer held.Close()
	info, err := held.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := allowed(info.Mode()); err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	opened, err := openWithin(wait, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) { // there is no /proc
		return openByName(name, allowed)
	}
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(opened), name), info, nil
}

func stat(name string, from origin, follow bool) (fs.FileInfo, error) {
	flags := unix.O_PATH
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := openPath(name, from, flags)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	held := os.NewFile(uintptr(fd), name)
	defer held.Close()
	return held.Stat()
}

// openPath opens a path, and follows links of /proc only in the operator's own.
func openPath(name string, from origin, flags int) (fd int, err error) {
	switch {
	case from == own:
		return openat(unix.AT_FDCWD, name, flags|unix.O_CLOEXEC, 0)
	case !hasOpenat2():
		return walk(name, flags)
	}
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err = unix.Openat2(unix.AT_FDCWD, name, &how)
		switch {
		case errors.Is(err, unix.ELOOP):
			return -1, ErrMagicLink
		case !errors.Is(err, unix.EINTR):
			return fd, err
		}
	}
}

var hasOpenat2 = sync.OnceValue(func() bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == nil
})

func openDir(name string) (int, error) {
	return openPath(name, foreign, unix.O_RDONLY|unix.O_DIRECTORY)
}

// entryAt describes the entry at a path of which no element but the last is a link, and of a link says the text. A link
// of /proc to a process's files is an error.
func entryAt(path string) (Info, string, error) {
	fd, err := openPath(path, foreign, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return Info{}, "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return Info{}, "", err
	}
	info := ownerAndKind(st.Mode, st.Uid)
	if info.Kind != KindSymlink {
		return info, "", nil
	}
	dir, err := openPath(filepath.Dir(path), foreign, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return Info{}, "", err
	}
	defer unix.Close(dir)
	var in unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(dir, &in) }); err != nil {
		return Info{}, "", err
	}
	if isMagic(fd, in.Ino) {
		return Info{}, "", ErrMagicLink
	}
	text, err := readlinkat(fd, "")
	return info, text, err
}
