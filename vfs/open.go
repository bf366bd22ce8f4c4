package vfs

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// OpenFile opens a file to be read, following symbolic links, and says what it is. It never
// waits for the other end of a pipe: one without a writer is at its end. What allowed returns
// an error for is not opened, since that does something to some devices; nil allows everything.
// On Linux it opens the very file that allowed has judged, and nothing that is put in its place.
//
// The name is the operator's. If he did not type a path in /proc, or /dev/stdin or /dev/fd/N, no symbolic link on the way leads there
// through another process's root, working directory, executable or descriptor: see [ErrMagicLink].
func OpenFile(name string, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	return openFile(name, typed(name), leaseWait, orAll(allowed))
}

// OpenNow is [OpenFile] that waits for no lease either: whoever owns the file can take one again and again. The error is a
// [*LeaseError] then.
func OpenNow(name string, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	return openFile(name, typed(name), 0, orAll(allowed))
}

// OpenForeign is [OpenFile] for a name that another user may have written: no path leads through another process's
// files. There is what only that user has mounted, and a look at it may never end, not even with SIGKILL.
func OpenForeign(name string, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	return openFile(name, foreign, leaseWait, orAll(allowed))
}

func orAll(allowed func(fs.FileMode) error) func(fs.FileMode) error {
	if allowed == nil {
		return func(fs.FileMode) error { return nil }
	}
	return allowed
}

// Stat is [os.Stat] with the same rule as [OpenFile].
func Stat(name string) (fs.FileInfo, error) { return stat(name, typed(name), true) }

// Lstat is [os.Lstat] with the same rule as [OpenFile], for the way to the last element.
func Lstat(name string) (fs.FileInfo, error) { return stat(name, typed(name), false) }

// StatForeign is [os.Stat] with the same rule as [OpenForeign].
func StatForeign(name string) (fs.FileInfo, error) { return stat(name, foreign, true) }

// origin says who wrote a path, and with that whether links of /proc are followed.
type origin int

const (
	foreign origin = iota // another user may have
	own                   // the operator, and it names such a link
)

// typed says whether an operator's path is one in /proc, or a name of his own descriptors, such as /dev/stdin. Nothing else in
// /dev is: every user can make links in /dev/shm.
func typed(name string) origin {
	switch name {
	case "/dev/stdin", "/dev/stdout", "/dev/stderr":
		return own
	}
	if number, ok := strings.CutPrefix(name, "/dev/fd/"); ok && !strings.Contains(number, "/") || strings.HasPrefix(name, "/proc/") {
		return own
	}
	return foreign
}

// RegularOnly makes [OpenFile] refuse everything but regular files, with err.
func RegularOnly(err error) func(fs.FileMode) error {
	return func(mode fs.FileMode) error {
		if mode.IsRegular() {
			return nil
		}
		return err
	}
}

// openByName looks before it opens, and again afterwards.
func openByName(name string, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if err := allowed(info.Mode()); err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err == nil {
		if err = allowed(info.Mode()); err != nil {
			err = &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}
