package report

import "github.com/tbctl/tbctl/fault"

// Fleet is the result of fleet status: every host that was asked.
type Fleet struct {
	Hosts []FleetHost `json:"hosts"`
}

// FleetHost is one host, as far as it could be asked.
type FleetHost struct {
	Cluster string        `json:"cluster"` // by the inventory's name; "": the host was named alone
	Name    string        `json:"name"`    // as ssh knows it
	Target  string        `json:"target"`  // that the inventory names; "": all of the host's own
	Report  *Host         `json:"report"`  // null: it could not be asked
	Problem *FleetProblem `json:"problem"` // null: it could
}

// FleetProblem is why a host could not be asked.
type FleetProblem struct {
	Kind    fault.Class `json:"kind"`
	Reason  string      `json:"reason"` // in one word, such as host-key-changed, see package remote; "": another
	Message string      `json:"message"`
	Hint    string      `json:"hint"` // what to do next; "": nothing that is known
}
