package fleet

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fault"
)

// Decide says what a run is to do now: what the observations justify, and nothing else. It is a function of its input
// alone; what it was given is not changed.
//
// No file is put in place before the whole cluster was seen to be claimed by this run, at a look that began later. All but the
// holdback are armed one host after the other; a swap that could complete the quorum is not done but by promote, and that after the
// cluster was stable for the whole period. From then on everything leads forward.
//
// A run that sees that another one, or a newer plan, has a host changes nothing more, anywhere.
func Decide(in Input) Decision {
	r := newRound(&in)
	r.learn()
	for _, s := range r.sights {
		r.see(s)
	}
	if r.memory.Fenced == nil && !in.Deadline {
		r.act()
	} else {
		for _, s := range r.sights {
			s.reached, s.state.Step = s.atGoal(), s.step()
		}
	}
	return r.end()
}

// round is one Decide.
type round struct {
	in      *Input
	plan    *Plan
	options Options
	memory  Memory
	at      map[[2]string]*Observation
	working map[[2]string]bool // places with an action under way
	busy    int                // of them
	sights  []*sight
	sources sources
	wishes  []wish // of hosts to be prepared
	d       Decision
}

func newRound(in *Input) *round {
	r := &round{in: in, plan: in.Plan, options: in.Options, at: map[[2]string]*Observation{}, working: map[[2]string]bool{}}
	defaults := Options{Parallel: ParallelDefault, Stable: StableDefault, MinCopies: MinCopiesDefault, CheckpointOps: CheckpointOpsDefault, Calm: AbortCalm}
	if r.options.Parallel <= 0 {
		r.options.Parallel = defaults.Parallel
	}
	if r.options.Stable <= 0 {
		r.options.Stable = defaults.Stable
	}
	if r.options.MinCopies <= 0 {
		r.options.MinCopies = defaults.MinCopies
	}
	if r.options.CheckpointOps == 0 {
		r.options.CheckpointOps = defaults.CheckpointOps
	}
	if r.options.Calm <= 0 {
		r.options.Calm = defaults.Calm
	}
	r.memory = Memory{
		Last: in.Memory.Last, Looked: in.Memory.Looked, Fenced: in.Memory.Fenced,
		Clusters: copied(in.Memory.Clusters), Gone: copied(in.Memory.Gone), BadSources: copied(in.Memory.BadSources),
		Failures: copied(in.Memory.Failures), Asked: copied(in.Memory.Asked), Unsure: copied(in.Memory.Unsure), Busy: copied(in.Memory.Busy),
		Begun: copied(in.Memory.Begun),
	}
	for _, a := range in.Running {
		key := [2]string{a.Host, a.Target}
		if !r.working[key] {
			r.working[key] = true
			r.busy++
		}
	}
	for i := range in.Observations {
		o := &in.Observations[i]
		key := [2]string{o.Host, o.Target}
		if before := r.at[key]; before == nil || before.Problem != nil {
			r.at[key] = o
		}
	}
	return r
}

func copied[K comparable, V any](from map[K]V) map[K]V {
	to := make(map[K]V, len(from))
	maps.Copy(to, from)
	return to
}

