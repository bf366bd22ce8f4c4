//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// withoutAtime is what the system says of a file, without the access time.
func withoutAtime(info fs.FileInfo) any {
	stat := info.Sys().(*syscall.Stat_t)
	return [...]any{stat.Dev, stat.Ino, stat.Nlink, stat.Uid, stat.Gid, stat.Mode, stat.Size, ctime(stat)}
}
