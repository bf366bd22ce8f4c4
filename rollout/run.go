package rollout

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/state"
)

const (
	// IntervalDefault is the time from one look to the next.
	IntervalDefault = time.Second

	// lookPatience is how long a look waits for a host. One that takes longer is not seen by it, and no later look waits for
	// it until it has answered.
	lookPatience = 10 * time.Second
	// looksMax is how many hosts are looked at at the same time.
	looksMax = 64

	// endingPatience is for how long a run of the same plan that has a host may be one that is just ending.
	endingPatience = 5 * time.Second
	// overPatience is how long what is under way is waited for when the time of a run is over; looks have at least overLook then.
	overPatience = 5 * time.Second
	overLook     = time.Second

	saveAfter   = 10 * time.Second      // what is counted is kept, also where nothing is done
	pauseMin    = 20 * time.Millisecond // between two looks, whatever happens
	actionLimit = 10 * time.Minute      // of everything but sending an artifact
	sendLimit   = time.Hour

	waitedForMax = 3 // that the obstacle of a run whose time is over names; the others are shown besides
)

// Options say what a run is to do.
type Options struct {
	Plan *fleet.Plan
	ID   string // of the plan
	File string // of the plan, for the commands that are shown

	Goal     fleet.Goal
	Run      bool     // make the changes of all phases up to the goal, wave after wave
	Clusters []string // by name; none: all of the plan
	Holder   fleet.Holder
	Secret   fleet.Secret // of the holder; each host is shown its own, see [fleet.Secret.For]
	Rules    fleet.Options

	Hosts    func(name string) Host // the same name is the same host
	Artifact *Artifact              // nil: nothing is to be sent
	Registry *Registry              // nil: there is none that hosts fetch from

	// Shared is where plans are numbered, and the clusters held, see [Hold], if the goal may swap a file there; nil: nowhere. Others is told
	// who else holds one, and is taken over from, and Warn what hinders nothing.
	Shared state.Store
	Others func(state.Holder)
	Warn   func(error)

	// Guard, unless nil, may refuse to change anything any more: it is asked before hosts are, and the run ends with its error.
	Guard func(context.Context) error

	Interval time.Duration // from one look to the next; 0: [IntervalDefault]
	Timeout  time.Duration // of all; what is under way then is waited for a few seconds more; 0: none

	// Linger lets a run that may not change anything any more, since another one has the hosts, go on showing for as long as a
	// rollout holds one of them.
	Linger bool

	Journal *Journal
	// Show, unless nil, is told how far the rollout is, after each look. It is never called twice at the same time, and may
	// keep what it gets.
	Show func(*report.Rollout)
}

// Error says why a run ended before its goal.
type Error struct {
	Goal     fleet.Goal
	Problems []fleet.Problem // what blocks, the places that hinder each
	Worst    fault.Class
}

// First is the first obstacle of the class that the run ends with, if possible one with a hint; nil: there is none.
func (e *Error) First() *fleet.Problem {
	if len(e.Problems) == 0 {
		return nil
	}
	worst := func(p fleet.Problem) bool { return p.Class() == e.Worst }
	index := slices.IndexFunc(e.Problems, func(p fleet.Problem) bool { return worst(p) && p.Hint != "" })
	if index < 0 {
		index = slices.IndexFunc(e.Problems, worst)
	}
	return &e.Problems[max(index, 0)]
}

// Error names the first obstacle, and how many others there are.
func (e *Error) Error() string {
	first := e.First()
	if first == nil {
		return fmt.Sprintf("the run has ended, and not all clusters are where %s was to bring them", e.Goal)
	}
	text := first.Error()
	if first.Cluster != "" && first.Host != "" {
		text = first.Cluster + ", " + text
	}
	switch more := len(e.Problems) - 1; {
	case more == 1:
		text += "; and another obstacle"
	case more > 1:
		text += fmt.Sprintf("; and %d more obstacles", more)
	}
	return text
}

// Class is the worst of all hosts.
func (e *Error) Class() fault.Class { return e.Worst }

// machine is one run.
type machine struct {
	Options
	ctx     context.Context
	end     context.CancelCauseFunc // of ctx
	began   time.Time
	targets []*target
	memory  fleet.Memory
	epochs  map[string]uint64
	last    fleet.Decision

	running  []fleet.Action
	finished chan fleet.Outcome
	outcomes []fleet.Outcome // since the last decision
	actions  sync.WaitGroup

	looks map[string]*pending // by host
	seats chan struct{}       // of looks

	mu sync.Mutex // for what requests count
	// noRegistry is why no host fetches from the registry any more; "": they do.
	noRegistry string
	counters   Counters
	saved      Counters      // those that are in the counters of all runs already
	savedAt    time.Duration // from the beginning
}

