package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/replica"
)

// FleetReport is the result of fleet report: what was decided, done and seen of a plan, for people and change records.
type FleetReport struct {
	Page    string      `json:"page"` // file that it was written to; "": none
	File    string      `json:"file"` // of the plan
	ID      string      `json:"id"`   // sha256:HEX of its bytes
	Plan    *fleet.Plan `json:"plan"`
	Made    time.Time   `json:"made"` // by the clock of the machine that made it
	By      string      `json:"by"`   // user and machine
	Tbctl   string      `json:"tbctl"`
	Offline bool        `json:"offline"` // no host was asked

	Hosts    []ReportedHost   `json:"hosts"`    // every target of the plan, in its order
	Requests []ReportedAsking `json:"requests"` // of all runs of the plan from this machine, the oldest first, as far as they are kept
	LeftOut  int              `json:"left_out"` // older requests that are kept and not among them

	// Evidence is what this machine knows of the plan's artifact, and what the plan alone says of it.
	Evidence []PlanEvidence `json:"evidence"`

	// Unseen is what was not checked, or cannot be seen, each in a sentence.
	Unseen []string `json:"unseen"`
}

// EvidenceFile is the kind of evidence that what a plan says of its artifact is what the file says of itself.
const EvidenceFile = "file"

// PlanEvidence is one piece of evidence about a plan's artifact.
type PlanEvidence struct {
	Kind   string         `json:"kind"` // [EvidenceFile], or what vouches
	Status release.Status `json:"status"`
	Detail string         `json:"detail"` // where it was not checked: why
}

// Held are the kinds of what vouches for a plan's artifact, by what this machine knows.
func (r *FleetReport) Held() []string { return kindsOf(r.Evidence, release.StatusHeld) }

// Claimed are the kinds of what the plan alone says.
func (r *FleetReport) Claimed() []string { return kindsOf(r.Evidence, release.StatusNotChecked) }

// Failed are the kinds of what speaks against the plan's artifact.
func (r *FleetReport) Failed() []string { return kindsOf(r.Evidence, release.StatusFailed) }

