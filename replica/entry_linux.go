package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/vfs"
)

const (
	// textMax bounds what is read of /proc's text files, in bytes.
	textMax = 256 << 10

	// textUsual is what most of them have, in bytes.
	textUsual = 2 << 10

	// linkMax is more than the kernel says of a link in /proc.
	linkMax = 2 * unix.PathMax

	// threadsMax is how many threads of a process are asked what it executes, when
	// its first one has ended.
	threadsMax = 64
)

// errGone says that a process has ended, or is not one to look at.
var errGone = errors.New("process is gone")

// entry is a directory of /proc that is held open, so that everything read through it
// is of one process, whatever its number is given to. It is the process's, or, if the first
// thread has ended, that of another thread.
type entry struct {
	path string // for messages
	fd   int
}

func openEntry(path string) (*entry, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, gone(&fs.PathError{Op: "open", Path: path, Err: err})
	}
	return &entry{path: path, fd: fd}, nil
}

func (e *entry) close() { _ = unix.Close(e.fd) }

// failed names what could not be done, or says that the process is gone.
func (e *entry) failed(op, name string, err error) error {
	return gone(&fs.PathError{Op: op, Path: filepath.Join(e.path, name), Err: err})
}

// gone turns the errors of a process that is no more into errGone.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return errGone
	}
	return err
}

// link reads a link, which never waits for what it leads to.
func (e *entry) link(name string) (string, error) {
	buffer := make([]byte, linkMax)
	count, err := unix.Readlinkat(e.fd, name, buffer)
	if err != nil {
		return "", e.failed("readlink", name, err)
	}
	return string(buffer[:count]), nil
}

// open opens a text file.
func (e *entry) open(name string) (*os.File, error) {
	fd, err := unix.Openat(e.fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, e.failed("open", name, err)
	}
	return os.NewFile(uintptr(fd), filepath.Join(e.path, name)), nil
}

// text reads a text file, or the first part of it.
func (e *entry) text(name string) (string, error) { return e.part(name, textMax) }

// part reads the first part of a text file.
func (e *entry) part(name string, limit int64) (string, error) {
	file, err := e.open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := readLimited(file, limit)
	return text, gone(err)
}

// arguments reads the command line; none is a text that is empty.
func (e *entry) arguments() (args arguments, none bool, err error) {
	text, err := e.part("cmdline", cmdlineMax)
	return parseArguments(text), text == "", err
}

// command reads argv[0] alone: what the process says first of all. None is a command line that is empty.
func (e *entry) command() (command string, none bool, err error) {
	text, err := e.part("cmdline", argumentMax+1)
	return parseCommand(text), text == "", err
}

// readLimited reads up to limit bytes. What /proc says of a process mostly fits the first buffer.
func readLimited(r io.Reader, limit int64) (string, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, textUsual))
	_, err := buffer.ReadFrom(io.LimitReader(r, limit))
	return buffer.String(), err
}

// inode identifies a file, whatever it is called. The zero value is none.
type inode struct{ dev, ino uint64 }

// info is what is looked at of a file.
type info struct {
	inode
	mode      uint32
	uid       uint32
	size      uint64
	links     uint64
	written   time.Time
	mountRoot bool // something is mounted right there
}

func (i info) regular() bool { return i.mode&unix.S_IFMT == unix.S_IFREG }

// statAt looks at a file, through links. It asks no server for what the system knows
// already: a mount that does not answer would keep it waiting.
func statAt(dir int, name string) (info, error) {
	flags := unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var stat unix.Statx_t
	err := unix.Statx(dir, name, flags, unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_UID|unix.STATX_NLINK|unix.STATX_INO|unix.STATX_SIZE|unix.STATX_MTIME, &stat)
	if (errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM)) && withoutStatx() {
		return statOldAt(dir, name)
	}
	return info{
		inode: inode{unix.Mkdev(stat.Dev_major, stat.Dev_minor), stat.Ino}, mode: uint32(stat.Mode), uid: stat.Uid, size: stat.Size, links: uint64(stat.Nlink),
		written:   time.Unix(stat.Mtime.Sec, int64(stat.Mtime.Nsec)).UTC(),
		mountRoot: stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}, err
}

