package fleet

import (
	"math"
	"slices"
	"time"
)

// atGoal says that the cluster is where the goal wants it, for a run that changes nothing any more.
func (s *sight) atGoal() bool {
	switch s.in.Goal {
	case GoalStop:
		return s.given()
	case GoalAbort:
		return s.restored() && s.given()
	case GoalPromote:
		return s.allRun() && s.given()
	}
	return s.allRun()
}

// step is how far the cluster is by what was seen alone, for a run that changes nothing any more.
func (s *sight) step() Step {
	phase := func(phase Phase) bool {
		return slices.ContainsFunc(s.hosts, func(h *seen) bool { return s.ofPlan(h) && h.o.Fence.Phase == phase })
	}
	switch {
	case s.allRun():
		return StepDone
	case s.begun():
		return StepPromoting
	case phase(PhaseAborting), slices.ContainsFunc(s.hosts, func(h *seen) bool { return len(s.armedOver(h)) > 0 }):
		return StepAborting
	case s.sure > 0 && s.c.Replicas-s.sure == s.c.Holdback:
		return StepArmed
	case s.sure > 0:
		return StepArming
	case phase(PhaseAborted) && s.given():
		return StepAborted
	case phase(PhaseStopped) && s.given():
		return StepStopped
	case s.state.Checked == len(s.hosts):
		return StepStaged
	case s.state.Staged == len(s.hosts):
		return StepChecking
	}
	return StepStaging
}

// given says that no run of the plan has a place of the cluster.
func (s *sight) given() bool {
	return !slices.ContainsFunc(s.hosts, func(h *seen) bool { return h.o == nil || s.ofPlan(h) && h.o.Fence.Phase.Holds() })
}

func (s *sight) before(goals ...Goal) bool { return slices.Contains(goals, s.in.Goal) }

// prepare brings the artifact to a cluster that does not run it and is not about to.
func (s *sight) prepare() {
	switch {
	case s.allRun():
		s.state.Step, s.staged = StepDone, true
	case s.begun():
		s.state.Step, s.staged = StepPromoting, true
	default:
		s.state.Step = StepStaging
		s.staged = s.stage()
	}
}

// forward brings the cluster towards all running the release.
func (s *sight) forward() {
	switch s.state.Step {
	case StepDone:
		s.done()
		return
	case StepPromoting:
		if s.before(GoalPromote) && s.runsWithout() {
			s.doneWithout()
			return
		}
		s.follow()
		return
	}
	if !s.staged || len(s.blocked) > 0 {
		return
	}
	s.state.Step = StepStaged
	if s.before(GoalStage, GoalCheck) {
		s.reached = true
		return
	}
	if s.in.Run && !s.turn() || !s.in.Run && !s.before(GoalArm) && !s.isArmed() || !s.claimed() || !s.arm() {
		return
	}
	s.state.Step = StepArmed
	if s.before(GoalArm) {
		s.reached = true
		return
	}
	if !s.stable() {
		return
	}
	if s.before(GoalProve) {
		s.reached = true
		return
	}
	s.promote()
}

// isArmed refuses a verb that comes after arm where that has not been done: it does not do it.
func (s *sight) isArmed() bool {
	held := s.holdback()
	for _, h := range s.hosts {
		if !s.swapped(h) && held != nil && !slices.Contains(held, h) {
			s.block(h, -1, ProblemNotArmed, "tbctl fleet arm PLAN "+s.c.Name, "it is not armed, and is not the host that is swapped last")
			return false
		}
	}
	return true
}

// claimed says that this run has every place of the cluster, since before the looks that this round is about: whatever an
// earlier holder could still do was done when they began. Otherwise the places are claimed, in the plan's order, the first
// one alone: of two runs that come at the same time one wins there, and the other has touched nothing.
func (s *sight) claimed() bool {
	all := true
	for i, h := range s.hosts {
		if h.ours {
			continue
		}
		all = false
		if h.o == nil {
			s.wait(h, -1, ProblemUnreachable, "it cannot be looked at: %s", h.why)
			if i == 0 {
				break
			}
			continue
		}
		s.claim(h)
		if i == 0 {
			break
		}
	}
	before := s.own.Claimed
	s.own.Claimed = all
	if all && !before {
		s.wait(nil, -1, ProblemClaiming, "its hosts are claimed, and are looked at once more")
	}
	return all && before
}

func (s *sight) claim(h *seen) {
	if s.refused(h, ActionClaim) {
		return
	}
	s.waitDone(h, -1, ProblemClaiming, "it is being claimed")
	s.emit(h, Action{Kind: ActionClaim, Fence: s.fence(h), TakeOver: s.takesOver()})
}

// arm puts the artifact in place on all hosts but the holdback, one after the other: the next one when all replicas of those before hold it.
// It is true when that is so.
func (s *sight) arm() bool {
	s.state.Step = StepArming
	for _, h := range s.hosts {
		if h.working {
			s.waitDone(h, -1, ProblemSwapping, "a file is being put in place")
			return false
		}
	}
	held := s.holdback()
	if held == nil {
		s.wouldPromote(nil)
		return false
	}
	for _, h := range held {
		s.state.Holdback = append(s.state.Holdback, h.h.Name)
	}
	if s.waitsForArmed() {
		return false
	}
	var next *seen
	for _, h := range s.hosts {
		if s.swapped(h) || slices.Contains(held, h) {
			continue
		}
		if next == nil || h.asked && !next.asked {
			next = h
		}
	}
	if next == nil {
		s.state.WouldPromote = true
		return true
	}
	return s.armNext(next)
}

