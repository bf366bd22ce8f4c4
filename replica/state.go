package replica

import (
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

// State says how far a replica is. What it executes says little: the newest release always
// starts, and looks into the data file for the one to run; and a release that is the right
// one opens the data file for seconds, in which nobody is served.
type State string

// The states.
const (
	StateStarting State = "starting" // it is about to execute another release, or opens its data file
	StateRunning  State = "running"  // it has settled on its release, and listens
	StateStopped  State = "stopped"  // by a signal or a debugger, or frozen with its control group: it does nothing until it is continued
	StateUnknown  State = "unknown"  // whether it listens cannot be seen
)

// judge says how far the replica is. Seen is whether its sockets could be looked at, and
// memory when its memory file was written last, which is while it starts.
func (p *Process) judge(seen bool, memory time.Time) {
	switch {
	case p.changing() || seen && len(p.Listens) == 0:
		p.State = StateStarting
	case p.Stopped:
		p.State = StateStopped
		return
	case seen:
		p.State = StateRunning
		return
	default:
		p.State = StateUnknown
		return
	}
	switch {
	case !memory.IsZero():
		p.StartingSince = memory
	case p.Origin != OriginMemory: // one in memory has run before as something else
		p.StartingSince = p.Started
	}
}

// StoppedText says by what a stopped process is stopped.
func (p *Process) StoppedText() string {
	if p.Frozen {
		return "frozen with its control group, as by docker pause or systemctl freeze"
	}
	return "stopped by a signal"
}

// changing reports whether the process executes another release than its data file asks for.
func (p *Process) changing() bool {
	executes := p.Running.Source == SourceExecutable || p.Running.Source == SourcePack
	return executes && p.Superblock != nil && p.Running.Release != p.Superblock.Release
}

// Settles returns the release that a replica runs, or will once it has started: the one
// of its data file. It is 0 if that is not known.
func (p *Process) Settles() multiversion.Release {
	if p.State != StateStarting {
		return p.Running.Release
	}
	if p.Superblock != nil {
		return p.Superblock.Release
	}
	return 0
}
