package fleet

import (
	"fmt"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// PlanVersion is the version of [Plan]. Within it fields are only added.
const PlanVersion = 1

// Plan says what a rollout brings to which hosts, and what was seen there when it was made. It is a JSON
// file, named by the SHA-256 of its bytes: an edited plan is another plan.
type Plan struct {
	Version    int       `json:"version"`    // [PlanVersion]
	Author     string    `json:"author"`     // user and machine, for people
	Created    time.Time `json:"created"`    // by the author's clock, for people: nothing is decided by it
	Generation uint64    `json:"generation"` // higher than that of every fence that its hosts have, and than the number of plans before it

	Artifact Artifact             `json:"artifact"`
	Clients  multiversion.Release `json:"clients,omitzero"` // the oldest release of a client in use, as the operator says; 0: not said
	Despite  []string             `json:"despite"`          // ids of the advisories that the operator went on despite of
	Clusters []PlannedCluster     `json:"clusters"`         // by wave, and within one in the order of the inventory; none: all run the release already

	// Advisories is the publisher's list that the plan was made by, for the hosts to warn by too; nil: it was the one that is built in.
	Advisories *PlannedAdvisories `json:"advisories,omitempty"`
}

// NumberError says that a plan's generation is none that was given where plans are numbered.
type NumberError struct {
	Generation uint64 // of the plan
	Plans      uint64 // how many have been numbered
}

// Error says what a host that takes it would do.
func (e *NumberError) Error() string {
	return fmt.Sprintf("the plan's generation, %d, is none of the plans that are numbered here, %d so far: a host that takes it refuses all later plans with a lower one", e.Generation, e.Plans)
}

// Class is [fault.Refused].
func (e *NumberError) Class() fault.Class { return fault.Refused }

// Numbered refuses a plan that has a generation so far above the number of plans that none of them can have got it; the error is a
// [*NumberError].
func (p *Plan) Numbered(plans uint64) error {
	if p.Generation > plans+followMax {
		return &NumberError{p.Generation, plans}
	}
	return nil
}

// PlannedAdvisories is a list of what is to be known of releases, and where it was from when the plan was made. No host can verify that.
type PlannedAdvisories struct {
	Repository string `json:"repository"` // the URL of the one whose signed metadata had it
	Checked    string `json:"checked"`    // the day on which it was last compared with upstream
	SHA256     string `json:"sha256"`     // of the list, in hexadecimal digits
	List       []byte `json:"list"`       // as it was published
}

// plannedAdvisories is a list for a plan; nil: it is built in, and hosts have their own.
func plannedAdvisories(list *advisory.List) *PlannedAdvisories {
	if list.Text() == nil {
		return nil
	}
	edition := list.Edition()
	return &PlannedAdvisories{Repository: edition.Repository, Checked: edition.Checked, SHA256: edition.SHA256, List: list.Text()}
}

// check says what is wrong with it.
func (a *PlannedAdvisories) check() error {
	if a == nil {
		return nil
	}
	list, err := advisory.ParseList(a.List)
	if err != nil {
		return fmt.Errorf("%w: advisories: %s", ErrPlan, err)
	}
	switch edition := list.Edition(); {
	case edition.SHA256 != a.SHA256:
		return planError("SHA-256 of the advisories", a.SHA256)
	case edition.Checked != a.Checked:
		return planError("day of the advisories", a.Checked)
	case !isLine(a.Repository, sourceMax):
		return planError("repository of the advisories", a.Repository)
	}
	return nil
}

// Artifact is the file that a plan brings.
type Artifact struct {
	SHA256   string                 `json:"sha256"` // sha256:HEX, of the executable
	Size     int64                  `json:"size"`   // in bytes
	Platform multiversion.Platform  `json:"platform"`
	Release  multiversion.Release   `json:"release"`  // its current one
	Releases []multiversion.Release `json:"releases"` // all that it holds, the oldest first
	Visits   []multiversion.Release `json:"visits"`   // those of them that an upgrade must stop at
	Checksum multiversion.Checksum  `json:"checksum"` // of its body without header: what an armed replica holds in memory
	// ClientMin is the oldest client that its current release serves.
	ClientMin multiversion.Release `json:"client_min,omitzero"` // 0: its header has none
	// ClientMins are the oldest clients that its past releases serve, as far as they are known.
	ClientMins map[multiversion.Release]multiversion.Release `json:"client_mins"`
	Source     string                                        `json:"source"`   // where it came from, for people
	Vouched    []string                                      `json:"vouched"`  // the kinds of evidence that held when it was imported; empty: nothing vouches for it
	Deflated   int64                                         `json:"deflated"` // bytes of it compressed as a whole; 0: not measured

	// Signature is a minisign signature of the executable, the text of its file, and SignedBy the public key by which it held when it
	// was imported. A host that requires one checks it by its own key. "": there is none.
	Signature string `json:"signature,omitempty"`
	SignedBy  string `json:"signed_by,omitempty"`
}

// PlannedCluster is one cluster of a plan. All of its hosts are promoted together.
type PlannedCluster struct {
	Name     string                 `json:"name"` // of the inventory
	ID       string                 `json:"id"`   // that the data files have, in hexadecimal digits
	Wave     int                    `json:"wave"` // from 1
	Soak     time.Duration          `json:"soak"` // nanoseconds
	Replicas int                    `json:"replicas"`
	Standbys int                    `json:"standbys"`
	Running  multiversion.Release   `json:"running"`  // of all its replicas
	Hops     []multiversion.Release `json:"hops"`     // that it runs on its way, in their order; the last is the artifact's
	Holdback int                    `json:"holdback"` // how many replicas are swapped last, by promote alone; at least 1
	Hosts    []PlannedHost          `json:"hosts"`    // in the order in which they are claimed
}

// PlannedHost is one target on one host.
type PlannedHost struct {
	Name    string `json:"name"`    // as ssh knows it
	Target  string `json:"target"`  // path of the binary there
	Depot   string `json:"depot"`   // address of its store; "": none
	Machine string `json:"machine"` // its machine id; "": it has none
	// Replicas are those that run from the target, by index; at least one. All of them take the new file
	// at once.
	Replicas []PlannedReplica `json:"replicas"`
	Previous string           `json:"previous"` // sha256:HEX of the installed file, which abort puts back
	Lacks    int64            `json:"lacks"`    // bytes to send, an estimate; 0: it has the artifact
}

// PlannedReplica is a replica of a cluster.
type PlannedReplica struct {
	Index   int  `json:"index"`   // in the cluster; standbys come after the others
	Standby bool `json:"standby"` // it counts for no quorum
}

// Voting returns how many replicas of the host count for a quorum.
func (h *PlannedHost) Voting() int {
	count := 0
	for _, r := range h.Replicas {
		if !r.Standby {
			count++
		}
	}
	return count
}