// waitsForArmed says that a replica of a host that has the new file does not hold it yet.
func (s *sight) waitsForArmed() bool {
	for _, h := range s.hosts {
		if !s.swapped(h) {
			continue
		}
		for i, member := range h.h.Replicas {
			if s.armed(h.replicas[i]) {
				continue
			}
			if !serves(h.replicas[i]) {
				s.wait(h, member.Index, ProblemNotServing, "replica %d has the new file, and does not serve", member.Index)
			} else {
				s.wait(h, member.Index, ProblemNotArmed, "replica %d does not hold the new file yet", member.Index)
			}
			return true
		}
	}
	return false
}

// armNext swaps one host, if that cannot complete the quorum.
func (s *sight) armNext(h *seen) bool {
	more := 0
	for i, member := range h.h.Replicas {
		if !serves(h.replicas[i]) {
			s.wait(h, member.Index, ProblemNotServing, "replica %d does not serve", member.Index)
			return false
		}
		if may, _ := s.offers(h, i); !may && !member.Standby {
			more++
		}
	}
	if s.may+more >= s.state.Quorum && h.h.Voting() > 0 {
		s.wouldPromote(h)
		return false
	}
	s.waitDone(h, -1, ProblemSwapping, "the new file is being put in place")
	if s.emit(h, Action{Kind: ActionSwap, Fence: s.fence(h), Artifact: s.plan.Artifact.SHA256, Displaces: h.h.Previous, Phase: PhaseArmed}) {
		s.memory.Asked[placeKey(h.key)] = true
	}
	return false
}

// wouldPromote stops arming where one more swap could complete the quorum.
func (s *sight) wouldPromote(h *seen) {
	s.state.WouldPromote = true
	s.block(h, -1, ProblemWouldPromote, "see that all its replicas serve, and run the same command again",
		"%d of %d replicas offer the new release, or may, and %d are enough: the next swap could upgrade the cluster", s.may, s.c.Replicas, s.state.Quorum)
}

// promote swaps the holdback. From here on nothing leads back: whatever the answer is, the next look tells.
func (s *sight) promote() {
	s.state.Step, s.own.Promoted = StepPromoting, true
	for _, h := range s.hosts {
		if !s.swapped(h) {
			s.waitDone(h, -1, ProblemUpgrading, "its file is put in place: the cluster is promoted")
			s.emit(h, Action{Kind: ActionSwap, Fence: s.fence(h), Artifact: s.plan.Artifact.SHA256, Displaces: h.h.Previous, Phase: PhaseArmed, Promotes: true})
		}
	}
}

// follow watches a cluster that upgrades, and gives the new file to hosts that have not got it: they could not go on without.
func (s *sight) follow() {
	if !s.before(GoalPromote) {
		s.block(nil, -1, ProblemPromotionBegun, "tbctl fleet promote PLAN "+s.c.Name, "the cluster upgrades, or is about to: there is no way back")
		return
	}
	s.wait(nil, -1, ProblemUpgrading, "%d of %d replicas run %s", s.state.Upgraded, s.c.Replicas, s.plan.Artifact.Release)
	for _, h := range s.hosts {
		switch {
		case h.o == nil || h.wrong || h.working:
		case !h.ours:
			s.claim(h)
		case h.untouched() && h.o.Stored:
			s.emit(h, Action{Kind: ActionSwap, Fence: s.fence(h), Artifact: s.plan.Artifact.SHA256, Displaces: h.h.Previous, Phase: PhaseArmed, Promotes: true})
		case h.untouched():
			s.wait(h, -1, ProblemStaging, "the artifact is on its way to it")
			s.emit(h, Action{Kind: ActionStage, Artifact: s.plan.Artifact.SHA256})
		}
	}
}

// done gives the places of a cluster back that runs the release on all of them.
func (s *sight) done() {
	s.ran()
	s.state.Soaked = s.in.Elapsed - s.own.DoneAt
	s.reached = true
	if !s.before(GoalPromote) {
		return
	}
	for _, h := range s.hosts {
		switch {
		case !s.ofPlan(h) || !h.o.Fence.Phase.Holds():
			continue
		case h.ours:
			s.waitsForOther(h)
			s.emit(h, Action{Kind: ActionPhase, Fence: s.fence(h), Phase: PhaseDone})
		default:
			s.claim(h)
		}
		s.reached = false
	}
}

// doneWithout ends with a cluster that was promoted, and of which hosts cannot be seen: the run goes on with others, and says so.
func (s *sight) doneWithout() {
	s.done()
	if !s.reached {
		return
	}
	s.reached, s.promoted = false, true
	s.waits = slices.DeleteFunc(s.waits, func(p Problem) bool { return p.Reason == ProblemUnreachable }) // that is said once
	for _, h := range s.hosts {
		if h.o == nil {
			s.block(h, -1, ProblemUnreachable, "when it is back: tbctl fleet promote PLAN "+s.c.Name,
				"it cannot be looked at, so that it is not seen to run %s: %s; all others run it, %d of %d replicas, and it follows when it is back",
				s.plan.Artifact.Release, h.why, s.state.Upgraded, s.c.Replicas)
		}
	}
}

// ran notes since when the cluster runs the release: since the last of its hosts got the file, as each says, so that a run which begins
// later does not count from its own beginning. Where one does not say, it counts from this look.
func (s *sight) ran() {
	if s.own.Done {
		return
	}
	since := time.Duration(math.MaxInt64)
	for _, h := range s.hosts {
		if h.o != nil {
			since = min(since, h.o.InstalledFor)
		}
	}
	s.own.Done, s.own.DoneAt = true, s.in.Elapsed-since
}

// soaks says that the cluster has not run the release for long enough yet.
func (s *sight) soaks() bool { return !s.own.Done || s.in.Elapsed-s.own.DoneAt < s.c.Soak }
