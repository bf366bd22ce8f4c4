package datafile

import (
	"fmt"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// Why a file has no superblock to go by. ErrNoCopy and ErrFileKind say that it
// is likely not a data file; with the others it is one that a replica would refuse.
var (
	ErrNoCopy       = fault.New(fault.Refused, "no valid copy of a superblock")
	ErrNoQuorum     = fault.New(fault.Refused, "no two copies of the superblock agree")
	ErrFork         = fault.New(fault.Refused, "two superblocks with the same sequence")
	ErrSkipped      = fault.New(fault.Refused, "a copy is ahead of the others by more than one sequence")
	ErrDisconnected = fault.New(fault.Refused, "the superblock does not follow from the one before it")
	ErrNoRelease    = fault.New(fault.Refused, "the superblock names no release")
	ErrDevelopment  = fault.New(fault.Refused, "data file of a development build")
	ErrFileKind     = fault.New(fault.Refused, "neither a regular file nor a block device")
)

// QuorumError says that the four copies do not make a superblock. It matches
// its Reason, one of ErrNoCopy, ErrNoQuorum, ErrFork, ErrSkipped and ErrDisconnected.
type QuorumError struct {
	Reason error
	Copies [CopiesCount]CopyState
}

// Error says the reason, and the state of each copy where they differ in more than their checksums.
func (e *QuorumError) Error() string {
	if e.Reason == ErrNoCopy { //nolint:errorlint // a reason is one of those
		return fmt.Sprintf("%v: the first of %d: %s", e.Reason, len(e.Copies), e.Copies[0].Problem)
	}
	text := e.Reason.Error() + ":"
	for index, state := range e.Copies {
		if index > 0 {
			text += ","
		}
		if state.Valid {
			text += fmt.Sprintf(" copy %d: sequence %d", index, state.Sequence)
		} else {
			text += fmt.Sprintf(" copy %d: %s", index, state.Problem)
		}
	}
	return text
}

// Unwrap returns the reason.
func (e *QuorumError) Unwrap() error { return e.Reason }

// VersionError says that the superblock has a layout in which the place of the
// checkpoint's release is not known. It matches ErrDevelopment if the version is 0.
type VersionError struct {
	Version       uint16
	ReleaseFormat multiversion.Release
}

// Error names the version.
func (e *VersionError) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("%v: superblock version 0", ErrDevelopment)
	}
	return fmt.Sprintf("superblock version %d (formatted by release %s), want 1 or 2: a newer tbctl may read it", e.Version, e.ReleaseFormat)
}

// Class is [fault.Refused]: which release the data needs cannot be told.
func (e *VersionError) Class() fault.Class { return fault.Refused }

// Is reports whether target is ErrDevelopment and the version 0.
func (e *VersionError) Is(target error) bool { return target == ErrDevelopment && e.Version == 0 }
