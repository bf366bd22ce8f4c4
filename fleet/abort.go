package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// restored says that nobody of the cluster has the artifact, or offers a newer release than before, and that all serve.
func (s *sight) restored() bool {
	for _, h := range s.hosts {
		if !h.untouched() {
			return false
		}
		for i, member := range h.h.Replicas {
			r := h.replicas[i]
			if !serves(r) || !member.Standby && !r.Answers || s.offersNewer(r) || r.ArmedUnseen != "" {
				return false
			}
		}
	}
	return true
}

// abort puts the previous file back on one host after the other, the primary's last, and starts its replicas again: the next
// when the cluster serves in one view for a while. No holdback may have been swapped, and that must be seen.
func (s *sight) abort() {
	s.state.Step = StepAborting
	switch {
	case s.begun() || s.state.Upgraded > 0:
		s.state.Step = StepPromoting
		s.block(nil, -1, ProblemPromotionBegun, "tbctl fleet promote PLAN "+s.c.Name, "the cluster upgrades, or is about to: there is no way back")
		return
	case s.restored() && s.given():
		s.state.Step, s.reached = StepAborted, true
		return
	case slices.ContainsFunc(s.hosts, s.gaveBack):
		s.giveBack()
		return
	case len(s.blocked) > 0 || !s.claimed():
		return
	}
	if s.noted(PhaseAborting) && s.putBack() {
		s.giveBack()
	}
}

// gaveBack says that this run had a place, and has given it back: it cannot have it again.
func (s *sight) gaveBack(h *seen) bool {
	return s.ofPlan(h) && h.o.Fence.Epoch == s.epoch() && h.o.Fence.sameHolder(s.fence(h)) && !h.o.Fence.Phase.Holds()
}

// giveBack ends the abort on every place that this run still has.
func (s *sight) giveBack() {
	s.wait(nil, -1, ProblemRestoring, "the previous file is back, and its hosts are given back")
	for _, h := range s.hosts {
		if h.ours {
			s.waitsForOther(h)
			s.emit(h, Action{Kind: ActionPhase, Fence: s.fence(h), Phase: PhaseAborted})
		}
	}
}

// noted says that every place is in a phase, and otherwise has it noted.
func (s *sight) noted(phase Phase) bool {
	all := true
	for _, h := range s.hosts {
		if h.o.Fence.Phase != phase {
			all = false
			s.waitDone(h, -1, ProblemRestoring, "the abort is noted there")
			s.emit(h, Action{Kind: ActionPhase, Fence: s.fence(h), Phase: phase})
		}
	}
	return all
}

// putBack does the next step, and is true when none is left and the cluster is steady.
func (s *sight) putBack() bool {
	order := slices.Clone(s.hosts)
	slices.SortStableFunc(order, func(a, b *seen) int { return btoi(s.isPrimary(a)) - btoi(s.isPrimary(b)) })
	for _, h := range order {
		if h.working {
			s.waitDone(h, -1, ProblemRestoring, "the previous file is being put back")
			return false
		}
	}
	// A replica that is down gets what it can be started with, before anything else is touched.
	for _, h := range order {
		if down := s.down(h); len(down) > 0 {
			if s.swapped(h) {
				s.restore(h)
			} else {
				s.startAgain(h, down)
			}
			return false
		}
	}
	if !s.steady() {
		return false
	}
	for _, h := range order {
		if s.swapped(h) {
			s.restore(h)
			return false
		}
		var armed []int
		for i, r := range h.replicas {
			if s.offersNewer(r) || r.ArmedUnseen != "" {
				armed = append(armed, h.h.Replicas[i].Index)
			}
		}
		if len(armed) > 0 {
			s.startAgain(h, armed)
			return false
		}
	}
	return true
}

// down are the replicas of a host that do not run at all.
func (s *sight) down(h *seen) []int {
	var down []int
	for i, r := range h.replicas {
		if r == nil {
			down = append(down, h.h.Replicas[i].Index)
		}
	}
	return down
}

func (s *sight) restore(h *seen) {
	s.waitDone(h, -1, ProblemRestoring, "the previous file is being put back")
	s.emit(h, Action{Kind: ActionSwap, Fence: s.fence(h), Artifact: h.h.Previous, Displaces: s.plan.Artifact.SHA256, Phase: PhaseAborting})
}

