//go:build !linux && !darwin && !windows

package vfs

import "os"

func tryLock(*os.File) error { return ErrNotSupported }

func unlock(*os.File) error { return nil }
