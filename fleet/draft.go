package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

// DraftOptions are what the operator says of a plan. The zero value says nothing.
type DraftOptions struct {
	Author  string    // user and machine
	Created time.Time // now, by the author's clock

	Clients multiversion.Release // the oldest release of a client in use; 0: not said
	Despite []string             // ids of advisories to go on despite of

	// Advisories are what is known of releases; nil: what is built in.
	Advisories *advisory.List

	// Above is how many plans have been numbered; the plan's generation is higher, and higher than those that its own hosts have seen.
	Above uint64
	// TbctlMin is the oldest version of tbctl that a host may have, such as 0.4.0; "": any.
	TbctlMin string
	// Reserve is how many bytes are to stay free where a target is, besides the artifact; 0: 128 MiB. What a store leaves free is its own.
	Reserve int64
}

// reserveDefault is what stays free where the artifact is kept and installed.
const reserveDefault = 128 << 20

// Draft makes the plan that brings an artifact to the clusters of an inventory, from what their hosts show. Where
// something hinders it there is no plan, and the problems say what, all of it; otherwise the problems are notes
// alone. A cluster that runs the artifact's release already is left out, with a note; where all do, the plan has none.
//
// An observation belongs to a host of the inventory by the host's name and, where the inventory has one, the target.
func Draft(inventory Inventory, observations []Observation, artifact Artifact, options DraftOptions) (*Plan, []Problem) {
	if options.Reserve == 0 {
		options.Reserve = reserveDefault
	}
	d := drafter{
		artifact: artifact, options: options, byHost: map[string][]*Observation{},
		targets: map[[2]string]string{}, ids: map[string]string{}, despite: map[string]bool{},
		plan: &Plan{Version: PlanVersion, Author: options.Author, Created: options.Created.UTC(), Artifact: artifact, Clients: options.Clients, Clusters: []PlannedCluster{},
			Advisories: plannedAdvisories(options.Advisories)},
	}
	for i := range observations {
		o := &observations[i]
		d.byHost[o.Host] = append(d.byHost[o.Host], o)
	}
	for i := range inventory.Clusters {
		d.cluster(&inventory.Clusters[i])
	}
	d.number()
	d.whole(inventory)
	for index := range d.problems {
		d.problems[index] = d.problems[index].told()
	}
	if d.hindered() {
		return nil, d.problems
	}
	slices.SortStableFunc(d.plan.Clusters, func(a, b PlannedCluster) int { return a.Wave - b.Wave })
	if err := d.plan.Check(); err != nil {
		d.add(Problem{Replica: -1, Reason: ProblemMalformed, Message: err.Error()}.told())
		return nil, d.problems
	}
	return d.plan, d.problems
}

// drafter makes one plan.
type drafter struct {
	artifact Artifact
	options  DraftOptions
	byHost   map[string][]*Observation

	targets  map[[2]string]string // host, by what tells it from others, and target: the cluster and host that have it
	ids      map[string]string    // of clusters: their names
	despite  map[string]bool      // ids of advisories that were passed over
	done     int                  // clusters that run the release already
	drafts   []*draft             // of the plan's clusters
	plan     *Plan
	problems []Problem
}

// place is a target on a host, and what it showed.
type place struct {
	host Host
	*Observation
}

func (d *drafter) add(p Problem) { d.problems = append(d.problems, p) }

func (d *drafter) hindered() bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return !p.Note })
}

// draft is the work on one cluster.
type draft struct {
	*drafter
	name   string
	id     string // "": not known
	places []place
	count  int                  // replicas without standbys; 0: not known
	runs   multiversion.Release // 0: not known, or not the same
	unseen bool                 // not all of its hosts could be looked at
}

