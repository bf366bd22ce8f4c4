package watch

import (
	"slices"

	"github.com/tbctl/tbctl/replica"
)

// tracker knows the replicas as they were at the last look.
type tracker struct{ known []tracked }

// tracked is one replica. While it starts, what it executes and holds changes several times and
// means nothing, so that settled keeps how it was before, nil for one that was not seen before.
type tracked struct {
	process replica.Process
	settled *replica.Process
}

// changes compares what was found with the last look, and keeps it for the next one. Processes
// that are no replicas do not count. One that could not be looked at this time has not ended: it stays as it was last seen.
func (t *tracker) changes(path string, found []replica.Process, unseen []replica.Unseen) []Event {
	var events []Event
	add := func(kind Kind, process replica.Process) {
		events = append(events, Event{Kind: kind, Path: path, Process: &process})
	}
	var known []tracked
	for _, process := range found {
		if !process.Replica {
			continue
		}
		now := tracked{process: process}
		starting := process.State == replica.StateStarting
		index := slices.IndexFunc(t.known, func(old tracked) bool { return same(old.process, process) })
		if index < 0 {
			add(KindReplica, process)
		} else if before := t.known[index]; starting {
			now.settled = before.settled
			if before.process.State != replica.StateStarting || before.process.Settles() != process.Settles() {
				add(KindReplicaStarting, process)
			}
		} else {
			stopped, was := process.State == replica.StateStopped, before.process.State == replica.StateStopped
			switch {
			case stopped && !was:
				add(KindReplicaStopped, process)
			case was && !stopped, before.process.State == replica.StateStarting, before.process.Running.Release != process.Running.Release:
				add(KindReplicaRunning, process)
			}
			if before.settled != nil && !sameArmed(before.settled.Armed, process.Armed) {
				add(KindReplicaArmed, process)
			}
		}
		if !starting {
			now.settled = &process
		}
		known = append(known, now)
	}
	for _, before := range t.known {
		switch {
		case slices.ContainsFunc(known, func(now tracked) bool { return same(now.process, before.process) }):
		case noAnswer(before.process, found, unseen):
			known = append(known, before)
		default:
			add(KindReplicaEnded, before.process)
		}
	}
	t.known = known
	return events
}

// noAnswer reports whether a process that was not found may be one of those that could not be looked at.
func noAnswer(process replica.Process, found []replica.Process, unseen []replica.Unseen) bool {
	if slices.ContainsFunc(found, func(other replica.Process) bool { return other.PID == process.PID }) {
		return false // its pid is another's
	}
	return slices.ContainsFunc(unseen, func(each replica.Unseen) bool {
		return each.Kind == replica.UnseenNoAnswer && (each.PID == process.PID || each.PID == 0)
	})
}

// same reports whether two findings are of one process: a pid alone may have
// been given to another.
func same(a, b replica.Process) bool { return a.PID == b.PID && a.Started.Equal(b.Started) }

func sameArmed(a, b *replica.Armed) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Checksum == b.Checksum && slices.Equal(a.Offered, b.Offered)
}
