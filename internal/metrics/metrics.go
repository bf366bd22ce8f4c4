// Package metrics makes metrics of the reports: of a host for the textfile collector of node_exporter there, and of
// a fleet. What was not seen has no sample, so that nothing is 0 because it could not be looked at; that
// it could not be has a metric of its own.
package metrics

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/openmetrics"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// replicasMax is how many replicas of a target have samples: a cluster has at most six, and six standbys.
const replicasMax = 24

var (
	installedStates = []string{"installed", "absent", "hidden", "not-multiversion"}
	replicaStates   = []string{string(replica.StateRunning), string(replica.StateStarting), string(replica.StateStopped), string(replica.StateUnknown)}
	phases          = []string{
		string(fleet.PhaseClaimed), string(fleet.PhaseArmed), string(fleet.PhaseAborting),
		string(fleet.PhaseDone), string(fleet.PhaseAborted), string(fleet.PhaseStopped),
	}
)

// Build is what tbctl says of itself.
type Build struct{ Version, Commit, Go string }

// Host returns what a host shows of its targets.
func Host(build Build, shown *report.Host) *openmetrics.Set {
	set := &openmetrics.Set{}
	addBuild(set, build)
	addHost(set, shown, "", nil)
	addLeftOut(set)
	return set
}

// Fleet returns what every host shows, with its cluster and its name as labels, and how often what happened in all rollouts
// that were run from here; nil: that is not known.
func Fleet(build Build, now time.Time, shown *report.Fleet, counters *report.RolloutCounters) *openmetrics.Set {
	set := &openmetrics.Set{}
	addBuild(set, build)
	set.Gauge("tbctl_fleet_timestamp_seconds", "When the hosts were asked, by the clock of the host that asks.").Add(seconds(now))
	set.Gauge("tbctl_fleet_hosts", "Hosts that were to be asked.").Add(float64(len(shown.Hosts)))
	for index := range shown.Hosts {
		h := &shown.Hosts[index]
		base := []openmetrics.Label{{Name: "cluster", Value: h.Cluster}, {Name: "host", Value: h.Name}}
		if h.Target != "" {
			base = append(base, openmetrics.Label{Name: "planned_target", Value: h.Target})
		}
		set.Gauge("tbctl_fleet_host_asked", "1: the host could be asked, 0: it could not.").Is(h.Problem == nil, base...)
		if h.Problem != nil {
			set.Gauge("tbctl_fleet_host_unreachable_info", "Why a host could not be asked, in one word, and the kind of the error.").
				Add(1, with(base, "reason", h.Problem.Reason, "kind", string(h.Problem.Kind))...)
		}
		if h.Report != nil {
			set.Gauge("tbctl_fleet_host_info", "What the host says of itself.").
				Add(1, with(base, "name", h.Report.Name, "machine", h.Report.Machine, "tbctl", h.Report.Tbctl, "platform", string(h.Report.Platform))...)
			addHost(set, h.Report, h.Target, base[:2])
		}
	}
	if counters != nil {
		addCounters(set, counters)
	}
	addLeftOut(set)
	return set
}

// kindsMax is how many kinds of requests and classes of failures have samples: more than there are.
const kindsMax = 64

func addCounters(set *openmetrics.Set, c *report.RolloutCounters) {
	count := func(name, help string, count uint64, pairs ...string) {
		set.Counter(name, help).Add(float64(count), with(nil, pairs...)...)
	}
	for index, request := range slices.Sorted(maps.Keys(c.Requests)) {
		if index < kindsMax {
			failed := min(c.Failed[request], c.Requests[request])
			count("tbctl_rollout_requests", "Requests to hosts, by kind and result, of all runs from here.", c.Requests[request]-failed, "request", request, "result", "done")
			count("tbctl_rollout_requests", "Requests to hosts, by kind and result, of all runs from here.", failed, "request", request, "result", "failed")
		}
	}
	for index, class := range slices.Sorted(maps.Keys(c.Classes)) {
		if index < kindsMax {
			count("tbctl_rollout_failures", "Requests that failed, by the kind of the error.", c.Classes[class], "kind", class)
		}
	}
	count("tbctl_rollout_sent_bytes", "Bytes that were sent into the stores of hosts.", c.BytesSent)
	count("tbctl_rollout_copied_bytes", "Bytes that hosts copied from each other.", c.BytesCopied)
	count("tbctl_rollout_had_bytes", "Bytes of artifacts that hosts had already.", c.BytesHad)
	count("tbctl_rollout_looks", "Looks at all hosts of a plan.", c.Looks)
	count("tbctl_rollout_lost_sessions", "Sessions that ended in the middle, or became silent.", c.Lost)
	count("tbctl_rollout_stable_again", "Periods of stability that were broken off.", c.StableAgain)
	count("tbctl_rollout_runs", "Runs of plans.", c.Runs)
}