// withoutStatx reports whether the system has no statx(2): an old kernel, or a filter of system
// calls. A file alone does not decide that, since its server would be asked then.
var withoutStatx = sync.OnceValue(func() bool {
	var stat unix.Statx_t
	return unix.Statx(unix.AT_FDCWD, "/", unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &stat) != nil
})

func statOldAt(dir int, name string) (info, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(dir, name, &stat, unix.AT_EMPTY_PATH)
	return info{inode: inode{uint64(stat.Dev), stat.Ino}, mode: stat.Mode, uid: stat.Uid, size: uint64(stat.Size), links: uint64(stat.Nlink), written: time.Unix(stat.Mtim.Unix()).UTC()}, err
}

// pin holds the file at the end of a path, without opening it: for some devices opening
// does something, and a pipe makes wait.
type pin struct {
	info
	fd   int
	name string
	ours bool // found by a path of ours, and not of a process's
}

func pinAt(dir int, name, called string) (*pin, error) {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: called, Err: err}
	}
	return newPin(fd, called)
}

// pinHere holds the file at the end of a path of ours that another user may have written. It is not followed through
// another process's root, working directory or descriptors: there is what only that process's user has mounted, and a
// look at it may never end.
func pinHere(path string) (*pin, error) {
	fd, err := vfs.HoldForeign(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	held, err := newPin(fd, path)
	if err == nil {
		held.ours = true
	}
	return held, err
}

// hasResolve reports whether openat2(2) is there and knows the flags, which old kernels and filters of system calls do not.
func hasResolve(flags uint64) bool {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: flags})
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == nil || err == unix.EAGAIN
}

func statHere(path string) (info, error) {
	held, err := pinHere(path)
	if err != nil {
		return info{}, err
	}
	defer held.close()
	return held.info, nil
}

// cachedAt holds the file at the end of a path, if the system knows the whole path already: no
// server is asked for it, and nothing is waited for.
func cachedAt(dir int, path string, resolve uint64) (*pin, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve | resolveCached}
	fd, err := unix.Openat2(dir, path, &how)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return newPin(fd, path)
}

// resolveCached is RESOLVE_CACHED of openat2(2): a path that the system does not know
// already is an error.
const resolveCached = 0x20

func newPin(fd int, called string) (*pin, error) {
	found, err := statAt(fd, "")
	if err != nil {
		_ = unix.Close(fd)
		return nil, &fs.PathError{Op: "stat", Path: called, Err: err}
	}
	return &pin{info: found, fd: fd, name: called}, nil
}

func (p *pin) close() { _ = unix.Close(p.fd) }

// again is the path at which the file that is held can be opened.
func (p *pin) again() string { return "/proc/self/fd/" + strconv.Itoa(p.fd) }

// open opens the file that is held, if it is a regular one. For a lease on what a process has nothing is waited: its user could
// take one again and again.
func (p *pin) open() (*os.File, error) {
	if !p.regular() {
		return nil, &fs.PathError{Op: "open", Path: p.name, Err: vfs.ErrNotRegular}
	}
	open := vfs.OpenNow
	if p.ours {
		open = vfs.OpenFile
	}
	file, _, err := open(p.again(), nil)
	if failure, ok := errors.AsType[*fs.PathError](err); ok {
		failure.Path = p.name // not the way there
	}
	return file, err
}

// memoryDevice is the device that every memory file is on, and nothing that is mounted.
var memoryDevice = sync.OnceValues(func() (uint64, error) {
	fd, err := unix.MemfdCreate("tbctl", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make a memory file: %w", err)
	}
	defer unix.Close(fd)
	found, err := statAt(fd, "")
	return found.dev, err
})

// isMemory reports whether a link of /proc is that of a memory file with the name that
// replicas give theirs. A file of that name, mounted where no file should be, is none.
func isMemory(link string, id inode) bool {
	if !strings.HasPrefix(link, memfdLink) {
		return false
	}
	device, err := memoryDevice()
	return err == nil && id.dev == device
}
