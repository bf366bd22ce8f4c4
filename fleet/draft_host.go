package fleet

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/internal/sizes"
	"github.com/tbctl/tbctl/multiversion"
)

// host checks what one place shows by itself.
func (d *draft) host(p *place) {
	d.sharing(p)
	if len(p.Blind) > 0 {
		d.problem(p, -1, ProblemHidden, "", "there may be replicas that cannot be seen: %s", strings.Join(p.Blind, "; "))
	}
	if len(p.Replicas) == 0 {
		d.problem(p, -1, ProblemNoReplica, "", "no replica runs from %s", p.Target)
	}
	switch p.Platform {
	case d.artifact.Platform:
	case multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux:
		d.problem(p, -1, ProblemPlatform, "", "the artifact is for %s, and this host is %s", d.artifact.Platform, p.Platform)
	case multiversion.PlatformUniversalMacOS:
		d.problem(p, -1, ProblemSystem, "", "it runs macOS: rollouts are done on Linux alone")
	case multiversion.PlatformX86_64Windows, multiversion.PlatformAArch64Windows:
		d.problem(p, -1, ProblemSystem, "", "it runs Windows: rollouts are done on Linux alone")
	default:
		d.problem(p, -1, ProblemPlatform, "", "the artifact is for %s, and what this host is is not known: %q", d.artifact.Platform, p.Platform)
	}
	if f := p.Fence; f != nil && f.Phase.Holds() && (p.Alive || !f.Overruled) {
		d.problem(p, -1, ProblemOtherRollout, "", "a rollout holds it: %s, of plan %s", f, f.Plan)
	}
	if p.Busy != "" {
		d.problem(p, -1, ProblemBusy, "", "another process works on %s: %s", p.Target, p.Busy)
	}
	if versionOlder(p.Tbctl, d.options.TbctlMin) {
		d.problem(p, -1, ProblemTbctl, "install tbctl "+d.options.TbctlMin+" or newer on HOST", "its tbctl is %s, and %s is needed", p.Tbctl, d.options.TbctlMin)
	}
	for _, refusal := range p.Refusals {
		refusal.Cluster, refusal.Host = d.name, p.host.Name
		d.add(refusal)
	}
	d.room(p)
	for i := range p.Replicas {
		d.replica(p, &p.Replicas[i])
	}
}

// sharing finds targets that two clusters, or two names of one host, have. Two containers of one machine are two hosts whose
// targets are in two directories, whatever their paths are.
func (d *draft) sharing(p *place) {
	keys := [][2]string{{"name " + p.host.Name, p.Target}}
	switch {
	case p.Boot == "": // which machine it is cannot be seen
	case p.Place != "":
		keys = append(keys, [2]string{"boot " + p.Boot, "place " + p.Place})
	default:
		keys = append(keys, [2]string{"boot " + p.Boot + " " + p.Machine, p.Target})
	}
	for _, key := range keys {
		if other, ok := d.targets[key]; ok {
			d.problem(p, -1, ProblemSharedTarget, "", "%s has the same target %s", other, p.Target)
			return
		}
	}
	for _, key := range keys {
		d.targets[key] = fmt.Sprintf("%s of %s", p.host.Name, d.name)
	}
}

// storeFull is said of a store that would refuse the artifact.
func storeFull(room, size int64) string {
	return sizes.Lacking("beside what is kept free, its store", room, 0, size)
}

func (d *draft) room(p *place) {
	need := d.artifact.Size + d.options.Reserve
	if p.Room >= 0 && p.Room < need {
		d.problem(p, -1, ProblemRoom, "", "%s", sizes.Lacking(path.Dir(p.Target), p.Room, 0, need))
	}
	if !p.Stored && p.StoreRoom >= 0 && p.StoreRoom < d.artifact.Size {
		d.problem(p, -1, ProblemRoom, hintPrune, "%s", storeFull(p.StoreRoom, d.artifact.Size))
	}
}

// roomUnseen tells of hosts whose room could not be compared.
func (d *draft) roomUnseen() {
	var hosts []string
	for _, p := range d.places {
		if p.Room < 0 || p.StoreRoom < 0 && !p.Stored {
			hosts = append(hosts, p.host.Name)
		}
	}
	if len(hosts) > 0 {
		d.note(ProblemRoomUnseen, "whether there is room for the artifact could not be seen on %s: each host looks before a file comes", strings.Join(hosts, ", "))
	}
}

// replica checks what one replica shows by itself.
func (d *draft) replica(p *place, r *Replica) {
	who := fmt.Sprintf("process %d", r.PID)
	if r.Index >= 0 {
		who = fmt.Sprintf("replica %d", r.Index)
	}
	switch {
	case r.Cluster == "" || r.Index < 0 || r.Count <= 0:
		d.problem(p, r.Index, ProblemUnreadable, "", "its data file cannot be read, so that it is not known which cluster's replica %s is", who)
	case r.Cluster != d.id:
		d.problem(p, r.Index, ProblemForeign, "", "%s belongs to cluster %s, and the others to %s", who, r.Cluster, d.id)
	}
	switch {
	case r.State == "stopped":
		d.problem(p, r.Index, ProblemNotServing, "", "%s is stopped, by a signal or frozen with its control group: it does nothing until it is continued", who)
	case r.State == "starting":
		d.problem(p, r.Index, ProblemNotServing, "", "%s is starting, and does not serve yet", who)
	case r.State != "running" && !r.Answers:
		d.problem(p, r.Index, ProblemNotServing, "", "whether %s serves cannot be seen", who)
	}
	if !r.Polls {
		d.problem(p, r.Index, ProblemNoPolling, "start it without --development and with its own address, or install on this cluster by hand", "%s does not look for a new binary by itself: %s", who, r.NoPolling)
	} else if r.Running != 0 && r.Running <= multiversion.ReleaseEpoch {
		d.problem(p, r.Index, ProblemNoPolling, "install on this cluster by hand, and start each replica again", "%s runs %s, which cannot read its own binary", who, r.Running)
	}
	d.replicaReleases(p, r, who)
}

// replicaReleases holds the rules of operations for what runs, what the data needs and what was offered.
func (d *draft) replicaReleases(p *place, r *Replica, who string) {
	if r.Running == 0 || r.Durable == 0 {
		d.problem(p, r.Index, ProblemRelease, "", "which release %s runs, or was last checkpointed with, is not known", who)
		return
	}
	needs := []multiversion.Release{r.Running}
	if r.Durable != r.Running {
		needs = append(needs, r.Durable)
	}
	for _, need := range needs {
		why := "runs"
		if need != r.Running {
			why = "was last checkpointed with"
		}
		if !d.artifact.holds(need) {
			d.problem(p, r.Index, ProblemRunning, "", "%s %s %s, which the artifact lacks: it has %s", who, why, need, releaseList(d.artifact.Releases))
		}
		if p.Installed != nil && !slices.Contains(p.Installed.Releases, need) {
			d.problem(p, r.Index, ProblemPrevious, "", "%s %s %s, which the file at %s lacks: it could not be started again from that", who, why, need, p.Target)
		}
	}
	offered := r.ArmedRelease
	if offered <= r.Running {
		return
	}
	d.problem(p, r.Index, ProblemUnderWay, "", "%s offers %s already, and runs %s", who, offered, r.Running)
	if !slices.Contains(d.artifact.Offers(r.Running), offered) {
		d.problem(p, r.Index, ProblemOffered, "", "%s has offered %s, and would not offer it from the artifact", who, offered)
	}
}
