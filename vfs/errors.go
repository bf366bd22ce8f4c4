package vfs

import (
	"errors"
	"fmt"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sizes"
)

// Errors that say why a path does not lead to a place for a file. They come with a path
// and are matched with [errors.Is].
var (
	ErrDangling    = errors.New("symbolic link leads nowhere")
	ErrLinkLoop    = errors.New("too many symbolic links")
	ErrMagicLink   = errors.New("symbolic links lead through another process's files in /proc, or there are too many of them")
	ErrProcessPath = fault.New(fault.Usage, "leads to files as a process sees them, where another path may be theirs here")
	ErrLinkOwner   = errors.New("symbolic link of another user in a sticky directory")
	ErrDirectory   = errors.New("is a directory")
	ErrNotRegular  = errors.New("is not a regular file")
	ErrNoDirectory = errors.New("directory does not exist")
	ErrName        = errors.New("not a usable file name")
	ErrNoCurrent   = errors.New("the current directory was removed")
)

// Errors of the operations.
var (
	// ErrNotSupported: the operating system or file system cannot do it.
	ErrNotSupported = errors.ErrUnsupported
	// ErrReadOnly: nothing can be changed in the file system.
	ErrReadOnly = errors.New("file system is mounted read-only")
	// ErrNoSpace: the disk or the user's quota is full.
	ErrNoSpace = errors.New("not enough free space")
	// ErrNoXattr: the file has no such extended attribute.
	ErrNoXattr = errors.New("no such attribute")
	// ErrLocked: another handle has the lock.
	ErrLocked = errors.New("locked")
	// ErrTooLarge: more than a named maximum.
	ErrTooLarge = errors.New("too large")
	// ErrRace: each time that it was looked at, another process had changed it.
	ErrRace = fault.New(fault.Busy, "another process changes it again and again")
)

const (
	leaseWait  = 3 * time.Second // for a lease to be given back; the system takes it away after 45 s
	leasePause = 5 * time.Millisecond
)

// LeaseError says that another process has a lease on a file and has not given it back when it was asked to. Only the file's owner and root can take one,
// and one who takes it again and again keeps everybody else from opening the file.
type LeaseError struct{ UID int } // the file's owner

func (e *LeaseError) Error() string {
	return fmt.Sprintf("another process has a lease on it and does not give it back; the file belongs to user %d", e.UID)
}

// Class is what it means: see [fault.Of].
func (e *LeaseError) Class() fault.Class { return fault.Busy }

// SpaceError says that less space is free than is needed besides what is kept free. It matches [ErrNoSpace].
type SpaceError struct {
	Path string // the directory
	Need int64  // bytes
	Have int64  // bytes that are free
	Kept int64  // bytes of them that are to be left free
}

func (e *SpaceError) Error() string {
	return sizes.Lacking(e.Path, e.Have, e.Kept, e.Need)
}

// Is reports whether target is [ErrNoSpace].
func (e *SpaceError) Is(target error) bool { return target == ErrNoSpace }
