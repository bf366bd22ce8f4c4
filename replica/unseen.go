package replica

import (
	"fmt"
	"strings"
)

// UnseenKind says in one word why replicas may be there that were not seen.
type UnseenKind string

// The kinds.
const (
	UnseenHidden    UnseenKind = "hidden"        // /proc does not show other users' processes
	UnseenNamespace UnseenKind = "pid-namespace" // /proc shows only the processes of a container
	UnseenNoProc    UnseenKind = "no-proc"       // there is no /proc
	UnseenForbidden UnseenKind = "forbidden"     // a process may not be looked into
	UnseenNoAnswer  UnseenKind = "no-answer"     // a process could not be looked at in time
	UnseenElsewhere UnseenKind = "elsewhere"     // a replica runs from another path, and may be the target's
)

// Unseen is a reason why replicas may be there that were not seen.
type Unseen struct {
	Kind   UnseenKind `json:"kind"`
	Reason string     `json:"reason"`
	PID    int        `json:"pid,omitempty"` // of the process that it is about
}

// unseenMax is how many processes of a kind are told of one by one.
const unseenMax = 5

// summarize tells of the first processes of a kind, and how many more there are.
func summarize(kind UnseenKind, pids []int, reason string) []Unseen {
	var all []Unseen
	for _, pid := range pids[:min(len(pids), unseenMax)] {
		all = append(all, Unseen{Kind: kind, Reason: fmt.Sprintf("process %d %s", pid, reason), PID: pid})
	}
	if more := len(pids) - unseenMax; more > 0 {
		all = append(all, Unseen{Kind: kind, Reason: fmt.Sprintf("%d more processes: each %s", more, reason)})
	}
	return all
}

// hidePID returns the options hidepid and gid of the process file system that is mounted
// at a path. The last one mounted there counts.
func hidePID(mounts []mount, path string) (option, group string) {
	for _, each := range mounts {
		if each.point != path || each.kind != "proc" {
			continue
		}
		option, group = "", ""
		for _, each := range strings.Split(each.options, ",") {
			if value, ok := strings.CutPrefix(each, "hidepid="); ok {
				option = value
			}
			if value, ok := strings.CutPrefix(each, "gid="); ok {
				group = value
			}
		}
	}
	return option, group
}
