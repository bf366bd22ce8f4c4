package fleet

import "slices"

// wants says that a host is to have the artifact in its store. One that has it at the target needs it there no more, but
// to be called staged.
func (s *sight) wants(h *seen) bool {
	return s.before(GoalStage, GoalCheck) || !s.swapped(h)
}

// stage brings the artifact to the hosts and has it checked there. It is true when that is so on all of them. A verb that
// comes later than these has it checked, and does not bring it.
func (s *sight) stage() bool {
	all := true
	brings := s.in.Run || s.before(GoalStage)
	checks := s.in.Goal != GoalStage || s.in.Run
	for _, h := range s.hosts {
		switch {
		case h.o == nil:
			all = false
		case !s.wants(h):
		case len(h.o.Refusals) > 0:
			all = false
			for _, p := range h.o.Refusals {
				p.Cluster, p.Host, p.Note = s.c.Name, h.h.Name, false
				s.blocked = append(s.blocked, p)
			}
		case !h.o.Stored && !brings:
			all = false
			s.block(h, -1, ProblemNotStaged, "tbctl fleet stage PLAN "+s.c.Name, "the artifact is not in its store")
		case !h.o.Stored:
			all = false
			s.bring(h)
		case checks && !h.o.Checked:
			all = false
			if !h.wrong {
				s.state.Step = StepChecking
				s.wait(h, -1, ProblemChecking, "it is to check the artifact")
				s.wish(h, ActionCheck)
			}
		}
	}
	return all
}

// bring stages the artifact on one host.
func (s *sight) bring(h *seen) {
	if h.wrong {
		return
	}
	if h.working {
		s.wait(h, -1, ProblemStaging, "the artifact is on its way to it")
		return
	}
	if h.o.StoreRoom >= 0 && h.o.StoreRoom < s.plan.Artifact.Size {
		s.block(h, -1, ProblemRoom, hintPrune, "%s", storeFull(h.o.StoreRoom, s.plan.Artifact.Size))
		return
	}
	s.wish(h, ActionStage)
}

// wish is a host that is to get the artifact, or to check it: when there is a place for it.
type wish struct {
	s      *sight
	h      *seen
	kind   ActionKind
	failed bool // it was tried in vain
}

func (s *sight) wish(h *seen, kind ActionKind) {
	if h.working {
		return
	}
	failed := s.memory.Failures[failureKey(ActionStage, h.key)].Count + s.memory.Failures[failureKey(ActionCheck, h.key)].Count
	s.wishes = append(s.wishes, wish{s, h, kind, failed > 0})
}

// before says that a wish comes before another one: those of hosts that have not failed, and of them that of the cluster which has the
// fewest places.
func (w *wish) before(other *wish) bool {
	if w.failed != other.failed {
		return other.failed
	}
	return w.s.places() < other.s.places()
}

// places are the hosts of a cluster that are worked on.
func (s *sight) places() int {
	count := 0
	for _, h := range s.hosts {
		count += btoi(h.working)
	}
	return count
}

// grant gives the places that are free to those that wish for one. No host that is slow, or fails, holds up other clusters: it comes after all
// that have not failed, and its cluster gets no more places than others that wish for one, nor the last one while others are on their way.
func (r *round) grant() {
	for len(r.wishes) > 0 {
		first := 0
		for index := range r.wishes {
			if r.wishes[index].before(&r.wishes[first]) {
				first = index
			}
		}
		w := r.wishes[first]
		r.wishes = slices.Delete(r.wishes, first, first+1)
		w.s.granted(w)
	}
}

// granted begins what a host is to do, if there is a place for it.
func (s *sight) granted(w wish) {
	if share := s.share(); s.places() >= share {
		s.d.Deferred++
		s.wait(w.h, -1, ProblemParallel, "as many hosts of the cluster are worked on as may be at the same time while other clusters are on their way: %d", share)
		return
	}
	if w.kind == ActionCheck {
		s.emit(w.h, Action{Kind: ActionCheck, Artifact: s.plan.Artifact.SHA256})
		return
	}
	from, depot, ok := s.source(w.h)
	if !ok {
		s.d.Deferred++
		s.wait(w.h, -1, ProblemSource, "it copies the artifact from another host, and none has it yet")
		return
	}
	s.wait(w.h, -1, ProblemStaging, "the artifact is on its way to it")
	if s.emit(w.h, Action{Kind: ActionStage, Artifact: s.plan.Artifact.SHA256, From: from, Depot: depot}) {
		s.sources.begin(from, w.h.h.Depot != "")
	}
}

