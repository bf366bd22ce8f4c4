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
	count := 0
	for index := range r.Hosts {
		if r.Hosts[index].Problem != nil {
			count++
		}
	}
	if count == 0 {
		return nil
	}
	return &UnseenError{true, fmt.Sprintf("%d of %d targets could not be looked at as a whole", count, len(r.Hosts))}
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

// Done reports whether nothing speaks against the rollout being done at the target: its file is there, every replica runs the
// release, and all of them could be seen.
func (h *ReportedHost) Done(plan *fleet.Plan) bool {
	s := h.Status
	if s == nil || !s.Observed || s.Installed == nil || sha.Name(s.Installed.SHA256) != plan.Artifact.SHA256 {
		return false
	}
	count := 0
	for index := range s.Replicas {
		if r := &s.Replicas[index]; r.Counts() {
			if r.Running.Release != plan.Artifact.Release {
				return false
			}
			count++
		}
	}
	return count > 0
}