// chosen are the clusters that are meant.
func (r *round) chosen() []*PlannedCluster {
	var chosen []*PlannedCluster
	for i := range r.plan.Clusters {
		c := &r.plan.Clusters[i]
		if len(r.in.Clusters) == 0 || slices.Contains(r.in.Clusters, c.Name) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

func failureKey(kind ActionKind, key [2]string) string { return string(kind) + " " + placeKey(key) }

// learn takes in what came of actions, and which hosts cannot be looked at.
func (r *round) learn() {
	for _, outcome := range r.in.Outcomes {
		r.learnOutcome(outcome)
	}
	chosen := r.chosen()
	for _, name := range r.in.Clusters {
		if !slices.ContainsFunc(chosen, func(c *PlannedCluster) bool { return c.Name == name }) {
			r.d.Blocked = append(r.d.Blocked, Problem{Cluster: name, Replica: -1, Reason: ProblemNotPlanned, Message: "the plan has no such cluster"})
		}
	}
	r.d.Clusters = make([]ClusterState, len(chosen))
	for i, c := range chosen {
		for j := range c.Hosts {
			key := [2]string{c.Hosts[j].Name, c.Hosts[j].Target}
			if o := r.at[key]; o != nil && o.Problem == nil {
				delete(r.memory.Gone, placeKey(key))
			} else if _, known := r.memory.Gone[placeKey(key)]; !known {
				r.memory.Gone[placeKey(key)] = r.in.Elapsed
			}
		}
		r.sights = append(r.sights, newSight(r, c, &r.d.Clusters[i]))
	}
}

func (r *round) learnOutcome(outcome Outcome) {
	a := outcome.Action
	place := [2]string{a.Host, a.Target}
	key := failureKey(a.Kind, place)
	delete(r.memory.Busy, placeKey(place))
	if outcome.Problem == nil {
		if a.Kind != ActionRestart { // that one has succeeded when the replica is seen to serve
			delete(r.memory.Failures, key)
		}
		return
	}
	switch outcome.Class {
	case fault.Fenced:
		if r.memory.Fenced == nil {
			p := *outcome.Problem
			p.Cluster, p.Host = a.Cluster, a.Host
			if p.Reason == "" {
				p.Reason = ProblemFenced
			}
			p.Kind = fault.Fenced
			r.memory.Fenced = &p
		}
		return
	case fault.Unknown: // whatever is seen there later: what the disk did not take may be gone after a power cut
		p := *outcome.Problem
		p.Cluster, p.Host, p.Note, p.Kind = a.Cluster, a.Host, false, fault.Unknown
		if p.Hint == "" {
			p.Hint = "find out what is there: tbctl status " + a.Target + " on " + a.Host + "; then the same command"
		}
		r.memory.Unsure[placeKey(place)] = p
		return
	case fault.Busy:
		busy := Busy{Said: outcome.Problem.Message}
		if o := r.at[place]; o != nil {
			busy.Who = o.Busy
		}
		r.memory.Busy[placeKey(place)] = busy
		return // it is tried again for as long as it takes
	}
	if a.Kind == ActionStage && a.From != "" && outcome.Class != fault.Refused { // which is the host's own answer
		r.memory.BadSources[a.From] = true
		return
	}
	f := r.memory.Failures[key]
	f.Count++
	f.Last, f.Problem, f.Class = r.in.Elapsed, *outcome.Problem, outcome.Class
	again := outcome.Class == fault.Failed || outcome.Class == fault.Interrupted || outcome.Class == fault.None
	f.Final = !again || f.Count >= attemptsMax
	if f.Class == fault.None {
		f.Class = fault.Failed
	}
	r.memory.Failures[key] = f
}

// see finds what keeps a cluster from going on, and whether another run or a newer plan has it.
func (r *round) see(s *sight) {
	s.judge()
	for _, h := range s.hosts {
		if reason, text := s.fencedBy(h); reason != "" && r.memory.Fenced == nil {
			p := s.problem(h, -1, reason, "%s", text)
			r.memory.Fenced = &p
		}
	}
}

// fencedBy says why this run may not claim a place, or may not go on without.
func (s *sight) fencedBy(h *seen) (reason ProblemReason, text string) {
	if h.o == nil || h.o.Fence == nil {
		return "", ""
	}
	f := h.o.Fence
	refused := func(reason Reason) (ProblemReason, string) {
		return ProblemReason(reason), (&FencedError{reason, f}).Error()
	}
	reads := s.in.Goal == GoalStage || s.in.Goal == GoalCheck
	switch {
	case h.ours:
		return "", ""
	case f.Generation > s.plan.Generation && !f.Overruled:
		return refused(ReasonGeneration)
	case f.Generation < s.plan.Generation || f.Overruled:
		if !reads && f.Phase.Holds() && h.o.Alive && !s.takesOver() {
			return refused(ReasonHeld)
		}
		return "", ""
	case f.Plan != s.in.PlanID:
		return refused(ReasonPlanDiffers)
	case reads:
		return "", ""
	case f.Epoch > s.epoch(), f.Epoch == s.epoch() && !f.sameHolder(s.fence(h)):
		return refused(ReasonEpoch)
	case f.Epoch < s.epoch() && f.Phase.Holds() && h.o.Alive && !s.takesOver():
		return refused(ReasonHeld)
	}
	return "", ""
}

// takesOver says that a place is taken also from a run that is alive: to stop that one is what stop is for.
func (r *round) takesOver() bool { return r.options.TakeOver || r.in.Goal == GoalStop }

// emit adds an action, if a host may be worked on now, and has not refused the same: what blocks the cluster is not asked for again. What
// was done there before is not done again at once, whatever the host said of it, or shows.
func (s *sight) emit(h *seen, a Action) bool {
	again := failureKey(a.Kind, h.key) + " " + string(a.Phase)
	begun := s.memory.Begun[again]
	if h.working || a.Kind != ActionRestart && s.refused(h, a.Kind) || !begun.due(s.in.Elapsed) {
		return false
	}
	if s.busy >= s.options.Parallel && !a.Promotes {
		s.d.Deferred++
		s.wait(h, -1, ProblemParallel, "as many hosts are worked on as may be at the same time: %d", s.options.Parallel)
		return false
	}
	a.Cluster, a.Host, a.Target = s.c.Name, h.h.Name, h.h.Target
	if busy := s.memory.Busy[placeKey(h.key)]; h.o != nil && h.o.Busy != "" {
		busy.Who = h.o.Busy
		s.memory.Busy[placeKey(h.key)] = busy
	}
	s.memory.Begun[again] = Begun{begun.Count + 1, s.in.Elapsed}
	h.working = true
	s.working[h.key] = true
	s.busy++
	s.emitted++
	s.d.Actions = append(s.d.Actions, a)
	return true
}

// refused says that an action is not tried again at a place.
func (s *sight) refused(h *seen, kind ActionKind) bool {
	return s.memory.Failures[failureKey(kind, h.key)].Final
}

// end puts together what was decided.
func (r *round) end() Decision {
	d := &r.d
	d.Memory = r.memory
	d.Memory.Last, d.Memory.Looked = r.in.Elapsed, true
	going := len(d.Actions) > 0 || len(r.in.Running) > 0
	var classes []fault.Class
	for _, p := range d.Blocked {
		classes = append(classes, p.Class())
	}
	for _, s := range r.sights {
		if !s.tracked {
			s.own.Steady = false
		}
		if s.state.Reachable == 0 {
			s.state.Step = StepUnseen
		}
		d.Memory.Clusters[s.c.Name] = s.own
		s.tellNotRestarted()
		switch {
		case s.reached:
			s.waits, s.blocked = nil, slices.DeleteFunc(s.blocked, func(p Problem) bool { return p.Class() != fault.Unknown })
		case r.memory.Fenced == nil && r.in.Deadline:
			s.blocked = append(s.blocked, s.deadline())
		case len(s.blocked) == 0:
			going = true
		}
		s.blocked = append(s.blocked, s.unsure...)
		for _, p := range s.blocked {
			classes = append(classes, p.Class())
		}
		d.Waits = append(d.Waits, s.waits...)
		d.Blocked = append(d.Blocked, s.blocked...)
	}
	if r.memory.Fenced != nil {
		d.Blocked = append(d.Blocked, *r.memory.Fenced)
		classes = append(classes, fault.Fenced)
	}
	for index := range d.Blocked {
		d.Blocked[index] = d.Blocked[index].told()
	}
	d.Done = !going || r.memory.Fenced != nil || r.in.Deadline
	if d.Done {
		d.Class = fault.Worst(classes...)
	}
	return *d
}

// tellNotRestarted says which replicas an abort has left armed, or not running. Where the time for that abort is over, that is why it is not done.
func (s *sight) tellNotRestarted() {
	for _, h := range s.hosts {
		p := cmp.Or(s.notRestarted(h), s.notBack(h))
		switch {
		case p == nil || slices.ContainsFunc(s.blocked, func(told Problem) bool { return told.Reason == p.Reason && told.Host == p.Host }):
		case s.in.Goal == GoalAbort && s.in.Deadline && s.memory.Fenced == nil && !s.reached:
			s.blocked = append(s.blocked, *p)
		default:
			p.Note = true
			s.state.NotRestarted = append(s.state.NotRestarted, *p)
		}
	}
}

// deadline says what becomes of a cluster when the run's time is over; what kept it from being stable last is missed still.
func (s *sight) deadline() Problem {
	if missed := s.own.Missed; len(missed) > 0 && !s.begun() {
		s.state.Misses = slices.Clone(missed)
	}
	p := s.problem(nil, -1, ProblemDeadline, "the time that the run may take is over: %s", s.left())
	p.Hint = "run the same command again"
	for _, h := range s.hosts {
		if h.hint != "" { // before that another try finds the same
			p.Hint = h.hint + "; then run the same command again"
			break
		}
	}
	return p
}

// left says what a run leaves at the targets of a cluster, as far as that was seen.
func (s *sight) left() string {
	var at, unseen []string
	for _, h := range s.hosts {
		switch {
		case s.swapped(h):
			at = append(at, h.h.Name)
		case h.o == nil && s.own.At[placeKey(h.key)]:
			at = append(at, h.h.Name+", when it was last seen")
		case h.o == nil:
			unseen = append(unseen, h.h.Name)
		}
	}
	where, text := strings.Join(at, ", "), ""
	switch {
	case s.upgrades():
		text = "it upgrades, and goes on without this run"
	case s.own.Promoted:
		text = "its last swap was asked for, and was not seen; it upgrades if that was done"
	case len(at) > 0 && s.in.Goal == GoalAbort:
		text = "the plan's file is still at the target of " + where
	case len(at) > 0:
		text = "it stays as it is and is not promoted: the plan's file is at the target of " + where
	case s.sure > 0:
		text = "it stays as it is: replicas are armed, and it is not promoted"
	case len(unseen) == len(s.hosts):
		text = "what is at its targets was not seen"
	case s.in.Goal == GoalAbort:
		text = "the plan's file is at none of its targets"
	default:
		text = "nothing was put at its targets"
	}
	if len(unseen) > 0 {
		text += "; not seen: " + strings.Join(unseen, ", ")
	}
	return text
}

// act decides what is done with the clusters.
func (r *round) act() {
	r.findSources()
	for _, s := range r.sights {
		switch r.in.Goal {
		case GoalStop:
			s.stop()
		case GoalAbort:
			s.abort()
		default:
			s.prepare()
		}
	}
	if r.in.Goal == GoalStop || r.in.Goal == GoalAbort {
		return
	}
	for _, s := range r.sights { // by wave
		s.forward()
	}
	r.grant()
}
