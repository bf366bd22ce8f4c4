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
// may have forgotten the data that it could not write. What is at the name is untouched.
type SyncError struct {
	Path string // the file or directory
	Err  error
}

func (e *SyncError) Error() string { return "sync " + e.Path + ": " + vfs.Cause(e.Err).Error() }

// Unwrap returns the cause.
func (e *SyncError) Unwrap() error { return e.Err }

// UnsureError is a failure at or after the moment in which an ordinary file became visible at its name. Nothing was undone
// or tried again. It is an error like others: no target depends on it, and writing the file once more settles it.
type UnsureError struct {
	Path    string
	Visible bool // it was seen at Path, and may be gone after a power cut; if false it may or may not be there
	Err     error
}

func (e *UnsureError) Error() string {
	state := "whether the file is there is not known"
	if e.Visible {
		state = "the file is in place, but may be gone after a power cut"
	}
	return fmt.Sprintf("%s: %s: %v", e.Path, state, e.Err)
}

// Unwrap returns the cause.
func (e *UnsureError) Unwrap() error { return e.Err }

// BusyError says who has the lock. It matches [ErrBusy].
type BusyError struct {
	Path   string // the lock file, or the file itself
	Holder Holder // zero when the holder could not write its name
}

func (e *BusyError) Error() string {
	if e.Holder.PID == 0 {
		return e.Path + ": in use by another process"
	}
	return e.Path + ": in use by " + e.Holder.String()
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

// String says which command that is, where it runs, and since when.
func (h Holder) String() string {
	if h.PID == 0 {
		return "which one is not known"
	}
	return fmt.Sprintf("%q, process %d on %s since %s", h.Command, h.PID, h.Host, h.Start.UTC().Format(time.RFC3339))
}
