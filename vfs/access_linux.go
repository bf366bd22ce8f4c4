package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// GuardedAt is what decides who may use the file or the directory at a path. Elsewhere than on Linux it is [ErrNotSupported].
func GuardedAt(path string) (Guarded, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return Guarded{}, err
	}
	what := Guarded{Path: path, UID: int(stat.Uid), GID: int(stat.Gid), Mode: Mode(stat.Mode) & ModeMax}
	acl := make([]byte, aclSizeLimit)
	size, err := unix.Getxattr(path, "system.posix_acl_access", acl)
	switch {
	case err == nil:
		what.ACL = acl[:size]
	case !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS):
		return Guarded{}, err
	}
	return what, nil
}
