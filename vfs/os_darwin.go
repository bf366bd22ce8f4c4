package vfs

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

func (d *osDir) RenameNoReplace(from, to string) error {
	return d.wrap("rename", from, ignoringEINTR(func() error {
		return unix.RenameatxNp(d.fd(), from, d.fd(), to, unix.RENAME_EXCL)
	}))
}

func (d *osDir) Exchange(a, b string) error {
	return d.wrap("exchange", a, ignoringEINTR(func() error {
		return unix.RenameatxNp(d.fd(), a, d.fd(), b, unix.RENAME_SWAP)
	}))
}

func (d *osDir) CreateUnnamed(Mode) (File, error) {
	return nil, d.wrap("create a file in", "", ErrNotSupported)
}

func (d *osDir) Clone(source File, name string) (File, error) {
	from, ok := source.(*osFile)
	if !ok {
		return nil, d.wrap("clone", name, ErrNotSupported)
	}
	err := ignoringEINTR(func() error { return unix.Fclonefileat(from.fd(), d.fd(), name, 0) })
	if errors.Is(err, unix.EXDEV) {
		err = ErrNotSupported
	}
	if err != nil {
		return nil, d.wrap("clone", name, err)
	}
	return d.OpenAppend(name)
}

func (d *osDir) lstat(name string) (Info, error) {
	if name == "." {
		return fstat(d.fd())
	}
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return infoOf(st), err
}

func openDir(name string) (int, error) {
	return openat(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// entryAt describes the entry at a path, and of a link says the text.
func (d *osDir) readlink(name string) (string, error) { return readlinkat(d.fd(), name) }

func entryAt(path string) (Info, string, error) {
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Lstat(path, &st) }); err != nil {
		return Info{}, "", err
	}
	info := ownerAndKind(uint32(st.Mode), st.Uid)
	if info.Kind != KindSymlink {
		return info, "", nil
	}
	text, err := readlinkat(unix.AT_FDCWD, path)
	return info, text, err
}

func fstat(fd int) (Info, error) {
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Fstat(fd, &st) })
	return infoOf(st), err
}

func infoOf(st unix.Stat_t) Info {
	if st.Mode == 0 {
		return Info{}
	}
	return Info{
		Kind: kindOf(uint32(st.Mode)), Size: st.Size, Mode: Mode(st.Mode) & ModeMax,
		UID: int(st.Uid), GID: int(st.Gid), Links: uint64(st.Nlink), Device: uint64(uint32(st.Dev)), Inode: st.Ino,
		Modified: time.Unix(st.Mtim.Unix()).UTC(), Changed: time.Unix(st.Ctim.Unix()).UTC(),
		Immutable:  st.Flags&(unix.UF_IMMUTABLE|unix.SF_IMMUTABLE) != 0,
		AppendOnly: st.Flags&(unix.UF_APPEND|unix.SF_APPEND) != 0,
	}
}

func (d *osDir) Volume() (Volume, error) {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Fstatfs(d.fd(), &st) }); err != nil {
		return Volume{}, d.wrap("statfs", ".", err)
	}
	_, err := unix.Flistxattr(d.fd(), nil)
	return Volume{
		FreeBytes:  multiplied(st.Bavail, uint64(st.Bsize)),
		FreeInodes: multiplied(st.Ffree, 1),
		ReadOnly:   st.Flags&unix.MNT_RDONLY != 0,
		NoExec:     st.Flags&unix.MNT_NOEXEC != 0,
		NoSUID:     st.Flags&unix.MNT_NOSUID != 0,
		Xattrs:     err == nil,
	}, nil
}

// Self knows only root and not root here.
func (osFS) Self() Self {
	self := selfIDs()
	root := self.UID == 0
	self.Chown, self.AnyFile, self.SetFCaps, self.Security = root, root, root, root
	return self
}

// Allocate does nothing: the file system has no call that only reserves.
func (f *osFile) Allocate(int64) error { return f.wrap("allocate", ErrNotSupported) }

func (f *osFile) WriteBack(int64, int64) {}

func (f *osFile) DropCache() {}

// Sync asks for the drive's cache to be written too, which fsync(2) does not do
// here, and is content with fsync where the file system does not know it.
func (f *osFile) Sync() error {
	err := ignoringEINTR(func() error {
		_, err := unix.FcntlInt(uintptr(f.fd()), unix.F_FULLFSYNC, 0)
		return err
	})
	if errors.Is(err, ErrNotSupported) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		err = ignoringEINTR(func() error { return unix.Fsync(f.fd()) })
	}
	return f.wrap("sync", err)
}

const errNoXattr = unix.ENOATTR
