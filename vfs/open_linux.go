package vfs

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openFile holds the file without opening it, looks at what it is, and opens that very one.
func openFile(name string, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	fd, err := openat(unix.AT_FDCWD, name, unix.O_PATH|unix.O_CLOEXEC, 0)
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
	opened, err := openat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) { // there is no /proc
		return openByName(name, allowed)
	}
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(opened), name), info, nil
}
