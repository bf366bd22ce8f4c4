package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fault"
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

// problem notes an obstacle; at is nil for one of the whole cluster.
func (d *draft) problem(at *place, replica int, reason ProblemReason, hint, format string, args ...any) {
	p := Problem{Cluster: d.name, Replica: replica, Reason: reason, Message: fmt.Sprintf(format, args...), Hint: hint}
	if at != nil {
		p.Host = at.host.Name
		p.Hint = onHost(hint, p.Host)
	}
	d.add(p)
}

func (d *draft) note(reason ProblemReason, format string, args ...any) {
	d.add(Problem{Cluster: d.name, Replica: -1, Reason: reason, Message: fmt.Sprintf(format, args...), Note: true})
}

func (d *drafter) cluster(entry *Cluster) {
	c := &draft{drafter: d, name: entry.Name}
	if len(entry.Hosts) == 0 {
		c.problem(nil, -1, ProblemNoEntry, "", "it has no hosts")
		return
	}
	all := c.look(entry)
	c.id = mostFrequent(all)
	if c.name == "" {
		c.name = c.id // a cluster whose hosts were named on the command line
	}
	c.places = c.choose(entry, all)
	for i := range c.places {
		c.host(&c.places[i])
	}
	c.roomUnseen()
	c.members()
	c.releases()
	if c.id == "" || c.runs == 0 {
		return
	}
	if c.runs == d.artifact.Release {
		d.done++
		c.note(ProblemNothingToDo, "it runs %s already, and is left out", c.runs)
		return
	}
	c.advisories()
	c.clients()
	planned := PlannedCluster{
		Name: c.name, ID: c.id, Wave: entry.Wave, Soak: entry.Soak, Replicas: c.count,
		Running: c.runs, Hops: d.artifact.Hops(c.runs), Holdback: Holdback(c.runs, c.count), Hosts: []PlannedHost{},
	}
	for i := range c.places {
		host := c.planned(&c.places[i])
		planned.Standbys += len(host.Replicas) - host.Voting()
		if len(host.Replicas) > 1 {
			c.note(ProblemSeveral, "%d replicas run from %s on %s: they take the new file at once", len(host.Replicas), host.Target, host.Name)
		}
		planned.Hosts = append(planned.Hosts, host)
	}
	d.plan.Clusters = append(d.plan.Clusters, planned)
	d.drafts = append(d.drafts, c)
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

// look returns what the hosts of an entry showed, as far as they were looked at.
func (d *draft) look(entry *Cluster) []place {
	var seen []place
	for _, host := range entry.Hosts {
		before := len(seen)
		for _, o := range d.byHost[host.Name] {
			switch {
			case o.Problem != nil && (host.Target == "" || o.Target == "" || o.Target == host.Target):
				p := *o.Problem
				p.Cluster, p.Host, p.Replica, p.Note = d.name, host.Name, -1, false
				p.Kind = fault.Failed
				if p.Reason == "" {
					p.Reason = ProblemUnseen
				}
				p.Hint = cmp.Or(p.Hint, ProblemUnseen.Hint(host.Name))
				d.add(p)
				before, d.unseen = -1, true
			case o.Problem == nil && (host.Target == "" || o.Target == host.Target):
				seen = append(seen, place{host, o})
			}
		}
		if len(seen) == before {
			d.unseen = true
			d.problem(&place{host: host}, -1, ProblemUnseen, "", "nothing is known of its target %s", host.Target)
		}
	}
	return seen
}

// mostFrequent is the cluster of most of the places, of several the one that comes first.
func mostFrequent(places []place) string {
	counts, best := map[string]int{}, ""
	for _, p := range places {
		for _, r := range p.Replicas {
			counts[r.Cluster]++
		}
	}
	delete(counts, "")
	for _, p := range places {
		for _, r := range p.Replicas {
			if counts[r.Cluster] > counts[best] {
				best = r.Cluster
			}
		}
	}
	return best
}

// choose leaves out the targets of a host that the inventory does not name and that are not the cluster's, if another
// target of the host is.
func (d *draft) choose(entry *Cluster, all []place) []place {
	ours := func(p place) bool {
		return slices.ContainsFunc(p.Replicas, func(r Replica) bool { return r.Cluster == d.id })
	}
	var chosen []place
	for _, host := range entry.Hosts {
		var candidates []place
		for _, p := range all {
			if p.host == host {
				candidates = append(candidates, p)
			}
		}
		if slices.ContainsFunc(candidates, ours) {
			candidates = slices.DeleteFunc(candidates, func(p place) bool { return !ours(p) })
		} else if len(candidates) > 1 {
			d.problem(&candidates[0], -1, ProblemNoReplica, "", "no replica of the cluster runs from any of its %d targets", len(candidates))
			continue
		}
		chosen = append(chosen, candidates...)
	}
	return chosen
}

// members checks that the places have all replicas of the cluster, each once.
func (d *draft) members() {
	at := map[int]*place{}
	for i := range d.places {
		p := &d.places[i]
		d.wayBack(p)
		for _, r := range p.Replicas {
			if r.Cluster != d.id || r.Index < 0 || r.Count <= 0 {
				continue
			}
			if other, ok := at[r.Index]; ok {
				d.problem(p, r.Index, ProblemTwice, "", "replica %d is on %s too", r.Index, other.host.Name)
			}
			at[r.Index] = p
			if d.count != 0 && r.Count != d.count {
				d.problem(p, r.Index, ProblemCountDiffers, "", "its data file says that the cluster has %d replicas, and others say %d", r.Count, d.count)
			}
			d.count = max(d.count, r.Count)
		}
	}
	if d.id == "" {
		return
	}
	if !d.unseen { // one that is not seen may be on a host that is not
		d.standbys(at)
	}
	if other, ok := d.ids[d.id]; ok {
		d.problem(nil, -1, ProblemClusterTwice, "", "it is the same cluster as %s: %s", other, d.id)
	}
	d.ids[d.id] = d.name
	var missing []string
	for index := range min(d.count, replicasMax) {
		if at[index] == nil {
			missing = append(missing, strconv.Itoa(index))
		}
	}
	if len(missing) > 0 && !d.unseen {
		d.problem(nil, -1, ProblemMissing, "",
			"of its %d replicas %d run on no host that is named (%s): who has them decides when the cluster upgrades", d.count, len(missing), strings.Join(missing, ", "))
	}
}

// wayBack checks that what is installed could be put back.
func (d *draft) wayBack(p *place) {
	switch f := p.Installed; {
	case f == nil || !sha.IsName(f.SHA256):
		d.problem(p, -1, ProblemNoInstalled, "", "there is no file at %s that could be put back", p.Target)
	case f.Damaged != "":
		d.problem(p, -1, ProblemDamaged, "", "the file at %s is damaged, and could not be put back: %s", p.Target, f.Damaged)
	case f.Recorded != "" && f.Recorded != f.SHA256:
		d.add(Problem{Cluster: d.name, Host: p.host.Name, Replica: -1, Reason: ProblemStrange, Note: true,
			Message: fmt.Sprintf("the file at %s is whole, and is not the one that tbctl put there last: it is %s, and that was %s", p.Target, f.SHA256, f.Recorded)})
	}
}

// standbys tells of those that are on no named host. They decide nothing, and do not come along without the file. How many there are
// only a replica's own addresses say.
func (d *draft) standbys(at map[int]*place) {
	members := 0
	for _, p := range d.places {
		for _, r := range p.Replicas {
			if r.Cluster == d.id {
				members = max(members, r.Members)
			}
		}
	}
	var missing []string
	for index := d.count; index < members; index++ {
		if at[index] == nil {
			missing = append(missing, strconv.Itoa(index))
		}
	}
	switch {
	case d.count == 0: // that is told
	case members == 0:
		d.note(ProblemStandbys, "whether it has standbys cannot be seen: the addresses that its replicas were started with cannot be read")
	case len(missing) > 0:
		d.note(ProblemStandbys, "its replicas were started with the addresses of %d members, and standby %s runs on no host that is named: without the new file it does not follow the upgrade; name its host, if there is one",
			members, strings.Join(missing, ", "))
	}
}

// releases checks that all replicas run the same release, from which the artifact leads on.
func (d *draft) releases() {
	runs := map[multiversion.Release][]string{}
	for _, p := range d.places {
		for _, r := range p.Replicas {
			if r.Cluster == d.id && r.Running != 0 {
				runs[r.Running] = append(runs[r.Running], strconv.Itoa(r.Index))
				d.runs = r.Running
			}
		}
	}
	if len(runs) > 1 {
		var texts []string
		for _, release := range slices.Sorted(maps.Keys(runs)) {
			texts = append(texts, fmt.Sprintf("%s on replica %s", release, strings.Join(runs[release], ", ")))
		}
		d.problem(nil, -1, ProblemMixed, "wait until all run the same, and make the plan again", "its replicas do not run the same release: %s", strings.Join(texts, "; "))
		d.runs = 0
	}
	if d.artifact.Release < d.runs {
		d.problem(nil, -1, ProblemDowngrade, "", "it runs %s, and the artifact's release is %s: there is no way back from a release", d.runs, d.artifact.Release)
		d.runs = 0
	}
}

// advisories finds what is known of the releases on the way, and of leaving what runs.
func (d *draft) advisories() {
	subjects := []advisory.Subject{{About: advisory.AboutLeaving, Release: d.runs}}
	for _, hop := range d.artifact.Hops(d.runs) {
		if hop != d.artifact.Release {
			subjects = append(subjects, advisory.Subject{About: advisory.AboutHop, Release: hop})
		}
	}
	d.advise(d.name, subjects...)
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

// clients compares the clients in use with what the releases on the way serve.
func (d *draft) clients() {
	serves := d.artifact.clientMin(d.runs)
	for _, hop := range d.artifact.Hops(d.runs) {
		least := d.artifact.clientMin(hop)
		switch {
		case least == 0:
		case d.options.Clients != 0 && least > d.options.Clients:
			d.problem(nil, -1, ProblemClients, "upgrade the clients first", "%s serves no client before %s, and clients of %s are in use", hop, least, d.options.Clients)
		case d.options.Clients == 0 && hop == d.artifact.Release && least > serves:
			before := "what the release that runs serves is not known"
			if serves != 0 {
				before = fmt.Sprintf("%s serves those from %s on", d.runs, serves)
			}
			d.note(ProblemClients, "%s serves no client before %s, and %s: say with --clients which is the oldest in use", hop, least, before)
		}
	}
}

// planned is what the plan has of a place.
func (d *draft) planned(p *place) PlannedHost {
	host := PlannedHost{Name: p.host.Name, Target: p.Target, Depot: p.host.Depot, Machine: p.Machine, Replicas: []PlannedReplica{}}
	for _, r := range p.Replicas {
		host.Replicas = append(host.Replicas, PlannedReplica{r.Index, r.Standby})
	}
	slices.SortFunc(host.Replicas, func(a, b PlannedReplica) int { return a.Index - b.Index })
	if p.Installed != nil {
		host.Previous = p.Installed.SHA256
	}
	if !p.Stored {
		host.Lacks = d.lacks(p.Installed)
	}
	return host
}

// lacks estimates what has to be sent to a host that has a file with other releases: if all of the artifact's past
// ones are in it, about a tenth is left.
func (d *draft) lacks(installed *InstalledFile) int64 {
	size := d.artifact.Deflated
	if size == 0 {
		size = d.artifact.Size
	}
	if installed == nil {
		return size
	}
	for _, release := range d.artifact.Releases {
		if release != d.artifact.Release && !slices.Contains(installed.Releases, release) {
			return size
		}
	}
	return size / 10
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
