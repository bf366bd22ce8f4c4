package report

import (
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
