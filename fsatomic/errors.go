package fsatomic

import (
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/fault"
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
	ErrUnmapped       = errors.New("unknown in this user namespace")
	ErrOldKind        = errors.New("the name for the previous file is taken by something else than a file")
)

// Errors of the operations.
var (
	// ErrBusy is matched by every [BusyError].
	ErrBusy = errors.New("busy")
	// ErrChanged: the target is not what the plan saw. Nothing was replaced.
	ErrChanged = fault.New(fault.Busy, "changed since the plan was made")
	// ErrLockFile: what stands at the lock's name is not a lock file.
	ErrLockFile = errors.New("not a lock file")
	// ErrStateFile: what stands at the state's name may be the work of anybody.
	ErrStateFile = errors.New("not to be believed")
	// ErrInode: every new file, or the previous file, has an inode number that the
	// name of a leftover speaks of, so that a later recovery could confuse them.
	ErrInode = errors.New("no usable inode number")
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
	// ErrClosed: the handle was closed, committed or aborted.
	ErrClosed = errors.New("already closed")
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

// Class is [fault.Refused]: another try ends in the same way.
func (e *AttributeError) Class() fault.Class { return fault.Refused }

// Is reports whether target is [ErrAttribute], or [ErrOwner] for the owner.
func (e *AttributeError) Is(target error) bool {
	return target == ErrAttribute || (target == ErrOwner && e.Attribute == AttributeOwner)
}

// SyncError is a failed fsync. It is never tried again, because the system
// may have forgotten the data that it could not write. Before the new file is at its
// name, what stands there is untouched all the same.
type SyncError struct {
	Path    string // the file or directory
	Swapped bool   // the new file already stands at the target
	Err     error
}

func (e *SyncError) Error() string { return "sync " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SyncError) Unwrap() error { return e.Err }

// Class is [fault.Unknown] where the new file is at its name: it may be gone after a power cut.
func (e *SyncError) Class() fault.Class {
	if e.Swapped {
		return fault.Unknown
	}
	return fault.None
}

// UnknownStateError is a failure at or after the moment in which the new file
// became visible. It says what is certain. Nothing was undone or tried again;
// [Recover] under the next lock finishes what is left.
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
	if e.Previous != "" {
		state += ", the previous file is " + e.Previous
	}
	return fmt.Sprintf("replace %s: %s: %v (%s)", e.Path, e.Step, e.Err, state)
}

// Unwrap returns the cause.
func (e *UnknownStateError) Unwrap() error { return e.Err }

// Class is [fault.Unknown].
func (e *UnknownStateError) Class() fault.Class { return fault.Unknown }

// BusyError says who has the lock. It matches [ErrBusy].
type BusyError struct {
	Path   string // the lock file, or the file itself
	Holder Holder // zero when the holder could not write its name
}

func (e *BusyError) Error() string {
	if e.Holder.PID == 0 {
		return e.Path + ": in use by another process"
	}
	return fmt.Sprintf("%s: in use by %q, process %d on %s since %s", e.Path, e.Holder.Command, e.Holder.PID,
		e.Holder.Host, e.Holder.Start.Format("2006-01-02 15:04:05Z07:00"))
}

// Class is [fault.Busy].
func (e *BusyError) Class() fault.Class { return fault.Busy }

// Is reports whether target is [ErrBusy].
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
