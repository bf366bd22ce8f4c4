package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// sight is one cluster as the observations of a round show it.
type sight struct {
	*round
	c       *PlannedCluster
	hosts   []*seen
	state   *ClusterState
	own     ClusterMemory
	tracked bool // whether it is stable was asked in this round

	view uint32
	may  int // replicas that offer a newer release, or may
	sure int // of them those of which it was seen

	staged   bool // as far as the goal needs it
	reached  bool // the goal
	promoted bool // it is not reached since hosts are not seen, and the cluster runs the release without
	held     bool // blocked by others' failures alone
	blocked  []Problem
	unsure   []Problem // of class unknown, which do not keep it from going on
	waits    []Problem
	emitted  int // actions
}

// seen is one place of a cluster.
type seen struct {
	h        *PlannedHost
	key      [2]string
	o        *Observation // nil: it could not be looked at
	why      string       // then
	hint     string       // what to do about that; "": nothing that is known
	replicas []*Replica   // as the plan has them; nil: it was not found
	ours     bool         // this run has it
	working  bool         // an action is under way there
	asked    bool         // a swap to the artifact was asked for in this run, and is not seen
	wrong    bool         // the place itself is blocked
}

// untouched says that the file at the target is the one from before the plan.
func (h *seen) untouched() bool {
	return h.o != nil && h.o.Installed != nil && h.o.Installed.SHA256 == h.h.Previous
}

// swapped says that the file at the target is the plan's.
func (s *sight) swapped(h *seen) bool {
	return h.o != nil && h.o.Installed != nil && h.o.Installed.SHA256 == s.plan.Artifact.SHA256
}

// serves says that a replica is alive and has settled on its release.
func serves(r *Replica) bool {
	return r != nil && r.State != "starting" && r.State != "stopped" && (r.State == "running" || r.Answers) && r.Running != 0
}

// offers says whether a replica offers its cluster a newer release than it runs: whether it may, and whether that was seen. The
// primary remembers the offer of a replica that has died since, so one that is not seen alive may.
func (s *sight) offers(h *seen, index int) (may, sure bool) {
	if h.o == nil {
		return true, false
	}
	r := h.replicas[index]
	switch {
	case s.swapped(h):
		return true, true // it takes the file within a second
	case r == nil:
		return true, false
	case s.offersNewer(r):
		return true, true
	}
	return !h.untouched() || h.asked || r.ArmedUnseen != "" || r.State == "starting" || r.Running == 0, false
}

// offersNewer says that a replica was seen to hold the artifact, to offer a newer release than the cluster ran, or to run one.
func (s *sight) offersNewer(r *Replica) bool {
	return s.armed(r) || r.ArmedRelease > s.c.Running || r.Running > s.c.Running || r.Durable > s.c.Running
}

// armed says that a replica holds the artifact in memory, byte for byte.
func (s *sight) armed(r *Replica) bool {
	return r != nil && r.Armed != nil && *r.Armed == s.plan.Artifact.Checksum
}

// runsIt says that a replica runs the artifact's release, and that its data says so.
func (s *sight) runsIt(r *Replica) bool {
	return r != nil && r.Running == s.plan.Artifact.Release && r.Durable == s.plan.Artifact.Release
}

// newSight sorts what was seen of a cluster by its places.
func newSight(r *round, c *PlannedCluster, state *ClusterState) *sight {
	s := &sight{round: r, c: c, state: state, own: r.memory.Clusters[c.Name]}
	*state = ClusterState{
		Name: c.Name, ID: c.ID, Wave: c.Wave, Step: StepWaiting, Hosts: len(c.Hosts), Replicas: c.Replicas, Quorum: UpgradeQuorum(c.Running, c.Replicas),
		Primary: -1, Holdback: []string{}, StableFor: r.options.Stable, SoakFor: c.Soak, Misses: []Problem{}, NotRestarted: []Problem{},
	}
	for i := range c.Hosts {
		s.hosts = append(s.hosts, s.place(&c.Hosts[i]))
	}
	s.own.Claimed = s.own.Claimed && !slices.ContainsFunc(s.hosts, func(h *seen) bool { return !h.ours })
	found := false
	for _, h := range s.hosts {
		for i, member := range h.h.Replicas {
			if r := h.replicas[i]; r != nil && !member.Standby {
				s.view, found = max(s.view, r.View), true
			}
		}
	}
	if found {
		state.Primary = int(s.view % uint32(c.Replicas))
	}
	s.count()
	return s
}

