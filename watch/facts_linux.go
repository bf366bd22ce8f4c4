package watch

import (
	"os"
	"syscall"
	"time"
)

const checksMode = true

func factsOf(info os.FileInfo) Facts {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Facts{Mode: Mode(info.Mode().Perm()), Size: info.Size(), Mtime: info.ModTime().UTC()}.named()
	}
	return Facts{
		Dev: uint64(stat.Dev), Ino: stat.Ino, Mode: Mode(stat.Mode), Nlink: uint64(stat.Nlink), UID: stat.Uid, GID: stat.Gid,
		Size: stat.Size, Blocks: stat.Blocks,
		Mtime: time.Unix(stat.Mtim.Unix()).UTC(), Ctime: time.Unix(stat.Ctim.Unix()).UTC(),
	}.named()
}
