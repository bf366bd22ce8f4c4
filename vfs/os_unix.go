//go:build linux || darwin

package vfs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// osFS is the operating system's file system.
type osFS struct{}

// OS returns the operating system's file system.
func OS() FS { return osFS{} }

// osDir is a directory by its descriptor.
type osDir struct{ file *osFile }

// osFile is a file by its descriptor.
type osFile struct{ file *os.File }

const openAlways = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

func (osFS) OpenDir(name string) (Dir, error) {
	fd, err := openDir(name)
	if err != nil {
		return nil, &os.PathError{Op: "open directory", Path: name, Err: err}
	}
	return &osDir{&osFile{os.NewFile(uintptr(fd), name)}}, nil
}

// RealPath goes element by element, to see whose each link is.
func (osFS) RealPath(name string) (string, error) {
	name, err := Absolute(name)
	if err != nil {
		return "", err
	}
	path, rest, links := "/", strings.Split(name, "/"), 0
	for len(rest) > 0 {
		element := rest[0]
		rest = rest[1:]
		if element == "" || element == "." {
			continue
		}
		if element == ".." {
			path = filepath.Dir(path) // path has no links
			continue
		}
		next := filepath.Join(path, element)
		info, text, err := entryAt(next)
		if errors.Is(err, ErrMagicLink) {
			return "", &os.PathError{Op: "follow", Path: next, Err: err}
		}
		if err != nil {
			return "", &os.PathError{Op: "lstat", Path: next, Err: err}
		}
		if info.Kind != KindSymlink {
			if info.Kind != KindDirectory {
				return "", &os.PathError{Op: "real path", Path: next, Err: unix.ENOTDIR}
			}
			path = next
			continue
		}
		if links++; links > linksMax {
			return "", &os.PathError{Op: "real path", Path: name, Err: ErrLinkLoop}
		}
		in, _, err := entryAt(path)
		if err == nil && linkOfStranger(in, info, os.Geteuid()) {
			err = fmt.Errorf("%w (%d)", ErrLinkOwner, info.UID)
		}
		if err != nil {
			return "", &os.PathError{Op: "follow", Path: next, Err: err}
		}
		if filepath.IsAbs(text) {
			path = "/"
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	return path, nil
}

// ownerAndKind is all that is known of an entry on the way.
func ownerAndKind(mode, uid uint32) Info {
	return Info{Kind: kindOf(mode), Mode: Mode(mode) & ModeMax, UID: int(uid)}
}

func selfIDs() Self {
	groups, _ := os.Getgroups()
	return Self{UID: os.Geteuid(), GID: os.Getegid(), Groups: groups}
}

func (d *osDir) fd() int  { return d.file.fd() }
func (f *osFile) fd() int { return int(f.file.Fd()) }

func (d *osDir) wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: filepath.Join(d.file.file.Name(), name), Err: err}
}

func (f *osFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.file.Name(), Err: err}
}

func (d *osDir) open(op, name string, flags int, mode Mode) (File, error) {
	fd, err := openat(d.fd(), name, flags|openAlways, uint32(mode))
	if err != nil {
		return nil, d.wrap(op, name, err)
	}
	return &osFile{os.NewFile(uintptr(fd), filepath.Join(d.file.file.Name(), name))}, nil
}

func (d *osDir) Up() (Dir, error) {
	fd, err := openat(d.fd(), "..", unix.O_RDONLY|unix.O_DIRECTORY|openAlways, 0)
	if err != nil {
		return nil, d.wrap("open directory", "..", err)
	}
	return &osDir{&osFile{os.NewFile(uintptr(fd), filepath.Dir(d.file.file.Name()))}}, nil
}

func (d *osDir) Lstat(name string) (Info, error) {
	info, err := d.lstat(name)
	return info, d.wrap("stat", name, err)
}

func (d *osDir) Readlink(name string) (string, error) {
	text, err := d.readlink(name)
	return text, d.wrap("readlink", name, err)
}

func readlinkat(dir int, name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	var count int
	err := ignoringEINTR(func() (err error) {
		count, err = unix.Readlinkat(dir, name, buffer)
		return err
	})
	return string(buffer[:max(count, 0)]), err
}

func (d *osDir) Open(name string) (File, error) {
	return d.open("open", name, unix.O_RDONLY, 0)
}

func (d *osDir) OpenAppend(name string) (File, error) {
	return d.open("open", name, unix.O_RDWR|unix.O_APPEND, 0)
}

func (d *osDir) Create(name string, mode Mode) (File, error) {
	return d.open("create", name, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_EXCL, mode)
}

func (d *osDir) Mkdir(name string, mode Mode) error {
	return d.wrap("mkdir", name, ignoringEINTR(func() error { return unix.Mkdirat(d.fd(), name, uint32(mode)) }))
}

func (d *osDir) Rename(from, to string) error {
	return d.wrap("rename", from, ignoringEINTR(func() error { return unix.Renameat(d.fd(), from, d.fd(), to) }))
}

func (d *osDir) Link(from, to string) error {
	return d.wrap("link", from, ignoringEINTR(func() error { return unix.Linkat(d.fd(), from, d.fd(), to, 0) }))
}

func (d *osDir) Remove(name string) error {
	return d.wrap("remove", name, ignoringEINTR(func() error { return unix.Unlinkat(d.fd(), name, 0) }))
}

func (d *osDir) List(prefix string, limit int) ([]string, error) {
	again, err := d.open("list", ".", unix.O_RDONLY|unix.O_DIRECTORY, 0) // its own position
	if err != nil {
		return nil, err
	}
	defer again.Close()
	return readNames(again.(*osFile).file, prefix, limit)
}