func kindsOf(evidence []PlanEvidence, status release.Status) []string {
	kinds := []string{}
	for _, e := range evidence {
		if e.Status == status && (e.Kind != EvidenceFile || status == release.StatusFailed) && !slices.Contains(kinds, e.Kind) {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// Err is an [*UnseenError] where a target could not be looked at, though the report says so.
func (r *FleetReport) Err() error {
	t := r.Tally()
	if r.Offline || t.Seen == t.Targets {
		return nil
	}
	return &UnseenError{true, fmt.Sprintf("%d of %d targets could not be looked at as a whole", t.Targets-t.Seen, t.Targets)}
}

// Tally counts the targets and replicas of a plan, by what was seen of them.
type Tally struct {
	Targets int
	Seen    int // of them, as a whole
	Done    int // of them, see [ReportedHost.Done]

	Replicas                        int // that the plan has
	Run                             int // of them, the plan's release; and are neither of those that follow
	Stopped, Starting, None, Unseen int
}

// Tally counts what the report has.
func (r *FleetReport) Tally() Tally {
	t := Tally{Targets: len(r.Hosts)}
	for index := range r.Hosts {
		h := &r.Hosts[index]
		if h.Status != nil && h.Problem == nil && h.Status.StateProblem == "" {
			t.Seen++
		}
		if h.Done(r.Plan) {
			t.Done++
		}
		cluster, planned := h.Planned(r.Plan)
		if planned == nil {
			continue
		}
		for _, member := range planned.Replicas {
			t.Replicas++
			switch shown, state := h.Replica(cluster, member.Index); {
			case state == StateNone:
				t.None++
			case shown == nil:
				t.Unseen++
			case shown.State == replica.StateStopped:
				t.Stopped++
			case shown.State == replica.StateStarting:
				t.Starting++
			case shown.Running.Release == r.Plan.Artifact.Release:
				t.Run++
			}
		}
	}
	return t
}

// ReplicasText says how it is with the replicas.
func (t *Tally) ReplicasText(release string) string {
	text := fmt.Sprintf("%d of %d run %s", t.Run, t.Replicas, release)
	for _, each := range []struct {
		count int
		what  string
	}{{t.Stopped, "stopped"}, {t.Starting, "starting"}, {t.None, "not there"}, {t.Unseen, "not seen"}} {
		if each.count > 0 {
			text += fmt.Sprintf("; %d %s", each.count, each.what)
		}
	}
	return text
}

// ReportedHost is one target of a plan: what it shows now, what was checked there now, and what was done.
type ReportedHost struct {
	Cluster string        `json:"cluster"`
	Name    string        `json:"name"`
	Target  string        `json:"target"`
	Problem *FleetProblem `json:"problem"` // why it could not be looked at; null: it could, or no host was asked
	Time    time.Time     `json:"time,omitzero"`
	Machine string        `json:"machine"` // "": not known
	Tbctl   string        `json:"tbctl"`   // the version there; "": not known
	Status  *Status       `json:"status"`  // null: not known

	// Differs is what is not as the plan, or the rollout, has it.
	Differs []string `json:"differs"`

	// Checks are what the host answered now when it was asked whether the plan's file may be put there; CheckNote is why it
	// was not asked, or gave no answer.
	Checks    []host.Check `json:"checks"`
	CheckNote string       `json:"check_note"`

	Moments []ReportedMoment `json:"moments"` // in their order
}

// ReportedMoment is something that happened to a target, once or a few times in a row.
type ReportedMoment struct {
	Time time.Time `json:"time"` // the first, by the clock of the machine that ran the rollout
	Last time.Time `json:"last"`
	// What is staged, checked, claimed, swapped, armed, stable, promoted, running, restored, restarted, done, aborted, stopped or seen; or
	// failed, and Text says what of.
	What  string `json:"what"`
	Text  string `json:"text"`
	Count int    `json:"count"`
}

// ReportedAsking is one request to a host of which is known what came of it.
type ReportedAsking struct {
	Time       time.Time     `json:"time"` // at which it was answered
	Cluster    string        `json:"cluster"`
	Host       string        `json:"host"`
	Target     string        `json:"target"`
	Generation uint64        `json:"generation"`
	Epoch      uint64        `json:"epoch"`
	Request    string        `json:"request"`
	Phase      string        `json:"phase"`    // that was to be noted; "": none
	Promotes   bool          `json:"promotes"` // it completes the quorum
	Artifact   string        `json:"artifact"`
	Bytes      int64         `json:"bytes"`
	Took       time.Duration `json:"took"` // nanoseconds
	Attempt    int           `json:"attempt"`
	Result     fault.Class   `json:"result"` // "": done
	Reason     string        `json:"reason"` // in one word; "": none
	Causes     []string      `json:"causes"` // the whole chain, the outermost first; empty: done
}

// Planned is the target as a plan has it, and its cluster; nil: the plan does not have it.
func (h *ReportedHost) Planned(plan *fleet.Plan) (*fleet.PlannedCluster, *fleet.PlannedHost) {
	for c := range plan.Clusters {
		cluster := &plan.Clusters[c]
		for index := range cluster.Hosts {
			if p := &cluster.Hosts[index]; p.Name == h.Name && p.Target == h.Target {
				return cluster, p
			}
		}
	}
	return nil, nil
}

// Replica is a replica of the cluster that runs from the target, with its state; nil: none was seen, and the state is [StateNone] if there is none,
// and "" if that cannot be seen.
func (h *ReportedHost) Replica(cluster *fleet.PlannedCluster, number int) (shown *host.Replica, state string) {
	s := h.Status
	if s == nil {
		return nil, ""
	}
	blind := !s.Observed
	for index := range s.Replicas {
		r := &s.Replicas[index]
		switch {
		case !r.Counts():
		case r.Superblock == nil:
			blind = true
		case r.Superblock.Cluster.Hex() == cluster.ID && r.Superblock.ReplicaIndex == number:
			return r, string(r.State)
		}
	}
	if blind {
		return nil, ""
	}
	return nil, StateNone
}

// Done reports whether nothing speaks against the rollout being done at the target: its file is there, every replica that the plan has there is
// seen and neither stopped nor starting, and each that is there runs the release.
func (h *ReportedHost) Done(plan *fleet.Plan) bool {
	s := h.Status
	cluster, planned := h.Planned(plan)
	if planned == nil || s == nil || !s.Observed || s.Installed == nil || sha.Name(s.Installed.SHA256) != plan.Artifact.SHA256 {
		return false
	}
	for _, member := range planned.Replicas {
		if shown, _ := h.Replica(cluster, member.Index); shown == nil || shown.State == replica.StateStopped || shown.State == replica.StateStarting {
			return false
		}
	}
	return !slices.ContainsFunc(s.Replicas, func(r host.Replica) bool { return r.Counts() && r.Running.Release != plan.Artifact.Release })
}