func addBuild(set *openmetrics.Set, build Build) {
	set.Gauge("tbctl_build_info", "The tbctl that made this.").
		Add(1, with(nil, "version", build.Version, "revision", build.Commit, "goversion", build.Go)...)
}

func addLeftOut(set *openmetrics.Set) {
	set.Gauge("tbctl_samples_left_out", "Samples that are not here: a second one with the same labels, or too many.").Add(float64(set.LeftOut()))
}

// addHost adds the targets of a host; of one that the inventory names that alone.
func addHost(set *openmetrics.Set, shown *report.Host, only string, base []openmetrics.Label) {
	set.Gauge("tbctl_status_timestamp_seconds", "When the host looked, by its own clock.").Add(seconds(shown.Time), base...)
	for index := range shown.Targets {
		if target := &shown.Targets[index]; only == "" || only == target.Path {
			t := &looked{set: set, base: with(base, "target", target.Path), target: target, status: target.Status}
			t.add()
		}
	}
}

// looked is one target of which metrics are made.
type looked struct {
	set    *openmetrics.Set
	base   []openmetrics.Label
	target *report.HostTarget
	status *report.Status // nil: it could not be looked at
}

func (l *looked) is(name, help string, so bool, pairs ...string) {
	l.set.Gauge(name, help).Is(so, with(l.base, pairs...)...)
}

func (l *looked) value(name, help string, value float64, pairs ...string) {
	l.set.Gauge(name, help).Add(value, with(l.base, pairs...)...)
}

func (l *looked) info(name, help string, pairs ...string) { l.value(name, help, 1, pairs...) }

func (l *looked) add() {
	l.is("tbctl_target_problem", "1: the target could not be looked at as a whole, or what is installed is no multiversion binary.", l.target.Problem != "")
	l.value("tbctl_target_warnings", "Warnings of tbctl status about the target.", float64(len(l.target.Warnings)))
	if l.status == nil {
		return
	}
	l.addFiles()
	l.addState()
	l.addFence()
	l.addReplicas()
}

func (l *looked) addFiles() {
	s := l.status
	state := "absent"
	switch {
	case s.Hides(s.Target.Path):
		state = "hidden"
	case s.Installed != nil && s.Installed.Release == 0:
		state = "not-multiversion"
	case s.Installed != nil:
		state = "installed"
	}
	l.set.Gauge("tbctl_installed_state", "What is at the target; hidden: it cannot be seen.").States(state, installedStates, l.base...)
	l.addFile("tbctl_installed_info", "The installed file; no sample: none, or it cannot be seen.", s.Installed)
	l.addFile("tbctl_previous_info", "The file that is kept beside the target; no sample: none, or it cannot be seen.", s.Previous)
	if r := s.Recorded.Installed; r != nil {
		l.addFile("tbctl_recorded_info", "The file that tbctl installed last.", &r.File)
		if s.Installed != nil && s.Installed.SHA256 != "" {
			l.is("tbctl_installed_drifted", "1: the installed file is another than tbctl installed last.", s.Drifted)
		}
	}
	if s.Target.Dir.Kind == vfs.KindDirectory {
		l.value("tbctl_target_free_bytes", "Bytes that are free for an unprivileged user where the target is.", float64(s.Target.Volume.FreeBytes))
	}
}