// startAgain starts replicas from the previous file, and gives up when they do not come back from several attempts.
func (s *sight) startAgain(h *seen, replicas []int) {
	key := failureKey(ActionRestart, h.key)
	f := s.memory.Failures[key]
	switch {
	case f.Count > 0 && s.in.Elapsed-f.Last < restartPause:
		s.wait(h, replicas[0], ProblemRestoring, "replica %d is being started again, with the previous file", replicas[0])
		return
	case f.Count >= attemptsMax && len(s.armedOver(h)) > 0:
		s.blocked = append(s.blocked, *s.notRestarted(h))
		h.wrong = true
		return
	case f.Count >= attemptsMax:
		s.block(h, replicas[0], ProblemNotBack, "look at its log; nothing else is put back before it serves", "replica %d did not come back after it was started again with the previous file", replicas[0])
		return
	}
	s.waitDone(h, replicas[0], ProblemRestoring, "replica %d is being started again, with the previous file", replicas[0])
	if s.emit(h, Action{Kind: ActionRestart, Fence: s.fence(h), Replicas: replicas}) {
		f.Count++
		f.Last = s.in.Elapsed
		s.memory.Failures[key] = f
	}
}

// armedOver are the replicas of a host that has the file from before the plan, and which hold a newer one in memory all the same: an abort
// put it back, and they were not started again.
func (s *sight) armedOver(h *seen) []int {
	var armed []int
	for i, r := range h.replicas {
		if r != nil && h.untouched() && r.Running == s.c.Running && (s.armed(r) || r.ArmedRelease > s.c.Running) {
			armed = append(armed, h.h.Replicas[i].Index)
		}
	}
	return armed
}

// notRestarted says what is to be done on a host with such replicas, and why this run has not done it; nil where there is none.
func (s *sight) notRestarted(h *seen) *Problem {
	armed := s.armedOver(h)
	if len(armed) == 0 {
		return nil
	}
	var names []string
	for _, index := range armed {
		names = append(names, strconv.Itoa(index))
	}
	who := "replica " + strings.Join(names, ", ")
	p := s.problem(h, armed[0], ProblemNotRestarted, "the file from before the plan is at %s again, and %s still holds %s in memory: when its cluster upgrades it does too, and then cannot be started from that file",
		h.h.Target, who, s.plan.Artifact.Release)
	if f := s.memory.Failures[failureKey(ActionRestart, h.key)]; f.Count > 0 {
		p.Kind = f.Class
		p.Message += "; the host was to start it again"
		if f.Problem.Message != "" {
			p.Message += ": " + f.Problem.Message
		} else {
			p.Message += ", and it is the same process"
		}
	}
	p.Hint = fmt.Sprintf("stop %s on %s and start it again, then: tbctl fleet abort PLAN %s", who, h.h.Name, s.c.Name)
	return &p
}

// notBack says of a host that a run gives back, or whose time for an abort is over, which of its replicas do not run, with the file from before the plan at
// their target; nil: none, or that is not known.
func (s *sight) notBack(h *seen) *Problem {
	down := s.down(h)
	ends := s.in.Goal == GoalStop || s.in.Goal == GoalAbort && s.in.Deadline
	if !ends || !h.untouched() || !s.ofPlan(h) || len(down) == 0 {
		return nil
	}
	p := s.problem(h, down[0], ProblemNotBack, "replica %d does not run, and the file from before the plan is at %s", down[0], h.h.Target)
	p.Hint = fmt.Sprintf("start it on %s, and look at its log", h.h.Name)
	return &p
}

// steady says that all serve, in one view, and have done so for a while without being started again.
func (s *sight) steady() bool {
	for _, h := range s.hosts {
		for i, member := range h.h.Replicas {
			s.missAlive(h, i, member)
		}
	}
	since := s.track()
	s.state.Stable, s.state.StableFor = since, s.options.Calm
	if len(s.state.Misses) > 0 || since < s.options.Calm {
		s.wait(nil, -1, ProblemNotStable, "it serves in one view for %s, and is to for %s before the next step", since, s.options.Calm)
		return false
	}
	return true
}

// stop gives the places of the cluster back, so that no run of the plan that began before can change anything there. It
// changes nothing else, so that nothing blocks it but what a host answers to that.
func (s *sight) stop() {
	s.state.Step, s.blocked = s.step(), nil
	s.reached = true
	for _, h := range s.hosts {
		if !s.ofPlan(h) || h.o.Fence.Phase.Holds() {
			s.judgeFailures(h)
		}
		switch {
		case h.o == nil:
			s.gone(h)
		case s.ofPlan(h) && !h.o.Fence.Phase.Holds():
			continue
		case h.ours:
			s.waitsForOther(h)
			s.emit(h, Action{Kind: ActionPhase, Fence: s.fence(h), Phase: PhaseStopped})
		default:
			s.claim(h)
		}
		s.reached = false
	}
}
