package fsatomic

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

// Problems that [Target.Check] finds. They come with a path and are matched
// with [errors.Is].
var (
	ErrNoExec         = errors.New("file system is mounted noexec")
	ErrImmutable      = errors.New("immutable or append-only flag is set")
	ErrDirNotWritable = errors.New("directory is not writable for this user")
	ErrSticky         = errors.New("sticky directory: only the owner may replace the file")
	ErrMountPoint     = errors.New("something is mounted on it")
	ErrNoInodes       = errors.New("no free inodes")
	ErrOwner          = errors.New("this user cannot set the owner")
	ErrAttribute      = errors.New("attribute cannot be set")
	ErrSystem         = errors.New("no file can be replaced durably on this system, which has no inode numbers")
	ErrUnmapped       = errors.New("unknown in this user namespace")
	ErrOldKind        = errors.New("the name for the previous file is taken by something else than a file")
	ErrRename         = errors.New("no file can be renamed there")
	ErrDelete         = errors.New("no file can be deleted there, and this one is left")
	ErrKept           = fault.New(fault.Refused, "tbctl keeps it for another target")
	ErrLongName       = fault.New(fault.Refused, "the name is too long")
	ErrStateKind      = errors.New("the name for what is remembered of the target is taken by a directory")
)

// Errors of the operations.
var (
	// ErrChanged: the target is not what the plan saw. Nothing was replaced.
	ErrChanged = fault.New(fault.Busy, "changed since the plan was made")
	// ErrLockFile: what is at the lock's name is not a lock file.
	ErrLockFile = errors.New("not a lock file")
	// ErrStateFile: what is at the state's name may be another user's work.
	ErrStateFile = errors.New("not to be believed")
	// ErrInode: every new file, or the previous file, has an inode number that the
	// name of a leftover has, so that a later recovery could confuse them.
	ErrInode = errors.New("a leftover of an earlier run would be taken for the new file")
	// ErrNotRecovered: [Recover] must have been called under this lock.
	ErrNotRecovered = errors.New("leftovers of earlier runs were not looked at")
	// ErrNoAttributes: [Staged.SetAttributes] must have succeeded after the
	// last write.
	ErrNoAttributes = errors.New("attributes are not set")
	// ErrNoOld: there is no previous file to swap with.
	ErrNoOld = fault.New(fault.Refused, "no previous file")
	// ErrOldOwner: the previous file belongs to another user, who may have put it
	// there.
	ErrOldOwner = errors.New("belongs to another user")
	// ErrLinks: the file has further names, of which nothing is known.
	ErrLinks = errors.New("it has more than one link")
	// ErrSameFile: both names are links to one file.
	ErrSameFile = fault.New(fault.Refused, "is the same file")
)

// Names of attributes that are not extended attributes, in an
// [AttributeError].
const (
	AttributeOwner = "owner"
	AttributeMode  = "mode"
)

// AttributeError names an attribute that cannot be, or was not, carried over.
// It matches [ErrAttribute], and [ErrOwner] when the attribute is the owner.
type AttributeError struct {
	Path      string
	Attribute string // [AttributeOwner], [AttributeMode] or an extended attribute's name
	Err       error
}

func (e *AttributeError) Error() string {
	return fmt.Sprintf("%s: set %s: %v", e.Path, e.Attribute, e.Err)
}

// Unwrap returns the cause.
func (e *AttributeError) Unwrap() error { return e.Err }

// Class is [fault.Refused] where the place, or what this user may do, does not fit the attribute: another try ends in the same
// way. It is [fault.Failed] where the system failed, as a disk does.
func (e *AttributeError) Class() fault.Class {
	for _, failure := range []error{vfs.ErrNoSpace, vfs.ErrReadOnly, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.ENOMEM, syscall.ESTALE} {
		if errors.Is(e.Err, failure) {
			return fault.Failed
		}
	}
	return fault.Refused
}

// Is reports whether target is [ErrAttribute], or [ErrOwner] for the owner.
func (e *AttributeError) Is(target error) bool {
	return target == ErrAttribute || (target == ErrOwner && e.Attribute == AttributeOwner)
}

// ModeError says which mode a file has instead of the one that it was to have. It is the cause of an
// [AttributeError].
type ModeError struct {
	Want, Got vfs.Mode
	Err       error
}

func (e *ModeError) Error() string { return fmt.Sprintf("%v: want %s, got %s", e.Err, e.Want, e.Got) }

// Unwrap returns the cause.
func (e *ModeError) Unwrap() error { return e.Err }

// UnknownStateError is a failure at or after the moment in which the new file
// became visible. It says what is certain. Nothing was undone or tried again;
// the next run under the target's lock finishes what is left.
type UnknownStateError struct {
	Path     string // the target
	Step     string // what failed
	Visible  bool   // the new file was seen at Path; if false it may or may not be there
	Durable  bool   // and it is certain to be there after a power cut
	Previous string // where the previous file was last seen; empty when there is none or it is unknown
	Err      error
}

func (e *UnknownStateError) Error() string {
	state := "it is unknown which file is at the target"
	switch {
	case e.Durable:
		state = "the new file is in place"
	case e.Visible:
		state = "the new file is in place, but may be gone after a power cut"
	}
	why := e.Step + ": " + e.Err.Error()
	if sync, ok := e.Err.(*durable.SyncError); ok && e.Step == stepSync { //nolint:errorlint // not one further inside
		why = "sync of " + sync.Path + ": " + vfs.Cause(sync.Err).Error()
	}
	text := e.Path + ": " + state + ": " + why
	if e.Previous != "" {
		text += "; the previous file is " + e.Previous
	}
	return text
}

// Unwrap returns the cause.
func (e *UnknownStateError) Unwrap() error { return e.Err }

// Class is [fault.Unknown].
func (e *UnknownStateError) Class() fault.Class { return fault.Unknown }
