package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

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
