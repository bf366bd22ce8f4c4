package vfs

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// FS is the file system that tbctl works on: [OS] in production, the
// in-memory one of package memfs in tests of crashes and faults. Errors of an
// FS wrap the sentinels of package io/fs (ErrExist, ErrNotExist,
// ErrPermission) and, for what a file system cannot do, [ErrNotSupported].
type FS interface {
	// OpenDir opens a directory, following symbolic links. All changes go
	// through the handle, so that a directory renamed meanwhile stays the one
	// that was looked at.
	OpenDir(name string) (Dir, error)
	// RealPath returns the absolute path of an existing directory, without
	// symbolic links. A link in a sticky directory that every user may write
	// that belongs neither to this process nor to the directory's owner is
	// [ErrLinkOwner], whatever the system's own setting; one of /proc to the files of a process
	// is [ErrMagicLink]: its text is their path as that process sees it, and here another file may have that.
	RealPath(name string) (string, error)
	// Self returns who the process is and what it may do.
	Self() Self
}

// Dir is an open directory. Names are single path elements in it; none of the
// methods follows a symbolic link.
type Dir interface {
	// Lstat describes an entry; "." is the directory itself.
	Lstat(name string) (Info, error)
	// Readlink returns the text of a symbolic link, but of one of /proc to the files of a process [ErrMagicLink].
	Readlink(name string) (string, error)
	// Open opens a file for reading. It does not block on a FIFO.
	Open(name string) (File, error)
	// OpenAppend opens an existing file for reading and for writing at its end.
	OpenAppend(name string) (File, error)
	// Create creates a file that must not exist and opens it for reading and
	// for writing at its end. The umask may take bits away from mode.
	Create(name string, mode Mode) (File, error)
	// CreateUnnamed creates a file that has no name and is gone when it is closed,
	// open like one that Create made. The umask may take bits away from mode.
	CreateUnnamed(mode Mode) (File, error)
	// Clone creates name, which must not exist, as a file that shares the
	// contents of source. Owner and mode are those of a new file with mode
	// 0600, unless the system copies them.
	Clone(source File, name string) (File, error)
	// Mkdir creates a directory that must not exist.
	Mkdir(name string, mode Mode) error
	// Rename renames from to to, replacing a file there. When both are links to
	// one file it does nothing, as rename(2) does.
	Rename(from, to string) error
	// RenameNoReplace renames from to to, which must not exist.
	RenameNoReplace(from, to string) error
	// Exchange swaps two existing entries in one step.
	Exchange(a, b string) error
	// Link makes another link to a file. The new name must not exist.
	Link(from, to string) error
	// Remove removes a file or a link, not a directory.
	Remove(name string) error
	// List returns the sorted names that start with prefix, at most limit.
	List(prefix string, limit int) ([]string, error)
	// Chmod sets the directory's own mode.
	Chmod(mode Mode) error
	// Up opens the directory above, of the root the root: not the one that a path names, but the one that this is in.
	Up() (Dir, error)
	// Access returns an error unless this process may make and remove entries.
	Access() error
	// Volume describes the mounted file system.
	Volume() (Volume, error)
	// Sync makes all earlier changes of entries durable.
	Sync() error
	// Close releases the handle.
	Close() error
}

// File is an open file.
type File interface {
	io.Writer
	io.ReaderAt
	// Truncate sets the size in bytes.
	Truncate(size int64) error
	// Allocate reserves space for size bytes, without changing the file's size.
	Allocate(size int64) error
	// Chown sets owner and group; -1 leaves one as it is.
	Chown(uid, gid int) error
	// Chmod sets the mode exactly, whatever the umask.
	Chmod(mode Mode) error
	// Xattrs returns the sorted names of the extended attributes.
	Xattrs() ([]string, error)
	// Xattr returns an extended attribute; [ErrNoXattr] when there is none.
	Xattr(name string) ([]byte, error)
	// SetXattr creates or replaces an extended attribute.
	SetXattr(name string, value []byte) error
	// RemoveXattr removes an extended attribute; [ErrNoXattr] when there is none.
	RemoveXattr(name string) error
	// Stat describes the open file, wherever its name went.
	Stat() (Info, error)
	// TryLock takes the exclusive lock on the open file, which other handles
	// respect, or returns [ErrLocked]. The lock goes with the handle, also when
	// the process dies.
	TryLock() error
	// Unlock gives the lock back.
	Unlock() error
	// Mark marks one byte, which may be after the end; other handles may mark it too. The mark goes
	// with the handle, also when the process dies, and has nothing to do with TryLock.
	// [ErrNotSupported] elsewhere than on Linux.
	Mark(offset int64) error
	// Marked says whether another handle has marked a byte. It takes no lock.
	Marked(offset int64) (bool, error)
	// WriteBack asks the system to begin to write size bytes at offset to the device. Nothing
	// depends on it, and an error of the device is left for Sync to find.
	WriteBack(offset, size int64)
	// DropCache asks the system to read the contents from the device next time.
	// Nothing depends on it.
	DropCache()
	// Sync makes contents and attributes durable.
	Sync() error
	// Close releases the handle.
	Close() error
}

// Kind is what an entry of a directory is.
type Kind string

