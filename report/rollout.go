package report

import (
	"fmt"
	"slices"
	"time"

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
	Pushed   []PushedTbctl   `json:"pushed"`   // hosts on which tbctl was put, since that was asked for
}

// PushedTbctl is a tbctl that was put on a host.
type PushedTbctl struct {
	Host    string `json:"host"`
	Path    string `json:"path"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Rollout is how far a rollout is, and the result of the commands that carry a plan out.
type Rollout struct {
	Plan       string               `json:"plan"` // its file
	ID         string               `json:"id"`   // sha256:HEX of its bytes
	Goal       string               `json:"goal"` // of the run, in one word, see package fleet
	Generation uint64               `json:"generation"`
	Epoch      uint64               `json:"epoch"`  // the highest that holds a host; 0: none is held
	Holder     string               `json:"holder"` // who runs this: user and machine
	Artifact   string               `json:"artifact"`
	Release    multiversion.Release `json:"release"`
	Clusters   []RolloutCluster     `json:"clusters"`
	Problems   []fleet.Problem      `json:"problems"` // of no cluster
	Sent       int64                `json:"sent"`     // bytes that were sent to all hosts
	Copied     int64                `json:"copied"`   // bytes that hosts copied from each other
	Had        int64                `json:"had"`      // bytes that were there, and not sent
	Counters   RolloutCounters      `json:"counters"` // of this run
}

// RolloutCluster is one cluster of a rollout, as it was seen last.
type RolloutCluster struct {
	fleet.ClusterState

	Epoch    uint64          `json:"epoch"`    // of the run that holds its hosts; 0: none does
	Holder   string          `json:"holder"`   // who that is; "": nobody
	Waits    []fleet.Problem `json:"waits"`    // what it waits for
	Problems []fleet.Problem `json:"problems"` // why it does not go on in this run
	WayBack  string          `json:"way_back"` // the command that undoes what was done; "": there is none, or nothing to undo
	WayOn    string          `json:"way_on"`   // the command that goes on; "": none is needed
	Rows     []RolloutHost   `json:"rows"`     // its replicas, in the plan's order
}

// StateNone is the state of a replica that is not there.
const StateNone = "none"

// RolloutHost is one replica of it, with its host.
type RolloutHost struct {
	Name       string               `json:"name"`
	Target     string               `json:"target"`
	Replica    int                  `json:"replica"`
	Standby    bool                 `json:"standby"`
	Holdback   bool                 `json:"holdback"`   // it is swapped by promote
	Seen       bool                 `json:"seen"`       // the host, at the last look
	Problem    string               `json:"problem"`    // why it was not
	Staged     bool                 `json:"staged"`     // the artifact is in its store, and was hashed there in this run
	Checked    bool                 `json:"checked"`    // the check passed there in this run
	Unanswered []string             `json:"unanswered"` // questions of the check that were asked and had no answer there, and why
	Installed  multiversion.Release `json:"installed,omitzero"`
	Runs       bool                 `json:"runs"`           // the replica was seen
	State      string               `json:"state"`          // how far it is: running, starting, stopped or unknown; none: it is not there; "": that cannot be seen
	Armed      multiversion.Release `json:"armed,omitzero"` // the artifact's release, if the replica holds the artifact in memory
	Running    multiversion.Release `json:"running,omitzero"`
	View       uint32               `json:"view"`
	Lag        int64                `json:"lag"`        // operations that its checkpoint is behind the newest; -1: not known
	Peers      int                  `json:"peers"`      // established connections with other members; -1: not known
	Sent       int64                `json:"sent"`       // bytes that were sent to the host in this run
	Copied     int64                `json:"copied"`     // bytes that it copied from another or fetched in this run
	NotCopied  string               `json:"not_copied"` // why it could not copy from another or fetch, the last time; "": it could, or was not to
	From       string               `json:"from"`       // the last of those that it copied from; "": none
	Had        int64                `json:"had"`        // bytes of the artifact that were there
	Warnings   []string             `json:"warnings"`   // of the host at its swaps and restarts in this run, the newest, and of an operation whose outcome it does not know
}

// RolloutCounters are how often what happened in a run.
type RolloutCounters struct {
	Requests    map[string]uint64 `json:"requests"` // that were answered or given up, by kind
	Failed      map[string]uint64 `json:"failed"`   // of them, by kind
	Classes     map[string]uint64 `json:"classes"`  // of the failures
	BytesSent   uint64            `json:"bytes_sent"`
	BytesCopied uint64            `json:"bytes_copied"`
	BytesHad    uint64            `json:"bytes_had"`
	Looks       uint64            `json:"looks"`        // at all hosts
	Lost        uint64            `json:"lost"`         // sessions that ended in the middle, or became silent
	StableAgain uint64            `json:"stable_again"` // periods of stability that were broken off
	Runs        uint64            `json:"runs"`
}

// RolloutLine is one line of a command that carries a plan out, with --json, before the last, which is a document.
type RolloutLine struct {
	Version int           `json:"version"` // [Version]
	Command string        `json:"command"` // such as fleet stage
	Rollout RolloutChange `json:"rollout"`
}

// RolloutChange is something that is otherwise than at the look before.
type RolloutChange struct {
	Time    time.Time `json:"time"` // by the clock of the machine that runs it
	Cluster string    `json:"cluster"`
	Host    string    `json:"host"`    // "": of the whole cluster
	Replica int       `json:"replica"` // index; -1: of none
	What    string    `json:"what"`    // in one word: step, waits, problem, miss, seen, lost, not-copied, warning, staged, checked, armed, disarmed, running
	Reason  string    `json:"reason"`  // of waits, problem and miss, in one word, see docs/fleet.md; "": of the others
	Message string    `json:"message"` // for people
}

// Changes are what is otherwise than before; nil before: all is.
func (r *Rollout) Changes(before *Rollout, now time.Time) []RolloutChange {
	var changes []RolloutChange
	for index := range r.Clusters {
		earlier := &RolloutCluster{}
		if before != nil && index < len(before.Clusters) {
			earlier = &before.Clusters[index]
		}
		for _, change := range r.Clusters[index].changes(earlier) {
			change.Time, change.Cluster = now, r.Clusters[index].Name
			changes = append(changes, change)
		}
	}
	return changes
}

func (c *RolloutCluster) changes(before *RolloutCluster) []RolloutChange {
	var changes []RolloutChange
	add := func(host string, replica int, what, message string) {
		changes = append(changes, RolloutChange{Host: host, Replica: replica, What: what, Message: message})
	}
	for index := range c.Rows {
		earlier := RolloutHost{Seen: true}
		if index < len(before.Rows) {
			earlier = before.Rows[index]
		}
		row := &c.Rows[index]
		row.changes(&earlier, func(what, message string) { add(row.Name, row.Replica, what, message) })
	}
	if c.Step != before.Step {
		add("", -1, "step", string(c.Step))
	}
	told := func(what string, now, then []fleet.Problem) {
		for _, problem := range now {
			same := func(other fleet.Problem) bool { // how long it lasts is no change
				return other.Reason == problem.Reason && other.Host == problem.Host && other.Replica == problem.Replica
			}
			if !slices.ContainsFunc(then, same) {
				changes = append(changes, RolloutChange{Host: problem.Host, Replica: problem.Replica, What: what, Reason: string(problem.Reason), Message: problem.Message})
			}
		}
	}
	told("waits", c.Waits, before.Waits)
	told("miss", c.Misses, before.Misses)
	told("problem", c.Problems, before.Problems)
	return changes
}

func (h *RolloutHost) changes(before *RolloutHost, add func(what, message string)) {
	switch {
	case !h.Seen && before.Seen:
		add("lost", h.Problem)
	case h.Seen && !before.Seen:
		add("seen", "it is seen again")
	}
	if h.NotCopied != "" && h.NotCopied != before.NotCopied {
		add("not-copied", h.NotCopied)
	}
	for _, text := range h.Warnings {
		if !slices.Contains(before.Warnings, text) {
			add("warning", text)
		}
	}
	if h.Staged && !before.Staged {
		copied := ""
		if h.From != "" {
			copied = fmt.Sprintf(", %d were copied from %s", h.Copied, h.From)
		}
		add("staged", fmt.Sprintf("the artifact is in its store: %d bytes were sent%s, and %d were there", h.Sent, copied, h.Had))
	}
	if h.Checked && !before.Checked {
		add("checked", "the artifact fits there")
	}
	switch {
	case !h.Seen:
	case h.Armed != 0 && before.Armed == 0:
		add("armed", fmt.Sprintf("the replica holds %s in memory", h.Armed))
	case h.Armed == 0 && before.Armed != 0:
		add("disarmed", fmt.Sprintf("the replica does not hold %s in memory any more", before.Armed))
	}
	if h.Running != 0 && before.Running != 0 && h.Running != before.Running {
		add("running", fmt.Sprintf("the replica runs %s, and ran %s", h.Running, before.Running))
	}
}
