package host

import (
	"slices"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
)

// saidMax is how many processes of strangers are told of one by one: there may be thousands.
const saidMax = 3

// Stranger is a process of a user whom nothing is believed, and a release that the next
// binary must hold because the process was started with it from the target.
type Stranger struct {
	PID     int
	Release multiversion.Release
}

// stranger adds the needs of a stranger's replica: only those releases that the target or
// the file beside it holds, since it cannot have been started with another. What it does not tell is
// no error, and it does not speak against the operator's word that none of his replicas runs.
func (r *Report) stranger(process *replica.Process, query Query) {
	who, running := process.Who(), process.Running.Release
	switch {
	case process.Origin == replica.OriginUnknown:
		r.Unseen = append(r.Unseen, replica.Unseen{
			Kind: replica.UnseenForbidden, PID: process.PID, Reason: who + " says that it runs from the target, and may not be looked into",
		})
		return
	case query.Stopped:
		r.say("%s runs from the target, and is left out: if it is a replica of yours, stop it first", who)
		return
	case running == 0:
		r.say("%s runs from the target, and which release it runs could not be found out%s: it is left out", who, Unreadable(process))
		return
	case !slices.Contains(r.held, running):
		r.say("%s runs %s, which neither the target nor the file beside it holds: it is left out", who, running)
		return
	}
	need := verify.Need{Release: running, Why: verify.NeedRunning, Source: who}
	if process.Armed != nil {
		need.Armed = slices.DeleteFunc(slices.Clone(process.Armed.Offered), func(release multiversion.Release) bool { return !slices.Contains(r.held, release) })
	}
	r.strange(process, need)
	switch data := process.Superblock; {
	case data == nil:
	case slices.Contains(r.held, data.Release):
		r.strange(process, verify.Need{Release: data.Release, Why: verify.NeedData, Source: process.DataFile + " of " + who})
	default:
		r.say("%s has a data file of release %s, which neither the target nor the file beside it holds: that is left out", who, data.Release)
	}
}

// strange adds a need of a stranger's, unless another stranger has the same.
func (r *Report) strange(process *replica.Process, need verify.Need) {
	r.Strangers = append(r.Strangers, Stranger{PID: process.PID, Release: need.Release})
	for index := range r.Needs {
		if known := &r.Needs[index]; known.Release == need.Release && known.Why == need.Why && r.strangers[index] {
			known.Armed = slices.Concat(known.Armed, need.Armed)
			slices.Sort(known.Armed)
			known.Armed = slices.Compact(known.Armed)
			return
		}
	}
	r.strangers[len(r.Needs)] = true
	r.Needs = append(r.Needs, need)
}

// say warns of a stranger's process, if not too many have been told of.
func (r *Report) say(format string, args ...any) {
	if r.said++; r.said <= saidMax {
		r.warn(format, args...)
	}
}

// more tells how many processes have not been told of.
func (r *Report) more() {
	if more := r.said - saidMax; more > 0 {
		r.warn("%d more processes of such users are left out", more)
	}
}