// The kinds of entries.
const (
	KindFile      Kind = "file"
	KindDirectory Kind = "directory"
	KindSymlink   Kind = "symlink"
	KindDevice    Kind = "device"
	KindPipe      Kind = "pipe"
	KindSocket    Kind = "socket"
	KindOther     Kind = "other"
)

// Mode holds the twelve permission bits of a file: rwx for owner, group and
// others, setuid (04000), setgid (02000) and sticky (01000). Its text form is
// octal.
type Mode uint32

// ModeMax has every bit of a [Mode].
const ModeMax Mode = 0o7777

// String returns four octal digits.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. On error m is unchanged.
func (m *Mode) UnmarshalText(text []byte) error {
	number, err := strconv.ParseUint(string(text), 8, 12)
	if err != nil {
		return fmt.Errorf("file mode %.16q: want octal digits up to %s", text, ModeMax)
	}
	*m = Mode(number)
	return nil
}

// Info describes an entry of a directory. Windows knows no owner, no link
// count, no change time and no numbers of device and inode: they are zero
// there.
type Info struct {
	Kind       Kind      `json:"kind"`
	Size       int64     `json:"size"` // bytes
	Mode       Mode      `json:"mode"`
	UID        int       `json:"uid"`
	GID        int       `json:"gid"`
	Links      uint64    `json:"links"` // hard links to the file
	Device     uint64    `json:"device"`
	Inode      uint64    `json:"inode"`
	Modified   time.Time `json:"modified"`
	Changed    time.Time `json:"changed"` // inode change time
	Immutable  bool      `json:"immutable,omitempty"`
	AppendOnly bool      `json:"append_only,omitempty"`
	MountPoint bool      `json:"mount_point,omitempty"` // something is mounted on this entry
}

// SameFile reports whether both are links to one inode. What has no inode
// number is the same file as nothing.
func (i Info) SameFile(other Info) bool {
	return i.Inode != 0 && i.Device == other.Device && i.Inode == other.Inode
}

// Unchanged reports whether other shows the same inode with nothing changed
// but its access time: what a replica that watches its binary looks at.
func (i Info) Unchanged(other Info) bool {
	return i.SameContents(other) && i.Links == other.Links && i.Changed.Equal(other.Changed)
}

// SameContents is Unchanged without the link count and the change time, which
// a new link to the file alters.
func (i Info) SameContents(other Info) bool {
	return i.SameFile(other) && i.Alike(other)
}

// Alike is SameContents whatever the inode numbers are.
func (i Info) Alike(other Info) bool {
	return i.Kind == other.Kind && i.Size == other.Size && i.Mode == other.Mode &&
		i.UID == other.UID && i.GID == other.GID && i.Modified.Equal(other.Modified)
}

// Volume describes a mounted file system.
type Volume struct {
	FreeBytes  int64 `json:"free_bytes"`  // for an unprivileged user
	FreeInodes int64 `json:"free_inodes"` // -1: the file system has no limit
	ReadOnly   bool  `json:"read_only"`
	NoExec     bool  `json:"no_exec"`
	NoSUID     bool  `json:"no_suid"` // setuid bits and file capabilities have no effect
	Xattrs     bool  `json:"xattrs"`  // extended attributes exist here
}

// Self is who this process is and what it may do to files.
type Self struct {
	UID    int   `json:"uid"` // effective
	GID    int   `json:"gid"` // effective
	Groups []int `json:"groups"`

	Chown    bool `json:"chown"`     // may give files away (CAP_CHOWN)
	AnyFile  bool `json:"any_file"`  // may act on files of others (CAP_FOWNER)
	SetFCaps bool `json:"set_fcaps"` // may set file capabilities (CAP_SETFCAP)
	Security bool `json:"security"`  // may set security attributes (CAP_SYS_ADMIN, or a security module decides)

	// Users and UserGroups are those that exist in this process's user namespace. The
	// rights above end at files of others.
	Users      IDMap `json:"-"`
	UserGroups IDMap `json:"-"`
}

// XattrSizeMax is the most bytes of an extended attribute's value, the kernel's own limit.
const XattrSizeMax = 64 << 10

// InGroup reports whether the process is a member of the group.
func (s Self) InGroup(gid int) bool {
	if gid == s.GID {
		return true
	}
	for _, group := range s.Groups {
		if gid == group {
			return true
		}
	}
	return false
}

// MayAct reports whether the process may change the attributes of a file.
func (s Self) MayAct(uid, gid int) bool {
	return s.UID == uid || s.AnyFile && s.Users.Has(uid) && s.UserGroups.Has(gid)
}

// IDMap says which users, or groups, exist in a user namespace, such as that of a
// container. In the zero value all do.
type IDMap struct {
	Ranges []IDRange // nil: all

	// Nobody is the number that the files of users show who do not exist here.
	Nobody int
}

// IDRange are the numbers from First to Last.
type IDRange struct{ First, Last int }

// Has reports whether a user or group exists.
func (m IDMap) Has(id int) bool {
	if m.Ranges == nil {
		return true
	}
	for _, r := range m.Ranges {
		if r.First <= id && id <= r.Last {
			return true
		}
	}
	return false
}

// Hides reports whether a file that shows this number may belong to one that does not exist here.
func (m IDMap) Hides(id int) bool { return m.Ranges != nil && id == m.Nobody }