// number gives the plan its generation, which each of its hosts takes: a host that says it has seen a far higher one is not followed, and is
// told, as is one that would refuse so high a number.
func (d *drafter) number() {
	hint := "plan without this host; or on it, as root: " + AnyPlan
	var generations []uint64
	for _, c := range d.drafts {
		for _, p := range c.places {
			if p.Fence != nil && !p.Fence.Overruled {
				generations = append(generations, p.Fence.Generation)
			}
		}
	}
	d.plan.Generation = reached(d.options.Above, d.options.Above+followMax, generations) + 1
	for _, c := range d.drafts {
		for i := range c.places {
			p := &c.places[i]
			switch f := p.Fence; {
			case f == nil && d.plan.Generation > GenerationLeapMax:
				c.problem(p, -1, ProblemGeneration, "plan it without the hosts that have had a plan of so high a number",
					"it would refuse this plan: its generation, %d, is more than %d above 0, and no rollout has changed this target yet", d.plan.Generation, GenerationLeapMax)
			case f == nil || f.Overruled:
			case f.Generation >= d.plan.Generation:
				c.problem(p, -1, ProblemGeneration, hint, "it says that a plan of generation %d had it: plans numbered here have had %d at most, and none more than %d above that is followed",
					f.Generation, d.options.Above, followMax)
			case d.plan.Generation > f.Base.Generation+GenerationLeapMax:
				c.problem(p, -1, ProblemGeneration, hint, "it would refuse this plan: its generation, %d, is more than %d above that of the last run that changed something there, %d",
					d.plan.Generation, GenerationLeapMax, f.Base.Generation)
			}
		}
	}
}

// advise says what is known of releases: those to skip are obstacles, unless the operator goes on despite that.
func (d *drafter) advise(cluster string, subjects ...advisory.Subject) {
	for _, notice := range d.options.Advisories.Of(subjects...) {
		p := Problem{Cluster: cluster, Replica: -1, Reason: ProblemAdvisory, Message: notice.Message, Note: true}
		if notice.Skip {
			p.Reason = ProblemSkip
			if p.Note = slices.Contains(d.options.Despite, notice.ID); p.Note {
				d.despite[notice.ID] = true
				p.Message += "; the plan goes on despite it"
			} else {
				p.Hint = "take another release, or add --despite " + notice.ID
			}
		}
		d.add(p)
	}
}

// whole checks what is of no cluster.
func (d *drafter) whole(inventory Inventory) {
	add := func(reason ProblemReason, note bool, format string, args ...any) {
		d.add(Problem{Replica: -1, Reason: reason, Note: note, Message: fmt.Sprintf(format, args...)})
	}
	if len(d.plan.Clusters) > 0 {
		digest := sha.Digits(d.artifact.SHA256)
		d.advise("", advisory.Subject{About: advisory.AboutFile, Release: d.artifact.Release, SHA256: []string{digest}})
	}
	for _, id := range d.options.Despite {
		if !d.despite[id] {
			add(ProblemDespite, true, "no advisory %q applies", id)
		}
	}
	d.plan.Despite = slices.AppendSeq([]string{}, maps.Keys(d.despite))
	slices.Sort(d.plan.Despite)
	switch {
	case len(inventory.Clusters) == 0:
		add(ProblemNoEntry, false, "no cluster is named")
	case d.done == len(inventory.Clusters) && !d.hindered():
		add(ProblemNothingToDo, true, "all clusters run %s already: the plan has none, and carrying it out does nothing", d.artifact.Release)
	}
	if d.plan.Generation > GenerationMax {
		add(ProblemSize, false, "the hosts have seen %d plans, and there is no higher number", uint64(GenerationMax))
	}
}

func releaseList(releases []multiversion.Release) string {
	var texts []string
	for _, release := range releases {
		texts = append(texts, release.String())
	}
	return strings.Join(texts, ", ")
}

// versionOlder says that a version such as 0.4.0 or v0.4.0-rc1 is older than another. One that is not of this form, such
// as that of a program built from its source, is not.
func versionOlder(version, least string) bool {
	v, ok := versionNumbers(version)
	m, want := versionNumbers(least)
	return ok && want && slices.Compare(v[:], m[:]) < 0
}

func versionNumbers(text string) (numbers [3]uint64, ok bool) {
	text, _, _ = strings.Cut(strings.TrimPrefix(text, "v"), "-")
	parts := strings.Split(text, ".")
	if len(parts) != len(numbers) {
		return numbers, false
	}
	for i, part := range parts {
		var err error
		if numbers[i], err = strconv.ParseUint(part, 10, 32); err != nil {
			return numbers, false
		}
	}
	return numbers, true
}
