//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// openNonblock opens a pipe without waiting for its other end.
const openNonblock = syscall.O_NONBLOCK

// ownerOf is the user that a file belongs to.
func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return 0
}
