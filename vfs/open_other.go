//go:build !linux

package vfs

import (
	"io/fs"
	"os"
	"time"
)

func openFile(name string, _ origin, _ time.Duration, allowed func(fs.FileMode) error) (*os.File, fs.FileInfo, error) {
	return openByName(name, allowed)
}

func stat(name string, _ origin, follow bool) (fs.FileInfo, error) {
	if follow {
		return os.Stat(name)
	}
	return os.Lstat(name)
}