// pending is a look at a host that is under way.
type pending struct {
	done chan struct{} // closed when it has ended
	look look
}

// Run carries a plan out, and returns when the goal is reached, when nothing more can be done in this run, or with the context.
// Whatever it ends with, what was seen last is returned; nil where a cluster is held by another run. The error is nil when the goal is reached by all clusters that are meant, an
// [*Error], or the context's.
func Run(ctx context.Context, options Options) (*report.Rollout, error) {
	warning, err := options.numbered(ctx)
	if err != nil {
		return nil, err
	}
	if warning != nil && options.Warn != nil {
		options.Warn(warning)
	}
	if options.Shared != nil && options.Goal.Swaps() {
		held, others, end, err := Hold(ctx, options.Shared, options.Plan, options.Clusters, options.Holder.Who, options.Rules.TakeOver)
		if err != nil {
			return nil, err
		}
		defer end()
		ctx = held
		for _, other := range others {
			options.Others(other)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	m := &machine{
		Options: options, ctx: ctx, end: cancel, began: time.Now(), finished: make(chan fleet.Outcome), looks: make(map[string]*pending),
		seats: make(chan struct{}, looksMax), counters: newCounters(),
	}
	if m.Interval <= 0 {
		m.Interval = IntervalDefault
	}
	m.counters.Runs = 1
	for c := range m.Plan.Clusters {
		cluster := &m.Plan.Clusters[c]
		if !m.meant(cluster.Name) {
			continue
		}
		for h := range cluster.Hosts {
			planned := &cluster.Hosts[h]
			m.targets = append(m.targets, &target{cluster: cluster, planned: planned, host: m.Hosts(planned.Name), attempts: make(map[Request]int)})
		}
	}
	err = m.loop()
	m.save()
	return m.report(), err
}

func (m *machine) meant(name string) bool {
	return len(m.Clusters) == 0 || slices.Contains(m.Clusters, name)
}

// loop looks, decides and does, until it is over.
func (m *machine) loop() error {
	defer m.settle()
	for {
		elapsed, began := time.Since(m.began), time.Now()
		m.look()
		if m.ctx.Err() != nil {
			return context.Cause(m.ctx)
		}
		if m.epochs == nil {
			if elapsed < endingPatience && m.mayBeEnding() {
				if err := m.wait(began); err != nil {
					return err
				}
				continue
			}
			m.epochs = fleet.NextEpochs(m.Plan, m.ID, m.observations())
		}
		m.decide(elapsed)
		if len(m.last.Actions) > 0 || elapsed-m.savedAt >= saveAfter {
			m.savedAt = elapsed
			m.save()
		}
		if m.Guard != nil && len(m.last.Actions) > 0 {
			if err := m.Guard(m.ctx); err != nil {
				return err
			}
		}
		for _, action := range m.last.Actions {
			m.begin(action)
		}
		if m.last.Done && (len(m.running) == 0 || m.over(overPatience)) && !m.lingers() {
			return m.ended()
		}
		if err := m.wait(began); err != nil {
			return err
		}
	}
}

// mayBeEnding says that a host is held by a run of the same plan whose session is open: what a controller that has just ended leaves
// on a slow host, until that finds out.
func (m *machine) mayBeEnding() bool {
	if m.Rules.TakeOver || !m.Goal.Swaps() {
		return false
	}
	return slices.ContainsFunc(m.targets, func(t *target) bool {
		fence := t.seen.Fence
		return fence != nil && fence.Plan == m.ID && fence.Phase.Holds() && t.seen.Alive
	})
}

// save adds what was counted since the last time to the counters of all runs: a run that is killed has counted too.
func (m *machine) save() {
	m.mu.Lock()
	now := newCounters()
	now.add(m.counters)
	m.mu.Unlock()
	m.Journal.count(now.since(m.saved))
	m.saved = now
}

// lingers says that a run which may change nothing any more goes on showing.
func (m *machine) lingers() bool {
	if !m.Linger || m.last.Memory.Fenced == nil || m.over(0) {
		return false
	}
	return slices.ContainsFunc(m.targets, func(t *target) bool { return t.seen.Fence != nil && t.seen.Fence.Phase.Holds() })
}

// ended is what the run ends with.
func (m *machine) ended() error {
	if m.last.Class == fault.None {
		return nil
	}
	failed := &Error{Goal: m.Goal, Worst: m.last.Class}
	for _, problem := range m.last.Blocked {
		failed.Problems = append(failed.Problems, m.named(problem))
	}
	return failed
}

// settle gives up what is under way, and waits until that has ended.
func (m *machine) settle() {
	m.end(errOver)
	ended := make(chan struct{})
	go func() {
		m.actions.Wait()
		close(ended)
	}()
	for {
		select {
		case <-m.finished:
		case <-ended:
			return
		}
	}
}

// decide asks the rules.
func (m *machine) decide(elapsed time.Duration) {
	earlier := m.last
	before := earlier.Clusters
	over := m.Timeout > 0 && elapsed >= m.Timeout
	m.last = fleet.Decide(fleet.Input{
		Plan: m.Plan, PlanID: m.ID, Goal: m.Goal, Run: m.Run, Clusters: m.Clusters, Holder: m.Holder, Secret: m.Secret, Epochs: m.epochs,
		Observations: m.observations(), Elapsed: elapsed, Deadline: over,
		Options: m.Rules, Memory: m.memory, Running: m.running, Outcomes: m.outcomes,
	})
	m.memory, m.outcomes = m.last.Memory, nil
	m.counters.Looks++
	for index := range before {
		state := &m.last.Clusters[index]
		if len(state.Misses) > 0 && before[index].Stable > 0 && !over {
			m.counters.StableAgain++
		}
		if m.last.Done && state.Step == fleet.StepWaiting { // nothing is decided any more: it is where it was
			state.Step = before[index].Step
		}
	}
	m.stillWaits(&earlier)
	if m.Show != nil {
		m.Show(m.report())
	}
}

func (m *machine) observations() []fleet.Observation {
	shown := make([]fleet.Observation, len(m.targets))
	for index, t := range m.targets {
		shown[index] = t.seen
	}
	return shown
}

// look looks at every host once. A host of which an earlier look has not ended is not waited for, and not seen.
func (m *machine) look() {
	fresh := make(map[string]*pending)
	for _, t := range m.targets {
		name := t.planned.Name
		if fresh[name] != nil || m.looks[name] != nil && !m.looks[name].over() {
			continue
		}
		next := &pending{done: make(chan struct{})}
		fresh[name], m.looks[name] = next, next
		wanted := m.wanted(name)
		go func() {
			defer close(next.done)
			select {
			case m.seats <- struct{}{}:
				defer func() { <-m.seats }()
			case <-m.ctx.Done():
				next.look = look{err: context.Cause(m.ctx)}
				return
			}
			next.look = lookAt(m.ctx, t.host, wanted)
		}()
	}
	patience := m.patience()
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	for _, each := range fresh {
		select {
		case <-each.done:
		case <-ctx.Done():
		}
	}
	for _, t := range m.targets {
		seen := fresh[t.planned.Name]
		if seen == nil || !seen.over() {
			m.observe(t, look{err: silent(t.planned.Name, patience), took: patience})
			continue
		}
		m.observe(t, seen.look)
	}
}

// patience is how long a look waits for a host, so that the run ends soon after its time is over.
func (m *machine) patience() time.Duration {
	if m.Timeout <= 0 {
		return lookPatience
	}
	return min(lookPatience, max(m.Timeout+overPatience-time.Since(m.began), overLook))
}

// wanted is the artifact that is to be looked for in a host's store; "": none is. To stage it is to bring it in any case, which
// hashes it there.
func (m *machine) wanted(name string) string {
	missing := func(t *target) bool { return t.planned.Name == name && !t.stored }
	if m.Goal == fleet.GoalStage || !slices.ContainsFunc(m.targets, missing) {
		return ""
	}
	return sha.Digits(m.Plan.Artifact.SHA256)
}

// silent says that a host has not answered a look yet.
func silent(host string, patience time.Duration) error {
	return &remote.SessionError{Host: host, Reason: remote.ReasonSilent, Err: fmt.Errorf("it did not answer within %v", patience)}
}

func (p *pending) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits for the time of the next look: an interval after the last one began, or when all that was under way has ended.
func (m *machine) wait(began time.Time) error {
	next := time.NewTimer(max(pauseMin, m.Interval-time.Since(began)))
	defer next.Stop()
	for {
		select {
		case outcome := <-m.finished:
			m.take(outcome)
			if len(m.running) == 0 {
				next.Reset(pauseMin)
			}
		case <-next.C:
			return nil
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
	}
}
