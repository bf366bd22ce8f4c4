package host

import (
	"fmt"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/replica"
)

// DataFileError says that a data file that the operator named could not be read.
type DataFileError struct {
	Name string
	Err  error
}

// Error names the flag that named the file. The cause names the file.
func (e *DataFileError) Error() string { return "--data-file: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DataFileError) Unwrap() error { return e.Err }

// ErrUnsteady says that a session was started so that it would hold a target's lock for as long as the user who started it likes.
var ErrUnsteady = fault.New(fault.Refused, "this session could be made to hold a target for as long as the user who started it likes")

// RememberedError says that a data file which was seen with the target before is there, and
// that what it needs cannot be seen.
type RememberedError struct {
	Name string
	Err  error
}

// Error names the file.
func (e *RememberedError) Error() string {
	return fmt.Sprintf("the data file %q was seen with this target before, and what it needs cannot be seen: %v", e.Name, e.Err)
}

// Unwrap returns the cause.
func (e *RememberedError) Unwrap() error { return e.Err }

// Class is [fault.Refused].
func (e *RememberedError) Class() fault.Class { return fault.Refused }

// StillRunsError says that a replica runs from the target though the operator has said
// that none does.
type StillRunsError struct {
	PID    int
	Unseen string // why it may be one that runs from the target; "": it is
}

// Error names the process.
func (e *StillRunsError) Error() string {
	if e.Unseen != "" {
		return "--stopped, but " + e.Unseen
	}
	return fmt.Sprintf("--stopped, but process %d is a replica that runs from the target", e.PID)
}

// Class is [fault.Refused].
func (e *StillRunsError) Class() fault.Class { return fault.Refused }

// UnknownReleaseError says that which release a replica runs could not be found out.
type UnknownReleaseError struct{ Process replica.Process }

// Error names the process, and what of it could not be read.
func (e *UnknownReleaseError) Error() string {
	what := "is a replica that runs from the target"
	if e.Process.Origin == replica.OriginUnknown {
		what = "may be a replica that runs from the target"
	}
	return fmt.Sprintf("process %d %s, and which release it runs could not be found out%s", e.Process.PID, what, Unreadable(&e.Process))
}

// Class is [fault.Refused].
func (e *UnknownReleaseError) Class() fault.Class { return fault.Refused }

// Unreadable lists what of a process could not be read, each with its reason in
// parentheses and a space before it. It is empty if nothing is.
func Unreadable(process *replica.Process) string {
	text := ""
	for _, unreadable := range process.Unreadable {
		text += " (" + unreadable.What + ": " + unreadable.Reason + ")"
	}
	return text
}
