package replica

import (
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/multiversion"
)

// Why says why a binary must hold a release.
type Why string

// The reasons. A replica refuses a file that lacks what it runs, or
// what it offered at or above that; a replica that starts stops at
// once without the release of its data file's last checkpoint.
const (
	WhyRunning Why = "running"
	WhyDurable Why = "durable"
	WhyOffered Why = "offered"
)

// Need is one release that the next binary must hold.
type Need struct {
	Release multiversion.Release `json:"release"`
	Why     Why                  `json:"why"`
	Source  string               `json:"source"` // what says so, for people: a process, a data file, the operator

	// Running is the release that runs where Release is offered: the binary
	// must offer Release when seen from there, not only hold it.
	Running multiversion.Release `json:"running,omitzero"`
}

// Unknown is a process or data file whose needs could not be found out.
type Unknown struct {
	PID    int    `json:"pid,omitzero"`
	Source string `json:"source"`
	Reason string `json:"reason"`
}

// DataFile is a data file that was named or found apart from processes.
type DataFile struct {
	Path    string               `json:"path"`
	Release multiversion.Release `json:"release"` // of the last checkpoint
}

// Requirements is what the replicas and data files of a host ask of the next binary.
type Requirements struct {
	Running []Need `json:"running"`
	Durable []Need `json:"durable"`
	Offered []Need `json:"offered"`

	// Unknown must be settled by the operator, who can name the running release.
	Unknown []Unknown `json:"unknown"`

	// Restart has the replicas that do not look for a new binary by themselves.
	Restart []int `json:"restart"`
}

// Require gathers what the next binary must hold: the release that each
// replica runs and those that it has offered at or above it, the release of each
// data file, and the running releases that the operator named. Processes that are
// no replicas ask for nothing. A named release stands for every process
// whose own is not known, so that these are not in Unknown.
func Require(processes []Process, files []DataFile, named []multiversion.Release) Requirements {
	required := Requirements{Running: []Need{}, Durable: []Need{}, Offered: []Need{}, Unknown: []Unknown{}, Restart: []int{}}
	for _, release := range named {
		required.Running = add(required.Running, Need{Release: release, Why: WhyRunning, Source: "named by the operator"})
	}
	for index := range processes {
		if process := &processes[index]; process.Replica {
			required.process(process, len(named) > 0)
		}
	}
	for _, file := range files {
		required.Durable = add(required.Durable, Need{Release: file.Release, Why: WhyDurable, Source: "data file " + file.Path})
	}
	return required
}

func (r *Requirements) process(process *Process, named bool) {
	source := fmt.Sprintf("process %d", process.PID)
	running := process.Running.Release
	if running != 0 {
		r.Running = add(r.Running, Need{Release: running, Why: WhyRunning, Source: source})
	} else if !named {
		r.Unknown = append(r.Unknown, Unknown{PID: process.PID, Source: source, Reason: "running release not known" + reasons(process)})
	}
	if process.Superblock != nil {
		r.Durable = add(r.Durable, Need{Release: process.Superblock.Release, Why: WhyDurable,
			Source: fmt.Sprintf("data file %s of process %d", process.DataFile, process.PID)})
	} else if running != 0 && !named {
		r.Unknown = append(r.Unknown, Unknown{PID: process.PID, Source: source, Reason: "release of the data file not known" + reasons(process)})
	}
	if process.Armed != nil {
		for _, release := range process.Armed.Offered {
			if release >= running {
				r.Offered = add(r.Offered, Need{Release: release, Why: WhyOffered, Source: source, Running: running})
			}
		}
	}
	if process.Replica && !process.Polls {
		r.Restart = append(r.Restart, process.PID)
	}
}

func reasons(process *Process) string {
	var text string
	for _, unreadable := range process.Unreadable {
		text += "; " + unreadable.What + ": " + unreadable.Reason
	}
	return text
}

// add appends a need unless it is there.
func add(needs []Need, need Need) []Need {
	if slices.Contains(needs, need) {
		return needs
	}
	return append(needs, need)
}

// All returns every need: running, durable, offered.
func (r *Requirements) All() []Need { return slices.Concat(r.Running, r.Durable, r.Offered) }

// Missing returns the needs that a binary with this header does not meet, and nil if
// it meets all that are known. An empty Unknown is a condition of its own.
func (r *Requirements) Missing(header *multiversion.Header) []Need {
	var missing []Need
	for _, need := range r.All() {
		met := header.Contains(need.Release)
		if need.Why == WhyOffered && need.Running != 0 {
			met = slices.Contains(header.Advertisable(need.Running), need.Release)
		}
		if !met {
			missing = append(missing, need)
		}
	}
	return missing
}

// OfferedAbove returns what is offered that is newer than the release. A file
// without it must not be put back while the replica runs: armed, the replica
// refuses it, upgrades with the cluster all the same, and does not start again.
func (r *Requirements) OfferedAbove(release multiversion.Release) []Need {
	var newer []Need
	for _, need := range r.Offered {
		if need.Release > release {
			newer = append(newer, need)
		}
	}
	return newer
}
