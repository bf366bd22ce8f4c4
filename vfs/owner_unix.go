//go:build unix

package vfs

import (
	"io/fs"
	"syscall"
)

// OwnerOf is the user that a file belongs to.
func OwnerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return 0
}

// groupOf is the group that a file belongs to.
func groupOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Gid)
	}
	return 0
}
