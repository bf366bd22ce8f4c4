package install

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// ErrNothingInstalled says that there is no file at the target to go back from.
var ErrNothingInstalled = fault.New(fault.Refused, "nothing is installed")

// ErrNotBinary says that what stands at the target is no executable at all.
var ErrNotBinary = fault.New(fault.Refused, "not a binary")

// ErrTooLarge says that the new file is larger than any binary. Nothing was fetched.
var ErrTooLarge = fault.New(fault.Rejected, "too large")

// ErrNotUTF8 says that the target's path cannot be written down as it is.
var ErrNotUTF8 = fault.New(fault.Usage, "the path is not UTF-8")

// PlanError lists what hinders an operation, found before anything was fetched
// or changed. Its errors are those of [fsatomic.Target.Check].
type PlanError struct {
	Target   string
	Problems []error
}

// Error joins the problems.
func (e *PlanError) Error() string {
	texts := make([]string, len(e.Problems))
	for index, problem := range e.Problems {
		texts[index] = problem.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the problems.
func (e *PlanError) Unwrap() []error { return e.Problems }

// Class is [fault.Refused] if nothing can be done about any of the problems in that place, as with
// attributes; otherwise [fault.Failed].
func (e *PlanError) Class() fault.Class {
	for _, problem := range e.Problems {
		if fault.Of(problem) != fault.Refused {
			return fault.Failed
		}
	}
	return fault.Refused
}

// UnknownFenceError says that the state beside the target cannot be read, or is not to be believed, so that it cannot be
// known whether a rollout holds the target. Nothing was changed.
type UnknownFenceError struct {
	Target  string
	State   *StateError
	Writers vfs.Writers // who else can have written the state
}

// Error says why the state does not count.
func (e *UnknownFenceError) Error() string {
	return "whether a rollout holds " + e.Target + " cannot be known: " + e.State.Error()
}

// Unwrap returns the error of the state.
func (e *UnknownFenceError) Unwrap() error { return e.State }

// Class is [fault.Refused], unless the cause says another: nobody was seen to hold the target, so that there is nobody to
// wait for, and another try finds the same.
func (e *UnknownFenceError) Class() fault.Class {
	if class := fault.Of(e.State); class != fault.Failed {
		return class
	}
	return fault.Refused
}

// ErrNotBack says that there is no rollback to go forward again from.
var ErrNotBack = fault.New(fault.Refused, "not rolled back")

// ErrOtherOld says that the previous file is not the one that was displaced.
var ErrOtherOld = fault.New(fault.Rejected, "not the file that was displaced")

// ErrUnvouched says that the previous file would get rights, and may be the work of a user who has them not.
var ErrUnvouched = errors.New("nothing vouches for it")

// HearsayError is why a rollback is refused whose only evidence is a data file that others than root may have named.
type HearsayError struct{ DataFile string }

// Error says it.
func (e *HearsayError) Error() string { return "nothing but " + e.DataFile + " says what is needed" }

// ErrNotExecutable says that the previous file is not executable by its owner.
var ErrNotExecutable = fault.New(fault.Refused, "not executable")

// RejectedError says that the new file is not whole or is not what was asked
// for. The target is untouched.
type RejectedError struct {
	Source string
	Reason string
	// Kind is what the file is, where it is no multiversion binary; otherwise zero.
	Kind inspect.Kind

	Report *verify.Report // nil if the file was not looked into
	Err    error          // the cause, if it was rejected while it was fetched
}

// Error says what is wrong with the file.
func (e *RejectedError) Error() string { return e.Source + ": " + e.Reason }

// Unwrap returns the cause, or nil.
func (e *RejectedError) Unwrap() error { return e.Err }

// Class is [fault.Rejected].
func (e *RejectedError) Class() fault.Class { return fault.Rejected }

// RefusedError says that the new file is whole but does not fit what is
// installed, what runs, or this host. The target is untouched.
type RefusedError struct {
	Target string // or, with ErrNotBinary, the place of the previous file
	Reason string

	// Plain is whether the installed file's release is not known because it is
	// no multiversion binary.
	Plain bool

	Report *verify.ReplaceReport // nil if nothing was compared
	Err    error                 // the cause, or nil
}

// Error says why the file does not fit.
func (e *RefusedError) Error() string { return e.Target + ": " + e.Reason }

// Unwrap returns the cause, or nil.
func (e *RefusedError) Unwrap() error { return e.Err }

// Class is [fault.Refused].
func (e *RefusedError) Class() fault.Class { return fault.Refused }

// ReadBackError says that the file at the target is not the one that was
// committed, or could not be read: somebody else changed it, or the disk did.
type ReadBackError struct {
	Target string
	Want   string // SHA-256
	Found  string // SHA-256, or empty
	Err    error  // why it could not be read, or nil
}

// Error says what was read.
func (e *ReadBackError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("read %s back: %s", e.Target, onPath(e.Target, e.Err))
	}
	return fmt.Sprintf("read %s back: its sha256 is %s, want %s", e.Target, e.Found, e.Want)
}

// Unwrap returns the cause.
func (e *ReadBackError) Unwrap() error { return e.Err }

// Class is [fault.Unknown].
func (e *ReadBackError) Class() fault.Class { return fault.Unknown }

// onPath is what an error says besides the path, which is named before it.
func onPath(path string, err error) string {
	if about, ok := err.(*fs.PathError); ok && about.Path == path { //nolint:errorlint // not one further inside
		return onPath(path, about.Err)
	}
	if sync, ok := err.(*durable.SyncError); ok && sync.Path == path { //nolint:errorlint // not one further inside
		return "sync: " + vfs.Cause(sync.Err).Error()
	}
	return err.Error()
}