// share is how many places a cluster may have: all but one, where another cluster goes on too.
func (s *sight) share() int {
	for _, other := range s.sights {
		if other != s && !other.reached && len(other.blocked) == 0 {
			return max(1, s.options.Parallel-1)
		}
	}
	return s.options.Parallel
}

// sources are the hosts that others copy the artifact from.
type sources struct {
	named   bool           // any host has a depot
	copies  int            // hosts that have the artifact
	pushes  int            // under way
	depots  int            // of them those to hosts with a depot
	holders []holder       // that have it and a depot
	load    map[string]int // copies under way from each
}

type holder struct{ name, depot, cluster string }

// begin counts what is under way.
func (s *sources) begin(from string, toDepot bool) {
	if from != "" {
		s.load[from]++
		return
	}
	s.pushes++
	s.depots += btoi(toDepot)
}

// findSources looks who has the artifact, and who gets it.
func (r *round) findSources() {
	r.sources = sources{load: map[string]int{}}
	hasDepot := map[[2]string]bool{}
	for _, s := range r.sights {
		for _, h := range s.hosts {
			r.sources.named = r.sources.named || h.h.Depot != ""
			hasDepot[h.key] = h.h.Depot != ""
			if h.o == nil || !h.o.Stored {
				continue
			}
			r.sources.copies++
			if h.h.Depot != "" && !r.memory.BadSources[h.h.Name] {
				r.sources.holders = append(r.sources.holders, holder{h.h.Name, h.h.Depot, s.c.Name})
			}
		}
	}
	for _, a := range r.in.Running {
		if a.Kind == ActionStage {
			r.sources.begin(a.From, hasDepot[[2]string{a.Host, a.Target}])
		}
	}
}

// source chooses where a host gets the artifact: from here where no depot is named, where too few have it, or where all that
// have it failed; otherwise from the host that the fewest copy from, one of its own cluster first. It is not ok while
// those who will have it are getting it.
func (s *sight) source(h *seen) (from, depot string, ok bool) {
	if !s.sources.named || s.sources.copies+s.sources.pushes < s.options.MinCopies {
		return "", "", true
	}
	var best *holder
	for i := range s.sources.holders {
		candidate := &s.sources.holders[i]
		if candidate.name != h.h.Name && (best == nil || s.nearer(candidate, best)) {
			best = candidate
		}
	}
	if best != nil {
		return best.name, best.depot, true
	}
	return "", "", s.sources.depots == 0
}

// nearer says that one holder is to be asked before another.
func (s *sight) nearer(a, b *holder) bool {
	if own, other := a.cluster == s.c.Name, b.cluster == s.c.Name; own != other {
		return own
	}
	return s.sources.load[a.name] < s.sources.load[b.name]
}

// turn says whether a cluster may be changed now: when all clusters of the rollout have the artifact, those of the waves before it
// have run it for long enough, and not too many are blocked.
func (s *sight) turn() bool {
	failed := 0
	for _, other := range s.sights {
		failed += btoi(len(other.blocked) > 0 && !other.reached && !other.held && !other.promoted || len(other.unsure) > 0)
	}
	if failed > s.options.MaxFailed {
		s.blocked = append(s.blocked, s.problem(nil, -1, ProblemMaxFailed, "%d clusters of the rollout do not go on, and %d may: nothing more is begun", failed, s.options.MaxFailed))
		s.held = true
		return false
	}
	if s.state.Claimed > 0 {
		return true // its turn came, and what others wait for breaks nothing of it
	}
	for _, other := range s.sights {
		if !other.staged && !other.reached && len(other.blocked) == 0 {
			s.wait(nil, -1, ProblemStaging, "the artifact is not on all hosts of %s yet", other.c.Name)
			return false
		}
	}
	for _, other := range s.sights {
		if other.c.Wave >= s.c.Wave || len(other.blocked) > 0 && !other.promoted {
			continue
		}
		if !other.reached && !other.promoted {
			s.state.Step = StepWaiting
			s.wait(nil, -1, ProblemWave, "wave %d waits for %s of wave %d", s.c.Wave, other.c.Name, other.c.Wave)
			return false
		}
		if s.in.Goal == GoalPromote && other.soaks() {
			s.state.Step = StepWaiting
			s.wait(nil, -1, ProblemSoak, "wave %d waits until %s has run the release for %s", s.c.Wave, other.c.Name, other.c.Soak)
			return false
		}
	}
	return true
}
