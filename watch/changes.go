package watch

import (
	"slices"

	"github.com/tbctl/tbctl/replica"
)

// changes compares two findings. Processes that are no replicas do not count.
func changes(path string, before, after []replica.Process) []Event {
	var events []Event
	add := func(kind Kind, process replica.Process) {
		events = append(events, Event{Kind: kind, Path: path, Process: &process})
	}
	for _, process := range after {
		if !process.Replica {
			continue
		}
		index := slices.IndexFunc(before, func(old replica.Process) bool { return same(old, process) })
		if index < 0 {
			add(KindReplica, process)
			continue
		}
		if before[index].Running.Release != process.Running.Release {
			add(KindReplicaRunning, process)
		}
		if !sameArmed(before[index].Armed, process.Armed) {
			add(KindReplicaArmed, process)
		}
	}
	for _, process := range before {
		if process.Replica && !slices.ContainsFunc(after, func(now replica.Process) bool { return same(now, process) }) {
			add(KindReplicaEnded, process)
		}
	}
	return events
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
