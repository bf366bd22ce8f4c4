package durable

import (
	"errors"
	"fmt"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

// ErrBusy is matched by every [BusyError].
var ErrBusy = errors.New("busy")

// SyncError is a failed fsync. It is never tried again, because the system
// may have forgotten the data that it could not write. Before the new file is at its
// name, what is there is untouched all the same.
type SyncError struct {
	Path    string // the file or directory
	Swapped bool   // the new file is already at its name
	Err     error
}

func (e *SyncError) Error() string { return "sync " + e.Path + ": " + vfs.Cause(e.Err).Error() }

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
// The next run under the target's lock finishes what is left.
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

// Holder is who has a lock, as the lock file says.
type Holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Host    string    `json:"host"`
	Start   time.Time `json:"start"`
}