func (s *sight) place(planned *PlannedHost) *seen {
	h := &seen{h: planned, key: [2]string{planned.Name, planned.Target}, replicas: make([]*Replica, len(planned.Replicas))}
	h.working = s.working[h.key]
	switch o := s.at[h.key]; {
	case o == nil:
		h.why = "it was not looked at"
	case o.Problem != nil:
		h.why, h.hint = o.Problem.Message, o.Problem.Hint
	default:
		h.o = o
		for i := range o.Replicas {
			r := &o.Replicas[i]
			at := slices.IndexFunc(planned.Replicas, func(member PlannedReplica) bool { return r.Cluster == s.c.ID && r.Index == member.Index })
			if at >= 0 && h.replicas[at] == nil {
				h.replicas[at] = r
			}
		}
		h.ours = o.Fence != nil && Match(o.Fence, s.fence(h)) == nil
		h.asked = s.memory.Asked[placeKey(h.key)] && !s.swapped(h)
	}
	return h
}

func placeKey(key [2]string) string { return key[0] + " " + key[1] }

// epoch is that of this run for the cluster.
func (s *sight) epoch() uint64 { return s.in.Epochs[s.c.Name] }

// fence is what this run compares at a place.
func (s *sight) fence(h *seen) Fence {
	return Fence{
		Generation: s.plan.Generation, Epoch: s.epoch(), Plan: s.in.PlanID, Cluster: s.c.ID, Holder: s.in.Holder, Proof: s.in.Secret.For(h.h.Name, h.h.Target).ID(),
		Phase: PhaseClaimed, Artifact: s.plan.Artifact.SHA256, Previous: h.h.Previous,
	}
}

// ofPlan says that a place has a fence of this plan.
func (s *sight) ofPlan(h *seen) bool {
	return h.o != nil && h.o.Fence != nil && h.o.Fence.Generation == s.plan.Generation && h.o.Fence.Plan == s.in.PlanID
}