func (d *osDir) Chmod(mode Mode) error { return d.file.Chmod(mode) }

func (d *osDir) Access() error {
	return d.wrap("access", "", ignoringEINTR(func() error {
		return unix.Faccessat(d.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}))
}

func (d *osDir) Sync() error  { return d.file.Sync() }
func (d *osDir) Close() error { return d.file.Close() }

func (f *osFile) Write(data []byte) (int, error)                { return f.file.Write(data) }
func (f *osFile) ReadAt(data []byte, offset int64) (int, error) { return f.file.ReadAt(data, offset) }
func (f *osFile) Truncate(size int64) error                     { return f.file.Truncate(size) }
func (f *osFile) Close() error                                  { return f.file.Close() }

func (f *osFile) Chown(uid, gid int) error {
	return f.wrap("chown", ignoringEINTR(func() error { return unix.Fchown(f.fd(), uid, gid) }))
}

func (f *osFile) Chmod(mode Mode) error {
	return f.wrap("chmod", ignoringEINTR(func() error { return unix.Fchmod(f.fd(), uint32(mode)) }))
}

func (f *osFile) Stat() (Info, error) {
	info, err := fstat(f.fd())
	return info, f.wrap("stat", err)
}

func (f *osFile) TryLock() error {
	err := ignoringEINTR(func() error { return unix.Flock(f.fd(), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return f.wrap("lock", err)
}

func (f *osFile) Unlock() error {
	return f.wrap("unlock", ignoringEINTR(func() error { return unix.Flock(f.fd(), unix.LOCK_UN) }))
}

const (
	xattrRaces       = 10       // tries when an attribute grows while it is read
	xattrListSizeMax = 64 << 10 // the kernel's own limit
)

// xattrBytes calls get with a buffer of the right size.
func xattrBytes(sizeMax int, get func(buffer []byte) (int, error)) ([]byte, error) {
	for range xattrRaces {
		size, err := get(nil)
		if err != nil {
			return nil, err
		}
		if size > sizeMax {
			return nil, ErrTooLarge
		}
		buffer := make([]byte, size)
		if size == 0 {
			return buffer, nil
		}
		size, err = get(buffer)
		if errors.Is(err, unix.ERANGE) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buffer[:size], nil
	}
	return nil, ErrRace
}

func (f *osFile) Xattrs() ([]string, error) {
	list, err := xattrBytes(xattrListSizeMax, func(buffer []byte) (int, error) { return unix.Flistxattr(f.fd(), buffer) })
	if err != nil {
		return nil, f.wrap("list attributes", err)
	}
	var names []string
	for name := range strings.SplitSeq(string(list), "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f *osFile) Xattr(name string) ([]byte, error) {
	value, err := xattrBytes(XattrSizeMax, func(buffer []byte) (int, error) { return unix.Fgetxattr(f.fd(), name, buffer) })
	return value, f.wrapXattr("read attribute "+name, err)
}

func (f *osFile) SetXattr(name string, value []byte) error {
	return f.wrapXattr("set attribute "+name, ignoringEINTR(func() error { return unix.Fsetxattr(f.fd(), name, value, 0) }))
}

func (f *osFile) RemoveXattr(name string) error {
	return f.wrapXattr("remove attribute "+name, ignoringEINTR(func() error { return unix.Fremovexattr(f.fd(), name) }))
}

func (f *osFile) wrapXattr(op string, err error) error {
	if errors.Is(err, errNoXattr) {
		return f.wrap(op, ErrNoXattr)
	}
	return f.wrap(op, err)
}

// openat opens a file, and waits a while for a lease that another process has on it: by then the system has asked for it back.
func openat(dir int, name string, flags int, mode uint32) (fd int, err error) {
	return openWithin(leaseWait, dir, name, flags, mode)
}

// openWithin is openat that waits for a lease no longer than wait.
func openWithin(wait time.Duration, dir int, name string, flags int, mode uint32) (fd int, err error) {
	for began := time.Now(); ; time.Sleep(leasePause) {
		err = ignoringEINTR(func() (err error) {
			fd, err = unix.Openat(dir, name, flags, mode)
			return err
		})
		if err != unix.EWOULDBLOCK || flags&unix.O_NONBLOCK == 0 {
			return fd, err
		}
		if time.Since(began) >= wait {
			return fd, leased(dir, name, flags&unix.O_NOFOLLOW)
		}
	}
}

// leased is why a file could not be opened without waiting.
func leased(dir int, name string, noFollow int) error {
	var st unix.Stat_t
	how := 0
	if noFollow != 0 {
		how = unix.AT_SYMLINK_NOFOLLOW
	}
	if err := ignoringEINTR(func() error { return unix.Fstatat(dir, name, &st, how) }); err != nil || kindOf(uint32(st.Mode)) != KindFile {
		return unix.EWOULDBLOCK
	}
	return &LeaseError{UID: int(st.Uid)}
}

// ignoringEINTR calls again what a signal interrupted, as network and FUSE file
// systems let happen.
func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func kindOf(mode uint32) Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return KindFile
	case unix.S_IFDIR:
		return KindDirectory
	case unix.S_IFLNK:
		return KindSymlink
	case unix.S_IFBLK, unix.S_IFCHR:
		return KindDevice
	case unix.S_IFIFO:
		return KindPipe
	case unix.S_IFSOCK:
		return KindSocket
	}
	return KindOther
}

// multiplied is a*b, or the largest int64 instead of more.
func multiplied(a, b uint64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return int64(a * b)
}
