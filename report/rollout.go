package report

import (
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/multiversion"
)

// FleetPlan is the result of fleet plan.
type FleetPlan struct {
	File     string          `json:"file"`     // where the plan is; "": none was written
	ID       string          `json:"id"`       // sha256:HEX of the file's bytes; "": none was written
	Plan     *fleet.Plan     `json:"plan"`     // null: there can be none
	Problems []fleet.Problem `json:"problems"` // why there is none, and what is to be known of it
	Send     int64           `json:"send"`     // bytes that the hosts lack, an estimate
	Next     string          `json:"next"`     // the command that goes on; "": there is none
}

// Rollout is how far a rollout is, and the result of the commands that carry a plan out.
type Rollout struct {
	Plan       string           `json:"plan"` // its file
	ID         string           `json:"id"`   // sha256:HEX of its bytes
	Generation uint64           `json:"generation"`
	Epoch      uint64           `json:"epoch"`  // of this run; 0: it has claimed nothing
	Holder     string           `json:"holder"` // who runs it: user and machine
	Artifact   string           `json:"artifact"`
	Release    string           `json:"release"`
	Clusters   []RolloutCluster `json:"clusters"`
	Sent       int64            `json:"sent"` // bytes that were sent to all hosts
	Had        int64            `json:"had"`  // bytes that were there, and not sent
}

// RolloutCluster is one cluster of a rollout.
type RolloutCluster struct {
	Name     string          `json:"name"`
	ID       string          `json:"id"`
	Wave     int             `json:"wave"`
	State    string          `json:"state"`    // in one word, see package fleet
	Holder   string          `json:"holder"`   // who has its hosts; "": nobody
	Waits    string          `json:"waits"`    // what it waits for; "": nothing
	Stable   int64           `json:"stable"`   // nanoseconds for which it has been stable
	WayBack  string          `json:"way_back"` // the command that undoes what was done; "": there is none, or nothing to undo
	WayOn    string          `json:"way_on"`   // the command that goes on; "": none is needed
	Problems []fleet.Problem `json:"problems"`
	Class    fault.Class     `json:"class"` // what the problems mean; "": none
	Hosts    []RolloutHost   `json:"hosts"`
}

// RolloutHost is one host of it, as it was seen last.
type RolloutHost struct {
	Name      string               `json:"name"`
	Target    string               `json:"target"`
	Replica   int                  `json:"replica"`
	Standby   bool                 `json:"standby"`
	Holdback  bool                 `json:"holdback"` // it is swapped by promote
	Seen      bool                 `json:"seen"`     // at the last look
	Staged    bool                 `json:"staged"`   // the artifact is in its store, and was hashed in this run
	Checked   bool                 `json:"checked"`  // the check passed there in this run
	Installed multiversion.Release `json:"installed,omitzero"`
	Armed     multiversion.Release `json:"armed,omitzero"` // the artifact's release, if the replica holds the artifact in memory
	Running   multiversion.Release `json:"running,omitzero"`
	View      uint32               `json:"view"`
	Lag       int64                `json:"lag"`   // checkpoints that it is behind the others' newest, in operations; -1: not known
	Peers     int                  `json:"peers"` // established connections with other replicas; -1: not known
	Sent      int64                `json:"sent"`  // bytes that were sent in this run
	Had       int64                `json:"had"`   // bytes of the artifact that were there
}
