package report

import (
	"fmt"
	"slices"
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

// Err is an [*UnseenError] where a host could not be asked, or its target not be looked at.
func (f *Fleet) Err() error {
	asked, seen := f.Seen()
	all := len(f.Hosts)
	switch {
	case asked < all:
		return &UnseenError{false, fmt.Sprintf("%d of %d hosts could not be asked", all-asked, all)}
	case seen < all:
		return &UnseenError{true, fmt.Sprintf("the targets of %d of %d hosts could not be looked at", all-seen, all)}
	}
	return nil
}

// Seen counts the hosts that could be asked, and of them those whose targets could be looked at.
func (f *Fleet) Seen() (asked, seen int) {
	for _, host := range f.Hosts {
		if host.Problem != nil {
			continue
		}
		asked++
		blind := func(t HostTarget) bool { return t.Status == nil && (host.Target == "" || host.Target == t.Path) }
		if !slices.ContainsFunc(host.Report.Targets, blind) {
			seen++
		}
	}
	return asked, seen
}