func (l *looked) addFile(name, help string, file *install.File) {
	if file != nil {
		l.info(name, help, "release", release(file.Release), "sha256", file.SHA256)
	}
}

func (l *looked) addState() {
	s := l.status
	l.is("tbctl_lock_observed", "1: it could be seen whether another tbctl works on the target.", s.LockObserved)
	if s.LockObserved {
		l.is("tbctl_lock_held", "1: another tbctl works on the target.", s.HeldBy != nil)
	}
	if s.HeldBy == nil && (l.target.Problem == "" || len(s.Leftovers) > 0) {
		l.value("tbctl_leftover_files", "Files of an earlier run beside the target that the next operation clears.", float64(len(s.Leftovers)+s.MoreLeft))
	}
	l.is("tbctl_state_observed", "1: what is kept beside the target could be read, and is to be believed.", s.StateObserved)
	if s.StateObserved {
		if open := len(s.Interrupted) > 0; s.LockObserved || !open {
			l.is("tbctl_operation_interrupted", "1: the outcome of an operation is not known, and none is under way.", open && !s.Interrupted[0].Busy)
		}
		l.is("tbctl_despite_rollout", "1: the target was changed though a rollout held it.", s.Despite != nil)
	}
	if last := s.Last; last != nil {
		l.info("tbctl_last_operation_info", "The last operation that changed the target.", "operation", string(last.Operation), "result", string(last.Result))
		l.value("tbctl_last_operation_timestamp_seconds", "When that operation was.", seconds(last.Time))
	}
}

func (l *looked) addFence() {
	s, f := l.status, l.status.Fence
	if !s.StateObserved {
		return // whether a rollout has it is not known
	}
	l.is("tbctl_fence_held", "1: a rollout holds the target.", f != nil && f.Phase.Holds())
	if f == nil {
		return
	}
	l.value("tbctl_fence_generation", "Generation of the plan that the target belongs to, or last belonged to.", float64(f.Generation))
	l.value("tbctl_fence_epoch", "Epoch of the run that has the target, or had it last.", float64(f.Epoch))
	l.set.Gauge("tbctl_fence_phase", "How far that rollout is with the target.").States(string(f.Phase), phases, l.base...)
	l.info("tbctl_fence_info", "The plan, its file, and who runs it.", "plan", f.Plan, "artifact", f.Artifact, "cluster_id", f.Cluster, "holder", f.Holder.Who)
	if !f.Holder.Since.IsZero() {
		l.value("tbctl_fence_since_timestamp_seconds", "When the run that has the target began, by the clock of its controller.", seconds(f.Holder.Since))
	}
	if s.HolderObserved && f.Phase.Holds() {
		l.is("tbctl_fence_holder_alive", "1: the session of the run that holds the target is open.", s.HolderAlive)
	}
	wants, known := "", false
	switch f.Phase {
	case fleet.PhaseClaimed:
		wants, known = f.Previous, true
	case fleet.PhaseArmed:
		wants, known = f.Artifact, true
	}
	if known && !s.Hides(s.Target.Path) {
		has := ""
		if s.Installed != nil {
			has = sha.Name(s.Installed.SHA256)
		}
		l.is("tbctl_fence_drifted", "1: the installed file is not the one that the rollout which holds the target left there.", has != wants)
	}
}

