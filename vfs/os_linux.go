package vfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// renameat2 renames with flags. EINVAL, with names that are fine, is how file
// systems say that they do not know a flag.
func renameat2(dir int, from, to string, flags uint) error {
	err := ignoringEINTR(func() error { return unix.Renameat2(dir, from, dir, to, flags) })
	if errors.Is(err, unix.EINVAL) {
		return ErrNotSupported
	}
	return err
}

func (d *osDir) RenameNoReplace(from, to string) error {
	return d.wrap("rename", from, renameat2(d.fd(), from, to, unix.RENAME_NOREPLACE))
}

func (d *osDir) Exchange(a, b string) error {
	return d.wrap("exchange", a, renameat2(d.fd(), a, b, unix.RENAME_EXCHANGE))
}

// CreateUnnamed fails with EISDIR where the kernel does not know the flag.
func (d *osDir) CreateUnnamed(mode Mode) (File, error) {
	file, err := d.open("create a file in", ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_APPEND|unix.O_EXCL, mode)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return nil, d.wrap("create a file in", "", ErrNotSupported)
	}
	return file, err
}

const cloneMode Mode = 0o600 // of a file in the making

func (d *osDir) Clone(source File, name string) (File, error) {
	from, ok := source.(*osFile)
	if !ok {
		return nil, d.wrap("clone", name, ErrNotSupported)
	}
	file, err := d.open("clone", name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, cloneMode)
	if err != nil {
		return nil, err
	}
	err = ignoringEINTR(func() error { return unix.IoctlFileClone(file.(*osFile).fd(), from.fd()) })
	if err == nil {
		return file, nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EXDEV) {
		err = ErrNotSupported
	}
	file.Close()
	if removeErr := d.Remove(name); removeErr != nil {
		return nil, removeErr
	}
	return nil, d.wrap("clone", name, err)
}

// lstat uses statx, which also knows flags and mount points, where the kernel
// lets it.
func (d *osDir) lstat(name string) (Info, error) {
	return statx(d.fd(), name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
}

func fstat(fd int) (Info, error) { return statx(fd, "", unix.AT_EMPTY_PATH) }

func statx(dir int, name string, flags int) (Info, error) {
	if name == "." {
		name, flags = "", unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	err := ignoringEINTR(func() error {
		return unix.Statx(dir, name, flags|unix.AT_STATX_SYNC_AS_STAT, unix.STATX_BASIC_STATS, &st)
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a sandbox that does not know it
		return statOld(dir, name, flags)
	}
	if err != nil {
		return Info{}, err
	}
	has := st.Attributes & st.Attributes_mask
	return Info{
		Kind: kindOf(uint32(st.Mode)), Size: int64(st.Size), Mode: Mode(st.Mode) & ModeMax,
		UID: int(st.Uid), GID: int(st.Gid), Links: uint64(st.Nlink),
		Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Inode: st.Ino,
		Modified:   time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)).UTC(),
		Changed:    time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)).UTC(),
		Immutable:  has&unix.STATX_ATTR_IMMUTABLE != 0,
		AppendOnly: has&unix.STATX_ATTR_APPEND != 0,
		MountPoint: has&unix.STATX_ATTR_MOUNT_ROOT != 0 && name != "",
	}, nil
}

func statOld(dir int, name string, flags int) (Info, error) {
	var st unix.Stat_t
	err := ignoringEINTR(func() error {
		if name == "" {
			return unix.Fstat(dir, &st)
		}
		return unix.Fstatat(dir, name, &st, flags&unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return Info{}, err
	}
	return Info{
		Kind: kindOf(st.Mode), Size: st.Size, Mode: Mode(st.Mode) & ModeMax,
		UID: int(st.Uid), GID: int(st.Gid), Links: uint64(st.Nlink), Device: uint64(st.Dev), Inode: st.Ino,
		Modified: time.Unix(st.Mtim.Unix()).UTC(), Changed: time.Unix(st.Ctim.Unix()).UTC(),
	}, nil
}

func (d *osDir) Volume() (Volume, error) {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Fstatfs(d.fd(), &st) }); err != nil {
		return Volume{}, d.wrap("statfs", ".", err)
	}
	volume := Volume{
		FreeBytes:  multiplied(st.Bavail, uint64(st.Bsize)),
		FreeInodes: multiplied(st.Ffree, 1),
		ReadOnly:   st.Flags&unix.ST_RDONLY != 0,
		NoExec:     st.Flags&unix.ST_NOEXEC != 0,
		NoSUID:     st.Flags&unix.ST_NOSUID != 0,
	}
	if st.Files == 0 { // btrfs and others make inodes as they are needed
		volume.FreeInodes = -1
	}
	_, err := unix.Flistxattr(d.fd(), nil)
	volume.Xattrs = err == nil
	return volume, nil
}

