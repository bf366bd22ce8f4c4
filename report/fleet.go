package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// Fleet is the result of fleet status: every host that was asked.
type Fleet struct {
	Hosts []FleetHost `json:"hosts"`
	// Holders are the controllers that work on clusters, by the state that they share.
	Holders []FleetHolder `json:"holders"`
	// StateSeen says that this state was looked at; fleet status --follow does not.
	StateSeen bool `json:"state_seen"`
	// StateProblem is why it could not be looked at; "": it was, or was not to be.
	StateProblem string `json:"state_problem,omitempty"`
}

// FleetHost is one host, as far as it could be asked.
type FleetHost struct {
	Cluster string        `json:"cluster"` // by the inventory's name; "": the host was named alone
	Name    string        `json:"name"`    // as ssh knows it
	Target  string        `json:"target"`  // that the inventory names; "": all of the host's own
	Report  *Host         `json:"report"`  // null: it could not be asked
	Problem *FleetProblem `json:"problem"` // null: it could
}

// FleetHolder is a controller that works on a cluster.
type FleetHolder struct {
	Cluster string    `json:"cluster"` // the id that the data files have, in hexadecimal digits
	Who     string    `json:"who"`     // user and machine
	Since   time.Time `json:"since"`   // by its clock, for people
	Unseen  bool      `json:"unseen"`  // it cannot be seen from here whether it still runs
}

// FleetProblem is why a host could not be asked.
type FleetProblem struct {
	Kind    fault.Class `json:"kind"`
	Reason  string      `json:"reason"` // in one word, such as host-key-changed, see package remote; "": another
	Message string      `json:"message"`
	Hint    string      `json:"hint"` // what to do next; "": nothing that is known

	// Again is whether it is tried again, as fleet status --follow does.
	Again bool `json:"again,omitempty"`
}

// FleetLine is one line of fleet status --follow --json: a host that shows something else than before.
type FleetLine struct {
	Version int         `json:"version"` // [Version]
	Command string      `json:"command"` // fleet status
	Change  FleetChange `json:"change"`
}

// FleetChange is what a host shows now.
type FleetChange struct {
	Time time.Time `json:"time"` // by the clock of the host that asks
	Host FleetHost `json:"host"`
}

// Essence is a text that is another one when the host shows something else: all but the time, and how long answers took.
func (h FleetHost) Essence() (string, error) {
	if h.Report != nil {
		shown := *h.Report
		shown.Time, shown.Targets = time.Time{}, slices.Clone(shown.Targets)
		for index := range shown.Targets {
			target := &shown.Targets[index]
			if target.Status == nil {
				continue
			}
			status := *target.Status
			status.Replicas = slices.Clone(status.Replicas)
			for index := range status.Replicas {
				if replica := &status.Replicas[index]; replica.Answer != nil {
					answer := *replica.Answer
					answer.Milliseconds = 0
					replica.Answer = &answer
				}
			}
			target.Status = &status
		}
		h.Report = &shown
	}
	text, err := Encode(h, "")
	return string(text), err
}

// Answered notes what the host showed. That it says nothing of the target that is asked for, or of any, is a problem.
func (h *FleetHost) Answered(shown *Host) {
	h.Report, h.Problem = shown, nil
	var paths []string
	for _, target := range shown.Targets {
		paths = append(paths, target.Path)
	}
	if len(paths) > 0 && (h.Target == "" || slices.Contains(paths, h.Target)) {
		return
	}
	message := fmt.Sprintf("host %s: it shows no target", h.Name)
	if h.Target != "" {
		message = fmt.Sprintf("host %s: its configuration does not name the target %s: its targets are %q", h.Name, h.Target, paths)
	}
	h.Report = nil
	h.Problem = &FleetProblem{Kind: fault.Usage, Message: message, Hint: "name the target in /etc/tbctl/config.toml there: targets = [\"/opt/tigerbeetle/tigerbeetle\"]"}
}

// UnseenError says how much of a report could not be seen.
type UnseenError struct {
	Asked bool // every host could be asked

	text string
}

func (e *UnseenError) Error() string { return e.text }

// NotRestartedError says which hosts have a file that lacks what replicas there hold in memory already, and no run of a rollout is at work on.
type NotRestartedError struct{ Hosts []string }

func (e *NotRestartedError) Error() string {
	return "a replica holds a newer release in memory than the installed file has, on " + strings.Join(e.Hosts, ", ")
}

// Err is an [*UnseenError] where a host could not be asked, or its target not be looked at, and a [*NotRestartedError] where a
// replica could not be started again after its cluster has upgraded.
func (f *Fleet) Err() error {
	asked, seen := f.Seen()
	all := len(f.Hosts)
	switch {
	case asked < all:
		return &UnseenError{false, fmt.Sprintf("%d of %d hosts could not be asked", all-asked, all)}
	case seen < all:
		return &UnseenError{true, fmt.Sprintf("the targets of %d of %d hosts could not be looked at as a whole", all-seen, all)}
	}
	left := &NotRestartedError{}
	for index := range f.Hosts {
		host := &f.Hosts[index]
		worked := func(s *Status) bool { return s.HolderAlive && s.Fence != nil && s.Fence.Phase.Holds() }
		if slices.ContainsFunc(host.Statuses(), func(s *Status) bool { return !worked(s) && len(s.NotRestarted()) > 0 }) {
			left.Hosts = append(left.Hosts, host.Name)
		}
	}
	if len(left.Hosts) > 0 {
		return left
	}
	return nil
}

// Statuses are those of the targets that are asked for, as far as they could be looked at.
func (h *FleetHost) Statuses() []*Status {
	if h.Report == nil {
		return nil
	}
	var shown []*Status
	for index := range h.Report.Targets {
		if t := &h.Report.Targets[index]; t.Status != nil && (h.Target == "" || h.Target == t.Path) {
			shown = append(shown, t.Status)
		}
	}
	return shown
}

// Seen counts the hosts that could be asked, and of them those whose targets could be looked at.
func (f *Fleet) Seen() (asked, seen int) {
	for _, host := range f.Hosts {
		if host.Problem != nil {
			continue
		}
		asked++
		blind := func(t HostTarget) bool {
			return (t.Status == nil || t.Status.StateProblem != "") && (host.Target == "" || host.Target == t.Path)
		}
		if !slices.ContainsFunc(host.Report.Targets, blind) {
			seen++
		}
	}
	return asked, seen
}
