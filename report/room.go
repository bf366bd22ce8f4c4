package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// roomOf is how many bytes are free where a directory is, or would be made; nil: that cannot be seen.
func roomOf(fsys vfs.FS, dir string) *int64 {
	for {
		open, err := fsys.OpenDir(dir)
		if up := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		if err != nil {
			return nil
		}
		volume, err := open.Volume()
		open.Close()
		if err != nil {
			return nil
		}
		return &volume.FreeBytes
	}
}

// placeOf is what tells a path without symbolic links from all others for as long as the system runs: device and inode of the
// directory, and the name in it; "": that cannot be seen.
func placeOf(fsys vfs.FS, path string) string {
	dir := filepath.Dir(path)
	up, err := fsys.OpenDir(filepath.Dir(dir))
	if err != nil {
		return ""
	}
	defer up.Close()
	info, err := up.Lstat(filepath.Base(dir))
	if err != nil || info.Kind != vfs.KindDirectory || info.Inode == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d:%s", info.Device, info.Inode, filepath.Base(path))
}