func (l *looked) addReplicas() {
	s := l.status
	l.is("tbctl_replicas_observed", "1: all processes could be looked at, 0: there may be replicas that were not seen.", s.Observed)
	kinds := make(map[string]int)
	for _, unseen := range s.Unseen {
		kinds[string(unseen.Kind)]++
	}
	for _, unseen := range s.Unseen {
		if kind := string(unseen.Kind); kinds[kind] > 0 {
			l.value("tbctl_replicas_unseen", "Reasons why there may be replicas that were not seen, by kind.", float64(kinds[kind]), "kind", kind)
			kinds[kind] = 0
		}
	}
	var counted, nameless int
	taken := make(map[string]bool)
	for index := range s.Replicas {
		r := &s.Replicas[index]
		if !r.Counts() {
			continue
		}
		counted++
		key, ok := "", r.Superblock != nil && r.Superblock.ReplicaIndex >= 0
		if ok {
			key = r.Superblock.Cluster.Hex() + " " + strconv.Itoa(r.Superblock.ReplicaIndex)
		}
		if !ok || taken[key] || len(taken) >= replicasMax {
			nameless++
			continue
		}
		taken[key] = true
		l.addReplica(r)
	}
	l.value("tbctl_replicas", "Replicas that run from the target.", float64(counted))
	l.value("tbctl_replicas_unidentified", "Replicas among them that have no metrics: the data file does not say which they are, or says what that of another does.", float64(nameless))
}

func (l *looked) addReplica(r *host.Replica) {
	superblock := r.Superblock
	who := []string{"cluster_id", superblock.Cluster.Hex(), "replica", strconv.Itoa(superblock.ReplicaIndex)}
	t := &looked{set: l.set, base: with(l.base, who...)}
	t.info("tbctl_replica_info", "Whether the replica is a standby, and whether it looks for a new binary by itself.",
		"standby", strconv.FormatBool(superblock.Standby), "polls", strconv.FormatBool(r.Polls))
	t.set.Gauge("tbctl_replica_state", "How far the replica is.").States(string(r.State), replicaStates, t.base...)
	if r.Running.Release != 0 {
		t.info("tbctl_replica_running_info", "The release that the replica runs.", "release", release(r.Running.Release))
	}
	t.info("tbctl_replica_durable_info", "The release of its last checkpoint: what its data needs.", "release", release(superblock.Release))
	t.addArmed(r)
	if r.State == replica.StateRunning && !superblock.Standby {
		t.is("tbctl_replica_answers", "1: the replica answered when it was asked whether it serves.", r.Answer != nil)
	}
	view := superblock.View
	if r.Answer != nil {
		view = r.Answer.View
	}
	t.value("tbctl_replica_view", "Its view, as it answered, or of its last checkpoint.", float64(view))
	t.value("tbctl_replica_checkpoint_op", "Operation of its last checkpoint.", float64(superblock.CheckpointOp))
	if r.Peers != nil {
		t.value("tbctl_replica_peers_connected", "Other members of the cluster with which a connection is established.", float64(r.Peers.Connected))
		t.value("tbctl_replica_peers_expected", "Other members of the cluster.", float64(r.Peers.Others))
	}
	if !r.Started.IsZero() {
		t.value("tbctl_replica_start_time_seconds", "When its process began.", seconds(r.Started))
	}
	t.value("tbctl_replica_unreadable", "Things of the process that could not be read.", float64(len(r.Unreadable)))
}

// addArmed adds what the replica holds in memory, where that can be seen.
func (l *looked) addArmed(r *host.Replica) {
	for _, unreadable := range r.Unreadable {
		if unreadable.What == "fd" && r.Armed == nil {
			return
		}
	}
	newest := r.Armed.Newest()
	if r.Armed != nil {
		l.info("tbctl_replica_armed_info", "The binary that the replica holds in memory.",
			"release", release(r.Armed.Current), "offers", release(newest), "checksum", r.Armed.Checksum.String())
	}
	if r.Running.Release != 0 && (r.Armed == nil || r.Armed.Offered != nil) {
		l.is("tbctl_replica_armed", "1: the replica offers its cluster a newer release than it runs.", newest > r.Running.Release)
	}
}

// with adds labels, of which each is a name and a value.
func with(base []openmetrics.Label, pairs ...string) []openmetrics.Label {
	labels := base[:len(base):len(base)]
	for index := 0; index+1 < len(pairs); index += 2 {
		labels = append(labels, openmetrics.Label{Name: pairs[index], Value: pairs[index+1]})
	}
	return labels
}

// release is empty where it is not known.
func release(r multiversion.Release) string {
	if r == 0 {
		return ""
	}
	return r.String()
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