// Self reads the effective capabilities of the thread, which are the process's:
// this package never changes them.
func (osFS) Self() Self {
	self := selfIDs()
	self.Users = idMap("/proc/self/uid_map", "/proc/sys/kernel/overflowuid")
	self.UserGroups = idMap("/proc/self/gid_map", "/proc/sys/kernel/overflowgid")
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return self
	}
	has := func(capability uint) bool {
		return data[capability/32].Effective&(1<<(capability%32)) != 0
	}
	self.Chown, self.AnyFile = has(unix.CAP_CHOWN), has(unix.CAP_FOWNER)
	self.SetFCaps, self.Security = has(unix.CAP_SETFCAP), has(unix.CAP_SYS_ADMIN)
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err == nil {
		self.Security = true // the policy decides, and says so only when it is tried
	}
	return self
}

const (
	idMapSizeMax  = 64 << 10 // bytes; the kernel's own limit is 340 lines
	nobodyDefault = 65534
)

// idMap reads which numbers exist in the user namespace. Where nothing tells, all do.
func idMap(mapFile, nobodyFile string) IDMap {
	lines := strings.Split(strings.TrimSpace(procText(mapFile)), "\n")
	m := IDMap{Nobody: nobodyDefault}
	for _, line := range lines {
		var first, outside, count int64
		if _, err := fmt.Sscan(line, &first, &outside, &count); err != nil || count <= 0 {
			return IDMap{}
		}
		if count >= math.MaxUint32 { // the first namespace
			return IDMap{}
		}
		m.Ranges = append(m.Ranges, IDRange{int(first), int(first + count - 1)})
	}
	if number, err := strconv.Atoi(strings.TrimSpace(procText(nobodyFile))); err == nil {
		m.Nobody = number
	}
	return m
}

func procText(name string) string {
	file, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := io.ReadAll(io.LimitReader(file, idMapSizeMax))
	return string(text)
}

func (f *osFile) Allocate(size int64) error {
	return f.wrap("allocate", ignoringEINTR(func() error {
		return unix.Fallocate(f.fd(), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	}))
}

// WriteBack waits for nothing: to wait would take the device's error away from Sync.
func (f *osFile) WriteBack(offset, size int64) {
	_ = unix.SyncFileRange(f.fd(), offset, size, unix.SYNC_FILE_RANGE_WRITE)
}

func (f *osFile) DropCache() { _ = unix.Fadvise(f.fd(), 0, 0, unix.FADV_DONTNEED) }

func (f *osFile) Sync() error {
	return f.wrap("sync", ignoringEINTR(func() error { return unix.Fsync(f.fd()) }))
}

const errNoXattr = unix.ENODATA

// Mark is an open file description lock, fcntl_locking(2): unlike one of a process it
// goes with the handle. It is a shared one.
func (f *osFile) Mark(offset int64) error {
	lock := unix.Flock_t{Type: unix.F_RDLCK, Whence: unix.SEEK_SET, Start: offset, Len: 1}
	return f.wrap("mark", ignoringEINTR(func() error { return unix.FcntlFlock(uintptr(f.fd()), unix.F_OFD_SETLK, &lock) }))
}

func (f *osFile) Marked(offset int64) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: offset, Len: 1}
	err := ignoringEINTR(func() error { return unix.FcntlFlock(uintptr(f.fd()), unix.F_OFD_GETLK, &lock) })
	return err == nil && lock.Type != unix.F_UNLCK, f.wrap("look for a mark", err)
}
