package fleet

import (
	"slices"
	"time"
)

// stable says that the cluster was seen to be ready for the promotion at every look of the whole period. A miss begins
// the period again, and is shown.
func (s *sight) stable() bool {
	for _, h := range s.hosts {
		s.missPlace(h)
		for i, member := range h.h.Replicas {
			if s.missAlive(h, i, member) {
				s.missReplica(h, h.replicas[i], member)
			}
		}
	}
	s.missBehind()
	since := s.track()
	s.state.Stable = since
	if len(s.state.Misses) > 0 || since < s.options.Stable {
		s.wait(nil, -1, ProblemNotStable, "it has been stable for %s, and is to be for %s", since, s.options.Stable)
		return false
	}
	return true
}

func (s *sight) miss(h *seen, replica int, reason ProblemReason, format string, args ...any) {
	s.state.Misses = append(s.state.Misses, s.problem(h, replica, reason, format, args...))
}

// missPlace finds what keeps a host from being ready.
func (s *sight) missPlace(h *seen) {
	switch {
	case h.o == nil:
		s.miss(h, -1, ProblemUnreachable, "it cannot be looked at: %s", h.why)
	case !h.ours:
		s.miss(h, -1, ProblemClaiming, "this run has not claimed it")
	case h.o.Busy != "" && !h.working:
		s.miss(h, -1, ProblemBusy, "another process works on the target: %s", h.o.Busy)
	}
}

// missAlive finds out whether a replica is alive, serves, and is the process that it was, in the same view.
func (s *sight) missAlive(h *seen, i int, member PlannedReplica) bool {
	r := h.replicas[i]
	switch {
	case h.o == nil:
		return false // that is said of the host
	case r == nil:
		s.miss(h, member.Index, ProblemNotServing, "replica %d does not run", member.Index)
		return false
	case !serves(r):
		s.miss(h, member.Index, ProblemNotServing, "replica %d does not serve: it is %s", member.Index, r.State)
		return false
	}
	if !member.Standby {
		if !r.Answers {
			s.miss(h, member.Index, ProblemNoAnswer, "replica %d does not answer: %s", member.Index, r.NoAnswer)
		}
		if r.View != s.view {
			s.miss(h, member.Index, ProblemView, "replica %d is in view %d, and others are in %d", member.Index, r.View, s.view)
		}
	}
	return true
}

// missReplica finds what else keeps a replica from being ready.
func (s *sight) missReplica(h *seen, r *Replica, member PlannedReplica) {
	others := s.c.Replicas - 1
	switch {
	case r.Running != s.c.Running:
		s.miss(h, member.Index, ProblemMixed, "replica %d runs %s, and the cluster ran %s", member.Index, r.Running, s.c.Running)
	case r.ArmedUnseen != "":
		s.miss(h, member.Index, ProblemArmedUnseen, "what replica %d holds in memory cannot be seen: %s", member.Index, r.ArmedUnseen)
	case s.swapped(h) && !s.armed(r):
		s.miss(h, member.Index, ProblemNotArmed, "replica %d does not hold the new file", member.Index)
	case !s.swapped(h) && s.offersNewer(r) && !s.armed(r): // of several on a host of the holdback one may hold it already
		s.miss(h, member.Index, ProblemWouldPromote, "replica %d offers a newer release, and not by the plan's file", member.Index)
	}
	switch {
	case member.Standby || r.Peers >= others:
	case r.Peers >= 0:
		s.miss(h, member.Index, ProblemPeers, "replica %d has %d connections with others, and there are %d others", member.Index, r.Peers, others)
	case r.PeersUnseen == "" || !s.options.AcceptUnseen:
		s.miss(h, member.Index, ProblemPeersUnseen, "the connections of replica %d cannot be seen: %s", member.Index, r.PeersUnseen)
	}
}

// missBehind finds replicas that are more than one checkpoint behind the others.
func (s *sight) missBehind() {
	var newest uint64
	for _, h := range s.hosts {
		for _, r := range h.replicas {
			if r != nil {
				newest = max(newest, r.Checkpoint)
			}
		}
	}
	for _, h := range s.hosts {
		for i, r := range h.replicas {
			if r != nil && newest-r.Checkpoint > s.options.CheckpointOps {
				s.miss(h, h.h.Replicas[i].Index, ProblemBehind, "replica %d is at the checkpoint of operation %d, and others are at %d", h.h.Replicas[i].Index, r.Checkpoint, newest)
			}
		}
	}
}

// track returns for how long nothing was missed, the processes stayed the same, and so did the view. The misses that were
// found before count, and those that it finds are added.
func (s *sight) track() time.Duration {
	s.tracked = true
	processes := map[int]Process{}
	for _, h := range s.hosts {
		for i, r := range h.replicas {
			if r != nil {
				processes[h.h.Replicas[i].Index] = Process{r.PID, r.Started}
			}
		}
	}
	if s.own.Steady {
		s.missChange(processes)
	}
	if s.memory.Looked && s.in.Elapsed-s.memory.Last > LookGapMax && s.own.Steady {
		s.miss(nil, -1, ProblemLook, "%s passed between two looks", s.in.Elapsed-s.memory.Last)
	}
	whole := len(s.state.Misses) == 0
	if !whole || !s.own.Steady {
		s.own.Since, s.own.View, s.own.Replicas = s.in.Elapsed, s.view, processes
	}
	if !whole {
		s.own.Missed = slices.Clone(s.state.Misses)
	}
	s.own.Steady = whole
	return s.in.Elapsed - s.own.Since
}

// missChange compares with the look that the period began with.
func (s *sight) missChange(processes map[int]Process) {
	if s.view != s.own.View {
		s.miss(nil, -1, ProblemView, "the view is %d, and was %d", s.view, s.own.View)
	}
	for _, h := range s.hosts {
		for i, member := range h.h.Replicas {
			before, now := s.own.Replicas[member.Index], processes[member.Index]
			if h.replicas[i] != nil && (before.PID != now.PID || !before.Started.Equal(now.Started)) {
				s.miss(h, member.Index, ProblemStarted, "replica %d was started again: it is process %d, and was %d", member.Index, now.PID, before.PID)
			}
		}
	}
}
