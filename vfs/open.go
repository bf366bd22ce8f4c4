package vfs

import (
	"io/fs"
	"os"
	"syscall"
)

// OpenFile opens a file to be read, following symbolic links, and says what it is. It never
// waits for the other end of a pipe: one without a writer is at its end. What allowed returns
// an error for is not opened, since that does something to some devices; nil allows everything.
// On Linux it opens the very file that allowed has judged, and nothing that is put in its place.
func OpenFile(name string, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	if allowed == nil {
		allowed = func(fs.FileMode) error { return nil }
	}
	return openFile(name, allowed)
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
