package release

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

const (
	cacheDirMode  vfs.Mode = 0o700
	cacheFileMode vfs.Mode = 0o600
	// writableByOthers are the mode's bits of which none may be set in the cache. A POSIX access list that
	// lets others write shows in the group's.
	writableByOthers vfs.Mode = 0o022

	downloadsName = "downloads"
	answersName   = "api"
)

// errForeign says that another user could have written what the cache holds. What is resumed from the
// cache did not come over TLS in this run, so such a cache is not read at all. Its text begins every [Delivery.CacheNote] about a cache that
// cannot be used.
var errForeign = errors.New("the cache is not used")

// openCache makes and opens the directory of that name in the cache directory, and returns its path too.
// Both must be this user's or root's and writable by no other user; the inner one must be no symbolic link.
// The caller closes it. The error matches errForeign, or is the operating system's.
func openCache(cacheDir, name string) (vfs.Dir, string, error) {
	if err := durable.MkdirAll(vfs.OS(), cacheDir, cacheDirMode); err != nil {
		return nil, "", err
	}
	outer, err := vfs.OS().OpenDir(cacheDir)
	if err != nil {
		return nil, "", err
	}
	defer outer.Close()
	info, err := outer.Lstat(".")
	if err == nil {
		err = ownOnly(cacheDir, info)
	}
	if err == nil {
		err = outer.Mkdir(name, cacheDirMode)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	path := filepath.Join(cacheDir, name)
	if info, err = outer.Lstat(name); err != nil {
		return nil, "", err
	}
	if info.Kind != vfs.KindDirectory {
		return nil, "", fmt.Errorf("%w: %s is no directory, but a %s", errForeign, path, info.Kind)
	}
	if err := ownOnly(path, info); err != nil {
		return nil, "", err
	}
	inner, err := vfs.OS().OpenDir(path)
	if err != nil {
		return nil, "", err
	}
	if opened, err := inner.Lstat("."); err != nil || info.Inode != 0 && !info.SameFile(opened) {
		inner.Close()
		return nil, "", fmt.Errorf("%w: %s was replaced while it was opened", errForeign, path)
	}
	return inner, path, nil
}

// ownOnly returns an error that matches errForeign unless only this user and root can have written what
// the description is of. Windows tells no owner; there nothing is refused.
func ownOnly(path string, info vfs.Info) error {
	self := vfs.OS().Self().UID
	switch {
	case runtime.GOOS == "windows":
	case info.UID != self && info.UID != 0:
		return fmt.Errorf("%w: %s belongs to user %d, not to %d or root", errForeign, path, info.UID, self)
	case info.Mode&writableByOthers != 0:
		return fmt.Errorf("%w: %s can be written by others (mode %s)", errForeign, path, info.Mode)
	}
	return nil
}

// ownFile is ownOnly for an open file, which must be a regular one with one link too.
func ownFile(path string, info vfs.Info) error {
	if info.Kind != vfs.KindFile {
		return fmt.Errorf("%w: %s is no regular file, but a %s", errForeign, path, info.Kind)
	}
	if info.Links > 1 {
		return fmt.Errorf("%w: %s has %d links", errForeign, path, info.Links)
	}
	return ownOnly(path, info)
}
