package replica

import (
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// named is the header of a binary in which a plain executable may be found,
// and what the binary is called.
type named struct {
	name   string
	header *multiversion.Header
}

// runningFromExecutable is for a process that executes a whole multiversion
// binary. It has looked into its data file when both name the same release.
func (p *Process) runningFromExecutable(current multiversion.Release) {
	p.Running = Running{Release: current, Source: SourceExecutable}
	switch {
	case p.Superblock == nil:
		p.Running.Note = "the data file could not be compared: a replica that has just started may be about to execute a past release"
	case p.Superblock.Release != current:
		p.Running.Note = fmt.Sprintf("the data file's last checkpoint was made by %s: the replica is about to change its release", p.Superblock.Release)
	default:
		p.Running.Certain = true
	}
}

// runningFromPack is for a process that executes a plain executable with this
// checksum. A past release's is in the pack, a current one's beside it.
func (p *Process) runningFromPack(sum multiversion.Checksum, headers []named) {
	if release, name, found := findInPacks(sum, headers); found {
		p.Running = Running{Release: release, Source: SourcePack, Certain: true, Note: "found in " + name}
	}
}

// findInPacks returns the release of a plain executable and what the binary is called that
// it is in.
func findInPacks(sum multiversion.Checksum, headers []named) (multiversion.Release, string, bool) {
	for _, binary := range headers {
		for _, past := range binary.header.Past {
			if past.Checksum == sum {
				return past.Release, binary.name, true
			}
		}
		if binary.header.Current.Checksum == sum {
			return binary.header.Current.Release, binary.name, true
		}
	}
	return 0, "", false
}

// runningFromDataFile is for a process whose executable says nothing.
func (p *Process) runningFromDataFile() {
	if p.Superblock == nil {
		p.Running.Note = "neither the executable nor the data file tells"
		return
	}
	p.Running = Running{Release: p.Superblock.Release, Source: SourceDataFile,
		Note: "the executable is in no known pack; this release made the data file's last checkpoint"}
}

// offer fills in what the replica offers of the binary that it is armed with. One that
// starts offers nothing yet.
func (p *Process) offer(headers []named) {
	if p.Armed == nil || p.Running.Release == 0 || p.State == StateStarting {
		return
	}
	for _, binary := range headers {
		if binary.header.ChecksumBinary == p.Armed.Checksum {
			p.Armed.Offered = binary.header.Advertisable(p.Running.Release)
			return
		}
	}
}

// MayExecute is a [*vfs.DeniedError] if the process's user may not read or not execute a file at the target, or not reach
// it. Nil is also where it cannot be seen from here.
func (p *Process) MayExecute(file vfs.Guarded) error {
	switch {
	case p.as == nil:
		return nil
	case p.denied != nil && p.denied.Right == vfs.RightSearch:
		return p.denied
	}
	if denied, ok := errors.AsType[*vfs.DeniedError](p.as.MayExecute(file)); ok {
		return denied
	}
	return nil
}

// Hindrance says in one word why a replica does not take a new binary by itself.
type Hindrance string

// The hindrances.
const (
	HindranceNone      Hindrance = ""
	HindranceNoPolling Hindrance = "no-polling"
	HindranceOtherFile Hindrance = "other-file"
	HindranceStopped   Hindrance = "stopped"
)

// Hindrance says why the replica does not take the file at the target by itself, in one
// word and in a sentence about it.
func (p *Process) Hindrance() (Hindrance, string) {
	const mountDirectory = ": mount the directory, not the file; it takes the new one when its container is started again"
	switch {
	case p.LooksAt != "":
		return HindranceOtherFile, fmt.Sprintf("it was started as %q, and looks for a new binary there alone: it never sees what takes the target's place; start it by the target's path", p.LooksAt)
	case p.Sees == SeesOther:
		return HindranceOtherFile, "the process sees another file at that path" + mountDirectory
	case p.Sees == SeesNothing:
		return HindranceOtherFile, "the process sees no file at that path" + mountDirectory
	case !p.Polls:
		return HindranceNoPolling, "it does not look for new binaries (" + p.NoPolling + "): it takes the file when it is restarted"
	case p.Stopped:
		return HindranceStopped, "it is " + p.StoppedText() + ": it looks for a new binary only after it is continued"
	}
	return HindranceNone, ""
}