func (s *sight) count() {
	was := s.own.At
	s.own.At = make(map[string]bool)
	for _, h := range s.hosts {
		if key := placeKey(h.key); s.swapped(h) || h.o == nil && was[key] {
			s.own.At[key] = true
		}
		if h.o != nil {
			s.state.Reachable++
			s.state.Staged += btoi(h.o.Stored)
			s.state.Checked += btoi(h.o.Checked)
		}
		s.state.Claimed += btoi(h.ours)
		for i, member := range h.h.Replicas {
			if member.Standby {
				continue
			}
			r := h.replicas[i]
			may, sure := s.offers(h, i)
			s.may += btoi(may)
			s.sure += btoi(sure)
			s.state.Serving += btoi(serves(r))
			s.state.Armed += btoi(s.armed(r))
			s.state.Upgraded += btoi(s.runsIt(r) && serves(r))
		}
	}
	s.state.Offering = s.may
	s.state.Arm = max(0, s.c.Replicas-s.c.Holdback)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// allRun says that every replica and standby was seen to run the artifact's release, its data says so, and every file is the plan's.
func (s *sight) allRun() bool {
	return !slices.ContainsFunc(s.hosts, func(h *seen) bool { return !s.runs(h) })
}

// runs is allRun of one host.
func (s *sight) runs(h *seen) bool {
	return s.swapped(h) && !slices.ContainsFunc(h.replicas, func(r *Replica) bool { return !s.runsIt(r) })
}

// begun says that the promotion has begun: fewer replicas than the holdback do not offer the new release, or one runs a newer
// release than the cluster did. Then there is no way back. So it is taken to have where this run asked for it, and the hosts that are
// not seen to have the new file cannot be looked at.
func (s *sight) begun() bool {
	return s.upgrades() || s.own.Promoted && !slices.ContainsFunc(s.hosts, func(h *seen) bool { return h.o != nil && !s.swapped(h) })
}

// upgrades is begun by what was seen alone.
func (s *sight) upgrades() bool {
	if s.c.Replicas-s.sure < s.c.Holdback {
		return true
	}
	for _, h := range s.hosts {
		for _, r := range h.replicas {
			if r != nil && s.runsNewer(r) {
				return true
			}
		}
	}
	return false
}

// runsNewer says that a replica runs a newer release than the cluster did, or has its data there. One that starts executes the newest release of its
// file for a moment, before it goes to that of its data: that is none.
func (s *sight) runsNewer(r *Replica) bool {
	return r.Durable > s.c.Running || r.Running > s.c.Running && (r.State != "starting" || r.Durable == 0)
}

// holdback chooses the hosts that are swapped last, by promote alone: of those that have not got the new file and of which
// none was asked to take it, the ones with the highest index, and the primary's only if it takes that one too. It is nil
// if too few are left.
func (s *sight) holdback() []*seen {
	free := func(h *seen) (count, highest int) {
		if h.o == nil || !h.untouched() || h.asked {
			return 0, -1
		}
		highest = -1
		for i, member := range h.h.Replicas {
			if _, sure := s.offers(h, i); !member.Standby && !sure {
				count, highest = count+1, max(highest, member.Index)
			}
		}
		return count, highest
	}
	var hosts []*seen
	for _, h := range s.hosts {
		if count, _ := free(h); count > 0 {
			hosts = append(hosts, h)
		}
	}
	slices.SortStableFunc(hosts, func(a, b *seen) int {
		if a, b := s.isPrimary(a), s.isPrimary(b); a != b {
			return btoi(a) - btoi(b)
		}
		_, highestA := free(a)
		_, highestB := free(b)
		return highestB - highestA
	})
	held := 0
	for i, h := range hosts {
		count, _ := free(h)
		if held += count; held >= s.c.Holdback {
			return hosts[:i+1]
		}
	}
	return nil
}

func (s *sight) isPrimary(h *seen) bool {
	return slices.ContainsFunc(h.h.Replicas, func(member PlannedReplica) bool { return member.Index == s.state.Primary })
}

// problem is about a place, or the whole cluster if that is nil, and a replica of it, or -1.
func (s *sight) problem(h *seen, replica int, reason ProblemReason, format string, args ...any) Problem {
	p := Problem{Cluster: s.c.Name, Replica: replica, Reason: reason, Message: fmt.Sprintf(format, args...)}
	if h != nil {
		p.Host = h.h.Name
	}
	return p
}

func (s *sight) block(h *seen, replica int, reason ProblemReason, hint, format string, args ...any) {
	p := s.problem(h, replica, reason, format, args...)
	p.Hint = onHost(hint, p.Host)
	s.blocked = append(s.blocked, p)
	if h != nil {
		h.wrong = true
	}
}

// wait says what is waited for, once for each reason.
func (s *sight) wait(h *seen, replica int, reason ProblemReason, format string, args ...any) {
	if !slices.ContainsFunc(s.waits, func(p Problem) bool { return p.Reason == reason }) {
		s.waits = append(s.waits, s.problem(h, replica, reason, format, args...))
	}
}

// waitDone waits for what this run does at a place, or for another process that keeps it from that.
func (s *sight) waitDone(h *seen, replica int, reason ProblemReason, format string, args ...any) {
	if !s.waitsForOther(h) {
		s.wait(h, replica, reason, format, args...)
	}
}

// waitsForOther says that another process keeps this run from what it does at a place, and waits for it.
func (s *sight) waitsForOther(h *seen) bool {
	switch busy := s.memory.Busy[placeKey(h.key)]; {
	case h.o != nil && h.o.Busy != "" && (h.o.Busy == busy.Who || !h.working): // otherwise it may be this run's own
		s.wait(h, -1, ProblemBusy, "another process works on %s: %s", h.h.Target, h.o.Busy)
	case busy.Said != "":
		s.wait(h, -1, ProblemBusy, "it is tried again: %s", busy.Said)
	default:
		return false
	}
	return true
}

// judge finds what blocks the cluster whatever its goal is.
func (s *sight) judge() {
	const newPlan = "look at the host, and make a new plan"
	for _, h := range s.hosts {
		s.judgeUnsure(h)
		s.judgeFailures(h)
		if h.o == nil {
			s.gone(h)
			continue
		}
		if h.h.Machine != "" && h.o.Machine != h.h.Machine {
			s.block(h, -1, ProblemReinstalled, newPlan, "it is not the machine of the plan: its machine id is %q, and was %q", h.o.Machine, h.h.Machine)
		}
		switch {
		case h.o.Installed == nil:
			s.block(h, -1, ProblemDrift, newPlan, "nothing is at %s any more", h.h.Target)
		case !h.untouched() && !s.swapped(h):
			s.block(h, -1, ProblemDrift, newPlan, "the file at %s is %s, neither the plan's nor the one from before it", h.h.Target, h.o.Installed.SHA256)
		default:
			s.judgeWayBack(h)
		}
		for i := range h.o.Replicas {
			r := &h.o.Replicas[i]
			switch {
			case r.Cluster == "" || r.Index < 0:
			case r.Cluster != s.c.ID:
				s.block(h, r.Index, ProblemForeign, newPlan, "replica %d runs there of another cluster, %s", r.Index, r.Cluster)
			case !slices.ContainsFunc(h.h.Replicas, func(member PlannedReplica) bool { return member.Index == r.Index }):
				s.block(h, r.Index, ProblemMoved, newPlan, "replica %d runs there, which the plan does not have there", r.Index)
			case r.Count != 0 && r.Count != s.c.Replicas:
				s.block(h, r.Index, ProblemCountDiffers, newPlan, "its data file says that the cluster has %d replicas, and the plan says %d", r.Count, s.c.Replicas)
			}
		}
	}
}

// judgeWayBack blocks the cluster, for as long as there is a way back, where it leads over a file that the host would not put back: it
// goes by the one that was there when the plan claimed it first.
func (s *sight) judgeWayBack(h *seen) {
	switch {
	case s.begun():
	case s.swapped(h) && !(s.ofPlan(h) && h.o.Fence.Previous == h.h.Previous):
		s.block(h, -1, ProblemDrift, "put the earlier file back on HOST (tbctl rollback) and start the replica again; then the same command",
			"the plan's file is at %s already, and not by this plan: tbctl fleet abort could not take it back", h.h.Target)
	case s.swapped(h) && h.o.WayBackLost != "" && s.before(GoalArm, GoalProve, GoalAbort):
		s.block(h, -1, ProblemNoWayBack, "bring that file into the store of "+h.h.Name+": tbctl store import FILE --sha256 "+strings.TrimPrefix(h.h.Previous, "sha256:")+" there; then the same command",
			"the file from before the plan, %s, is neither beside %s nor in the host's store: it could not be put back", h.h.Previous, h.h.Target)
	case h.untouched() && h.o.Installed.Damaged != "" && s.in.Goal != GoalAbort:
		s.block(h, -1, ProblemDamaged, "",
			"the file at %s is damaged, and could not be put back: %s", h.h.Target, h.o.Installed.Damaged)
	}
}

// runsWithout says that the cluster runs the artifact's release, and what is missing are hosts that have not been seen for a while. Those
// that are seen run it, by their data too, and are a majority: what they have is what the others come back to.
func (s *sight) runsWithout() bool {
	voting, unseen := 0, false
	for _, h := range s.hosts {
		if h.o == nil {
			unseen = true
			if !s.goneLong(h) {
				return false
			}
			continue
		}
		if !s.runs(h) {
			return false
		}
		voting += h.h.Voting()
	}
	return unseen && voting > s.c.Replicas/2
}

// goneLong says that a host could not be looked at for longer than one is waited for.
func (s *sight) goneLong(h *seen) bool {
	since, ok := s.memory.Gone[placeKey(h.key)]
	return ok && s.in.Elapsed-since >= UnreachableMax
}

// gone waits for a host that cannot be looked at, and then blocks the cluster.
func (s *sight) gone(h *seen) {
	if s.goneLong(h) && !s.begun() { // then it follows when it is back
		s.block(h, -1, ProblemUnreachable, "see why: tbctl fleet status "+h.h.Name, "it cannot be looked at: %s", h.why)
		if h.hint != "" {
			s.blocked[len(s.blocked)-1].Hint = h.hint
		}
		return
	}
	s.wait(h, -1, ProblemUnreachable, "it cannot be looked at: %s", h.why)
}

// judgeUnsure blocks the cluster where a host does not know what an action left at its target, until a person has looked: the same command
// again takes what is seen. What is promoted is watched to its end all the same, where the file is seen in place.
func (s *sight) judgeUnsure(h *seen) {
	p, ok := s.memory.Unsure[placeKey(h.key)]
	switch {
	case !ok:
		return
	case s.in.Goal == GoalStop, s.begun() && (h.o == nil || s.swapped(h)):
		s.unsure = append(s.unsure, p)
	default:
		s.blocked = append(s.blocked, p)
	}
	h.wrong = true
}

// judgeFailures blocks the cluster where an action was tried often enough, and what it was to do is not seen.
func (s *sight) judgeFailures(h *seen) {
	for _, kind := range []ActionKind{ActionStage, ActionCheck, ActionClaim, ActionPhase, ActionSwap, ActionRestart} {
		f, ok := s.memory.Failures[failureKey(kind, h.key)]
		if !ok || !f.Final || s.isDone(h, kind) {
			continue
		}
		if p := s.notRestarted(h); p != nil && kind == ActionRestart {
			s.blocked = append(s.blocked, *p)
			h.wrong = true
			continue
		}
		p := f.Problem
		p.Cluster, p.Host, p.Note, p.Kind = s.c.Name, h.h.Name, false, f.Class
		s.blocked = append(s.blocked, p)
		h.wrong = true
	}
}

// isDone says that what an action was to do is seen, whatever its answer was.
func (s *sight) isDone(h *seen, kind ActionKind) bool {
	switch {
	case h.o == nil:
		return false
	case kind == ActionStage:
		return h.o.Stored
	case kind == ActionCheck:
		return h.o.Checked
	case kind == ActionClaim:
		return h.ours
	case kind == ActionSwap && s.in.Goal == GoalAbort:
		return h.untouched()
	case kind == ActionSwap:
		return s.swapped(h)
	}
	return false
}
