package pack

import (
	"fmt"

	"github.com/tbctl/tbctl/fault"
)

// Reason names why a build is refused. It is an error, so that
// errors.Is(err, pack.ReasonSize) tells which it was.
type Reason string

// Error returns the reason's name.
func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	ReasonInput       Reason = "input"         // no current executable, or not exactly one kind of past
	ReasonExecutable  Reason = "executable"    // not an executable that can carry the sections
	ReasonSections    Reason = "has-sections"  // a plain executable was wanted, this is a multiversion binary
	ReasonPlatform    Reason = "platform"      // current and past are for different platforms
	ReasonRelease     Reason = "release"       // a release of 0
	ReasonOrder       Reason = "release-order" // a past release that is not older than the one behind it
	ReasonCommit      Reason = "git-commit"    // no commit, or one where the format wants none
	ReasonClientMin   Reason = "client-min"    // a client minimum that breaks the rules
	ReasonCount       Reason = "past-count"    // more than 63 past releases
	ReasonSize        Reason = "size"          // the result reaches the size limit
	ReasonPastCorrupt Reason = "past-corrupt"  // a checksum of the past binary does not hold
	ReasonChanged     Reason = "input-changed" // an input is not what it was when the build began
	ReasonRead        Reason = "read"          // an input could not be read
)

// RefusalError says why a build is refused. It matches its Reason with
// errors.Is, and its cause, if it has one.
type RefusalError struct {
	Reason Reason `json:"reason"`
	Detail string `json:"detail"`
	Err    error  `json:"-"`
}

// Error says the reason, the detail and the cause.
func (e *RefusalError) Error() string {
	text := "pack: " + string(e.Reason) + ": " + e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is reports whether target is the reason.
func (e *RefusalError) Is(target error) bool {
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// Unwrap returns the cause, or nil.
func (e *RefusalError) Unwrap() error { return e.Err }

// Class is [fault.Rejected], but for an input that could not be read, or changed.
func (e *RefusalError) Class() fault.Class {
	if e.Reason == ReasonRead || e.Reason == ReasonChanged {
		return fault.None
	}
	return fault.Rejected
}

// refuse makes the error of one reason.
func refuse(reason Reason, cause error, detail string, args ...any) error {
	return &RefusalError{Reason: reason, Detail: fmt.Sprintf(detail, args...), Err: cause}
}
