package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// The simulation: clusters that upgrade by upstream's rules, hosts that compare fences as a real one does, and controllers
// that look, decide and act over a network that delays requests and loses answers. A tick is a second.

const (
	simStable  = 12 // ticks, of every controller's stable period
	simSpread  = 2  // ticks that the looks of one round are apart at most
	simPrimary = 5  // ticks between two checks of a primary for an upgrade
)

// simFile is a multiversion binary.
type simFile struct {
	sha256   string
	sum      multiversion.Checksum
	artifact Artifact // its releases and stops
}

// simReplica is one replica. Its file and its host are the host's.
type simReplica struct {
	host    *simHost
	index   int
	standby bool

	alive    bool
	serves   int // the tick from which it does
	stopped  int // by a signal, until that tick
	back     int // the tick at which it is started again
	pid      int
	born     int // tick
	died     int
	running  multiversion.Release
	durable  multiversion.Release
	armed    *simFile
	armedAt  int
	looked   *simFile // the file that it saw last
	offered  multiversion.Release
	view     uint32
	ops      uint64
	memory   map[int]simOffer // what the others offer, as pings said
	stranded bool             // the file lacks the release of its data
}

type simOffer struct {
	newest multiversion.Release
	view   uint32
	ops    uint64
}

// simHost is one host with one target.
type simHost struct {
	name     string
	up       bool
	upAt     int
	file     *simFile
	fence    *Fence
	session  *simController // that made the last claim
	stored   bool
	checked  map[*simController]bool
	replicas []*simReplica
	claims   map[string]bool // holders that were granted a claim
}

// simCluster is one cluster.
type simCluster struct {
	plan     *PlannedCluster
	hosts    []*simHost
	replicas []*simReplica // by index
	view     uint32
	viewAt   int
	down     int // ticks for which the primary does not serve
	runs     multiversion.Release
	ops      uint64
	promoted bool // a controller asked for the promotion
	foreign  bool // somebody else changed a file
	upgraded bool
	swapped  int // tick of the last swap
}

// simRequest is on its way to a host.
type simRequest struct {
	action     Action
	controller *simController
	arrives    int
	answers    int // 0: the answer is lost
	gives      int // the tick at which the controller gives up
	problem    *Problem
	class      fault.Class
	arrived    bool
	cut        bool // it never arrives
}

type simController struct {
	w        *simWorld
	id       string
	goal     Goal
	run      bool
	takeOver bool
	epochs   map[string]uint64
	began    int
	dead     bool
	stopped  int // until that tick
	away     map[*simHost]int
	memory   Memory
	requests []*simRequest
	outcomes []Outcome
	looks    map[*simHost]int
	seen     map[*simHost]Observation
	round    int
	ended    *Decision
	last     Decision
	unsure   map[string]bool // clusters of which a host has said that it does not know what it left
}

type simWorld struct {
	rng         *rand.Rand
	now         int
	plan        *Plan
	planID      string
	previous    *simFile
	artifact    *simFile
	other       *simFile
	clusters    []*simCluster
	hosts       map[string]*simHost
	controllers []*simController
	requests    []*simRequest // that have not arrived
	pids        int
	chaos       bool
	failures    []string
	trace       []string
	restless    bool // views change, replicas start again at once, and requests come late, all of it often
	torn        bool // a look shows a fence that is newer than the rest
	quiet       int  // how seldom something happens
	mv          bool // somebody else changes files in this schedule
	stats       *simStats
	decide      func(Input) Decision
}

// simStats are the figures of many schedules.
type simStats struct {
	Schedules, Ticks, Decisions, Swaps, Promotions, Aborts, Upgrades, Fenced, Lost, Unsure, Kills, Converged int
}

func (w *simWorld) fail(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf("tick %d: ", w.now)+fmt.Sprintf(format, args...))
}

func (w *simWorld) log(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%4d ", w.now)+fmt.Sprintf(format, args...))
}

func (w *simWorld) chance(one int) bool { return w.rng.IntN(one) == 0 }

func (w *simWorld) between(from, to int) int { return from + w.rng.IntN(to-from+1) }

// newSim makes a world of one to three clusters.
func newSim(seed uint64, stats *simStats) *simWorld {
	w := &simWorld{rng: rand.New(rand.NewPCG(seed, 7)), hosts: map[string]*simHost{}, planID: digestOf("e"), chaos: true, stats: stats, decide: Decide}
	w.now = 1
	old := w.chance(4) // the rule of before 0.16.16
	from, stop, to := release("0.17.2"), release("0.17.4"), release("0.17.8")
	if old {
		from, stop, to = release("0.16.10"), release("0.16.13"), release("0.16.20")
	}
	if w.chance(3) {
		stop = 0
	}
	next := Artifact{SHA256: digestOf("a"), Size: 1, Platform: multiversion.PlatformX86_64Linux, Release: to, Releases: []multiversion.Release{from}, Checksum: multiversion.Checksum{0xaa}}
	if stop != 0 {
		next.Releases, next.Visits = append(next.Releases, stop), []multiversion.Release{stop}
	}
	next.Releases = append(next.Releases, to)
	w.artifact = &simFile{next.SHA256, next.Checksum, next}
	w.previous = &simFile{digestOf("b"), multiversion.Checksum{0xbb}, Artifact{Release: from, Releases: []multiversion.Release{from}}}
	w.other = &simFile{digestOf("c"), multiversion.Checksum{0xcc}, Artifact{Release: to, Releases: next.Releases, Visits: next.Visits}}
	w.mv, w.quiet = w.chance(8), []int{1, 1, 3, 8}[w.rng.IntN(4)]
	w.torn = w.chance(2)
	if w.restless = w.chance(3); w.restless {
		w.quiet = 2
	}
	w.plan = &Plan{Version: PlanVersion, Author: "ana", Generation: 3, Artifact: next}
	for i := range w.between(1, 2) {
		w.addCluster(fmt.Sprintf("c%d", i), i+1, []int{1, 2, 3, 3, 3, 5, 6}[w.rng.IntN(7)], btoi(w.chance(4)), from)
	}
	if err := w.plan.Check(); err != nil {
		w.fail("%v", err)
	}
	return w
}

func (w *simWorld) addCluster(name string, wave, replicas, standbys int, from multiversion.Release) {
	planned := PlannedCluster{
		Name: name, ID: "0c-" + name, Wave: wave, Soak: time.Duration(w.between(0, 5)) * time.Second, Replicas: replicas, Standbys: standbys,
		Running: from, Hops: w.artifact.artifact.Hops(from), Holdback: Holdback(from, replicas),
	}
	c := &simCluster{view: uint32(w.between(0, 11)), runs: from}
	for index := range replicas + standbys {
		var h *simHost
		if len(c.hosts) > 0 && w.chance(12) {
			h = c.hosts[len(c.hosts)-1] // a host with two
		} else {
			h = &simHost{name: fmt.Sprintf("%s-%d", name, index), up: true, file: w.previous, checked: map[*simController]bool{}, claims: map[string]bool{}}
			c.hosts = append(c.hosts, h)
			w.hosts[h.name] = h
			planned.Hosts = append(planned.Hosts, PlannedHost{Name: h.name, Target: "/tb", Machine: "m-" + h.name, Previous: w.previous.sha256})
		}
		last := &planned.Hosts[len(planned.Hosts)-1]
		last.Replicas = append(last.Replicas, PlannedReplica{index, index >= replicas})
		r := &simReplica{host: h, index: index, standby: index >= replicas, running: from, durable: from, view: c.view}
		h.replicas = append(h.replicas, r)
		c.replicas = append(c.replicas, r)
		w.start(r)
		r.serves, r.born, r.armedAt = 0, 0, 0
	}
	w.plan.Clusters = append(w.plan.Clusters, planned)
	w.clusters = append(w.clusters, c)
	for i := range w.clusters {
		w.clusters[i].plan = &w.plan.Clusters[i]
	}
}

// start starts a replica from its host's file, which is the newest release; it looks into the data for the one to run.
func (w *simWorld) start(r *simReplica) {
	file := r.host.file
	r.memory, r.offered, r.looked, r.armed = map[int]simOffer{}, 0, nil, nil
	if !file.artifact.holds(r.durable) {
		r.alive, r.stranded, r.back = false, true, w.now+5 // it panics, and is started again
		return
	}
	w.pids++
	r.alive, r.stranded, r.pid, r.born, r.running, r.stopped = true, false, w.pids, w.now, r.durable, 0
	r.serves = w.now + w.between(2, 4)
	if w.restless {
		r.serves = w.now
	}
	w.take(r)
}

// take makes a replica look at its file.
func (w *simWorld) take(r *simReplica) {
	file := r.host.file
	if r.looked == file {
		return
	}
	r.looked = file
	offers := file.artifact.Offers(r.running)
	newest := slices.Max(append(offers, 0))
	if !slices.Contains(offers, r.running) || r.offered >= r.running && !slices.Contains(offers, r.offered) {
		return // refused
	}
	r.armed, r.armedAt, r.offered = file, w.now, newest
}

func (w *simWorld) serving(r *simReplica) bool {
	return r.alive && w.now >= r.serves && w.now >= r.stopped && r.host.up
}

func (w *simWorld) kill(r *simReplica, back int) {
	r.alive, r.back, r.died = false, back, w.now
	w.stats.Kills++
}

// cluster moves one cluster by a tick.
func (w *simWorld) cluster(c *simCluster) {
	for _, r := range c.replicas {
		if !r.alive && r.host.up && w.now >= r.back {
			w.start(r)
		}
	}
	primary := c.replicas[int(c.view)%c.plan.Replicas]
	up := 0
	for _, r := range c.replicas {
		if !r.standby && w.serving(r) {
			up++
		}
	}
	majority := c.plan.Replicas/2 + 1
	if w.serving(primary) {
		c.down = 0
	} else if c.down++; c.down > 3 && up >= majority {
		for range c.plan.Replicas {
			c.view++
			if w.serving(c.replicas[int(c.view)%c.plan.Replicas]) {
				break
			}
		}
		c.down, c.viewAt = 0, w.now
		w.log("%s: view %d", c.plan.Name, c.view)
	}
	if up >= majority && w.chance(3) {
		c.ops += 400
	}
	for _, r := range c.replicas {
		if !w.serving(r) {
			continue
		}
		w.take(r)
		r.view, r.ops = c.view, max(r.ops, c.ops/960*960)
		for _, other := range c.replicas {
			if !w.serving(other) || r.standby {
				continue
			}
			before, ok := other.memory[r.index]
			if !ok || r.ops >= before.ops && r.view >= before.view {
				other.memory[r.index] = simOffer{r.offered, r.view, r.ops}
			}
		}
	}
	w.upgrade(c, up >= majority)
}

// upgrade is the primary's check, and what the replicas do when it has decided.
func (w *simWorld) upgrade(c *simCluster, committing bool) {
	primary := c.replicas[int(c.view)%c.plan.Replicas]
	if w.now%simPrimary == 0 && w.serving(primary) && committing && primary.running == c.runs {
		quorum := c.plan.Replicas
		if c.runs < release("0.16.16") {
			quorum = max(quorum-1, quorum/2+1)
		}
		for _, hop := range slices.Backward(w.artifact.artifact.Releases) {
			offer := 0
			for index := range c.plan.Replicas {
				if primary.memory[index].newest >= hop {
					offer++
				}
			}
			if hop > c.runs && offer >= quorum && primary.offered >= hop {
				if !c.promoted && !c.foreign {
					w.fail("invariant 3: %s upgrades, and nobody promoted it", c.plan.Name)
				}
				w.log("%s upgrades from %s to %s", c.plan.Name, c.runs, hop)
				c.runs, c.upgraded = hop, true
				w.stats.Upgrades++
				break
			}
		}
	}
	for _, r := range c.replicas {
		if !w.serving(r) || r.running >= c.runs || !committing {
			continue
		}
		if r.armed == nil || !r.armed.artifact.holds(c.runs) {
			w.kill(r, w.now+5) // it cannot follow before it has the file
			continue
		}
		// It executes the other release: the process stays.
		r.running, r.durable = c.runs, c.runs
		r.serves = w.now + w.between(2, 4)
		file := r.armed
		r.offered = slices.Max(file.artifact.Offers(r.running))
		r.memory = map[int]simOffer{}
	}
}

// offering counts the voting replicas that have the artifact at their target or in memory, or run more than the cluster did.
func (w *simWorld) offering(c *simCluster) int {
	count := 0
	for _, r := range c.replicas {
		if !r.standby && (r.host.file != w.previous || r.alive && (r.armed != nil && r.armed != w.previous || r.running > c.plan.Running)) {
			count++
		}
	}
	return count
}

func (w *simWorld) begun(c *simCluster) bool {
	return c.upgraded || c.plan.Replicas-w.offering(c) < c.plan.Holdback
}

// arrive does a request at its host.
func (w *simWorld) arrive(q *simRequest) {
	a, h := q.action, w.hosts[q.action.Host]
	c := w.clusters[slices.IndexFunc(w.clusters, func(c *simCluster) bool { return c.plan.Name == a.Cluster })]
	before := h.fence
	refuse := func(err error) {
		q.class = fault.Of(err)
		q.problem = &Problem{Replica: -1, Reason: "refused", Message: err.Error()}
	}
	w.log("%s: %s %s %s %.9s", q.controller.id, a.Kind, a.Host, a.Phase, a.Artifact)
	switch a.Kind {
	case ActionStage:
		h.stored = true
	case ActionCheck:
		h.checked[q.controller] = h.stored
	case ActionClaim:
		granted, err := Claim(h.fence, a.Fence, w.sessionAlive(h), a.TakeOver)
		if err != nil {
			refuse(err)
			break
		}
		if granted.Previous == "" {
			granted.Previous = h.file.sha256
		}
		h.fence, h.session = &granted, q.controller
		h.claims[a.Fence.Holder.ID] = true
	case ActionPhase, ActionSwap, ActionRestart:
		if err := Match(h.fence, a.Fence); err != nil {
			refuse(err)
			break
		}
		if a.Kind == ActionSwap {
			if err := h.fence.Allows(a.Artifact, a.Phase); err != nil {
				refuse(err)
				break
			}
			if h.file.sha256 != a.Displaces && h.file.sha256 != a.Artifact {
				refuse(fault.New(fault.Busy, "another file is there than the one that was to be displaced"))
				break
			}
			w.swap(c, h, q)
			if w.chaos && w.chance(15) { // the directory could not be synced
				q.class, q.problem = fault.Unknown, &Problem{Replica: -1, Reason: ProblemSwap, Message: "input/output error"}
				w.stats.Unsure++
			}
		}
		if a.Kind == ActionRestart {
			for _, r := range h.replicas {
				if slices.Contains(a.Replicas, r.index) {
					w.kill(r, w.now+1)
				}
			}
		}
		if a.Phase != "" {
			h.fence = new(*h.fence)
			h.fence.Phase = a.Phase
		}
	}
	if before != nil && (h.fence.Generation < before.Generation || h.fence.Generation == before.Generation && h.fence.Epoch < before.Epoch) {
		w.fail("invariant 1: the fence of %s goes from %d.%d to %d.%d", h.name, before.Generation, before.Epoch, h.fence.Generation, h.fence.Epoch)
	}
}

// sessionAlive says that the session of the stored holder is open.
func (w *simWorld) sessionAlive(h *simHost) bool {
	return h.session != nil && !h.session.dead && h.session.ended == nil && w.now >= h.session.away[h]
}

// swap puts a file in place, and holds the invariants about that.
func (w *simWorld) swap(c *simCluster, h *simHost, q *simRequest) {
	file := w.artifact
	if q.action.Artifact == w.previous.sha256 {
		file = w.previous
	}
	w.stats.Swaps++
	begun := w.begun(c)
	if h.fence.Holder.ID != q.action.Fence.Holder.ID || h.fence.Epoch != q.action.Fence.Epoch {
		w.fail("invariant 2: %s is swapped for %s, and %s has it", h.name, q.controller.id, h.fence.Holder.ID)
	}
	if !begun {
		for _, other := range c.hosts {
			if !other.claims[q.action.Fence.Holder.ID] {
				w.fail("invariant 2: %s is swapped for %s, which never had %s", h.name, q.controller.id, other.name)
			}
		}
	}
	if file == w.previous && begun && !c.foreign {
		w.fail("after the promotion began the previous file is put back on %s", h.name)
	}
	h.file, c.swapped = file, w.now
	if !begun && w.begun(c) && !q.action.Promotes && !c.foreign {
		w.fail("invariant 3: the swap of %s for %s completes the quorum of %s, and is no promotion", h.name, q.controller.id, c.plan.Name)
	}
}

// promotes holds what must be so when a controller decides for a promotion on what it saw from a tick on.
func (w *simWorld) promotes(k *simController, a Action) {
	c := w.clusters[slices.IndexFunc(w.clusters, func(c *simCluster) bool { return c.plan.Name == a.Cluster })]
	if k.goal != GoalPromote {
		w.fail("invariant 3: %s promotes %s, and its goal is %s", k.id, a.Cluster, k.goal)
	}
	first := !c.promoted
	c.promoted = true
	if w.begun(c) || c.foreign {
		return
	}
	if first {
		w.stats.Promotions++
	}
	from, until := k.round-simStable+simSpread, k.round
	inside := func(tick int) bool { return tick > from && tick <= until }
	armed := 0
	for _, r := range c.replicas {
		if inside(r.born) && r.alive {
			w.fail("invariant 4: %s promotes %s, and replica %d was started at %d", k.id, a.Cluster, r.index, r.born)
		}
		if r.armed == w.artifact && !r.standby {
			armed++
			if inside(r.armedAt) {
				w.fail("invariant 4: %s promotes %s, and replica %d is armed since %d", k.id, a.Cluster, r.index, r.armedAt)
			}
		}
	}
	if inside(c.viewAt) {
		w.fail("invariant 4: %s promotes %s, and its view is of %d", k.id, a.Cluster, c.viewAt)
	}
	if free := c.plan.Replicas - armed; free > c.plan.Holdback && len(c.hosts) == len(c.replicas) {
		for _, r := range c.replicas {
			if !r.alive && r.back > until { // it died after the look
				return
			}
			if r.born > until || r.armedAt > until {
				return
			}
		}
		w.fail("invariant 4: %s promotes %s, and %d replicas are not armed", k.id, a.Cluster, free)
	}
}

// observe is what a host shows to a controller.
func (w *simWorld) observe(k *simController, h *simHost) Observation {
	o := Observation{Host: h.name, Target: "/tb", Room: -1, StoreRoom: -1}
	if !h.up || w.now < k.away[h] {
		o.Problem = &Problem{Replica: -1, Reason: "no-connection", Message: "no connection"}
		return o
	}
	o.Machine, o.Platform = "m-"+h.name, multiversion.PlatformX86_64Linux
	o.Installed = &InstalledFile{SHA256: h.file.sha256, Release: h.file.artifact.Release, Releases: h.file.artifact.Releases}
	if h.fence != nil {
		o.Fence = new(*h.fence)
	}
	o.Alive, o.Stored, o.Checked = w.sessionAlive(h), h.stored, h.checked[k]
	for _, r := range h.replicas {
		if !r.alive {
			continue
		}
		c := w.clusterOf(h)
		seen := Replica{
			PID: r.pid, Started: time.Unix(int64(r.born), 0), Polls: true, Cluster: c.plan.ID, Index: r.index, Count: c.plan.Replicas, Standby: r.standby,
			State: "running", Running: r.running, Durable: r.durable, View: r.view, Checkpoint: r.ops, Peers: c.plan.Replicas - 1, Answers: !r.standby,
		}
		if r.armed != nil {
			seen.Armed, seen.ArmedRelease = new(r.armed.sum), r.offered
		}
		switch {
		case w.now < r.stopped:
			seen.State, seen.Answers = "stopped", false
		case w.now < r.serves:
			seen.State, seen.Answers, seen.Running = "starting", false, 0
		}
		o.Replicas = append(o.Replicas, seen)
	}
	return o
}

func (w *simWorld) clusterOf(h *simHost) *simCluster {
	return w.clusters[slices.IndexFunc(w.clusters, func(c *simCluster) bool { return slices.Contains(c.hosts, h) })]
}

// begin starts a controller.
func (w *simWorld) begin(goal Goal, run, takeOver bool) *simController {
	k := &simController{
		w: w, id: fmt.Sprintf("k%d", len(w.controllers)), goal: goal, run: run, takeOver: takeOver, began: w.now, away: map[*simHost]int{},
	}
	var seen []Observation
	for _, c := range w.clusters {
		for _, h := range c.hosts {
			seen = append(seen, w.observe(k, h))
		}
	}
	k.epochs = NextEpochs(w.plan, w.planID, seen)
	w.controllers = append(w.controllers, k)
	var epochs []uint64
	for _, c := range w.plan.Clusters {
		epochs = append(epochs, k.epochs[c.Name])
	}
	w.log("%s begins: %s, run %v, epoch %s", k.id, goal, run, strings.Trim(fmt.Sprint(epochs), "[]"))
	return k
}

// step moves one controller by a tick: it looks at the hosts, each at its own tick, and when it has seen them all it decides.
func (w *simWorld) step(k *simController) {
	if k.dead || k.ended != nil || w.now < k.stopped {
		return
	}
	k.hear()
	if k.looks == nil {
		k.looks, k.seen, k.round = map[*simHost]int{}, map[*simHost]Observation{}, w.now
		for _, c := range w.clusters {
			for _, h := range c.hosts {
				k.looks[h] = w.now + w.between(0, simSpread)
			}
		}
	}
	for _, c := range w.clusters {
		for _, h := range c.hosts {
			if _, seen := k.seen[h]; !seen && w.now >= k.looks[h] {
				k.seen[h] = w.observe(k, h)
			}
		}
	}
	if len(k.seen) < len(k.looks) {
		return
	}
	in := Input{
		Plan: w.plan, PlanID: w.planID, Goal: k.goal, Run: k.run, Holder: Holder{ID: k.id, Who: k.id}, Epochs: k.epochs, Elapsed: time.Duration(k.round-k.began) * time.Second,
		Options: Options{Stable: simStable * time.Second, TakeOver: k.takeOver, Parallel: 4}, Memory: k.memory, Outcomes: k.outcomes,
	}
	for _, c := range w.clusters {
		for _, h := range c.hosts {
			o := k.seen[h]
			if again := w.observe(k, h); w.torn && o.Problem == nil && again.Problem == nil {
				o.Fence, o.Alive = again.Fence, again.Alive // that is read last, when the files are a while old
			}
			in.Observations = append(in.Observations, o)
		}
	}
	for _, q := range k.requests {
		in.Running = append(in.Running, q.action)
	}
	d := w.decide(in)
	w.stats.Decisions++
	k.last = d
	k.memory, k.outcomes, k.looks = d.Memory, nil, nil
	for _, a := range d.Actions {
		if a.Kind == ActionSwap && k.seen[w.hosts[a.Host]].Installed.SHA256 == w.other.sha256 {
			w.fail("drift: %s swaps %s, where it saw a file that is not the plan's", k.id, a.Host)
		}
		if a.Promotes {
			w.promotes(k, a)
		}
		if c := w.clusters[slices.IndexFunc(w.clusters, func(c *simCluster) bool { return c.plan.Name == a.Cluster })]; k.unsure[a.Cluster] && k.goal != GoalStop && !w.begun(c) {
			w.fail("%s goes on with %s of %s, of which a host does not know what it left", k.id, a.Kind, a.Host)
		}
		k.send(a)
	}
	if d.Done {
		k.ended = &d
		w.log("%s ends: %s", k.id, said(d))
		w.ends(k)
	}
}

// send puts a request on its way. It may arrive late, its answer may be lost, and the controller may give up before it arrives.
func (k *simController) send(a Action) {
	w := k.w
	q := &simRequest{action: a, controller: k, arrives: w.now + w.between(0, 1)}
	q.answers = q.arrives + w.between(1, 2)
	q.gives = w.now + 8
	if w.chaos && (w.chance(6) || w.restless && w.chance(3)) {
		q.arrives = w.now + w.between(1, 30)
		q.answers = q.arrives + 1
	}
	if w.chaos && w.chance(10) {
		q.answers = 0
		w.stats.Lost++
	}
	q.cut = w.chaos && w.chance(15)
	k.requests, w.requests = append(k.requests, q), append(w.requests, q)
	w.log("%s sends %s %s, arrives %d", k.id, a.Kind, a.Host, q.arrives)
}

// hear takes in answers, and gives up on those that do not come.
func (k *simController) hear() {
	left := k.requests[:0:0]
	for _, q := range k.requests {
		switch {
		case q.arrived && q.answers != 0 && k.w.now >= q.answers:
			k.outcomes = append(k.outcomes, Outcome{q.action, q.problem, q.class})
			if q.class == fault.Unknown {
				if k.unsure == nil {
					k.unsure = map[string]bool{}
				}
				k.unsure[q.action.Cluster] = true
			}
		case k.w.now >= q.gives:
			k.outcomes = append(k.outcomes, Outcome{q.action, &Problem{Replica: -1, Reason: "no-connection", Message: "no answer"}, fault.Failed})
		default:
			left = append(left, q)
			continue
		}
	}
	k.requests = left
}

// ends holds what must be so when a run says that it is done.
func (w *simWorld) ends(k *simController) {
	if k.ended.Class == fault.Fenced {
		w.stats.Fenced++
	}
	if len(k.unsure) > 0 && k.ended.Class != fault.Unknown && k.ended.Class != fault.Fenced {
		w.fail("%s ends with %q, and a host does not know what it left", k.id, k.ended.Class)
	}
	for _, c := range w.clusters {
		if k.ended.Class != fault.None || c.foreign || c.swapped >= k.round {
			continue
		}
		for _, r := range c.replicas {
			switch {
			case k.goal == GoalPromote && (r.host.file != w.artifact || r.durable != w.artifact.artifact.Release):
				w.fail("invariant 7: %s ends well, and replica %d of %s is at %s", k.id, r.index, c.plan.Name, r.durable)
			case k.goal == GoalAbort && (c.upgraded || r.host.file != w.previous || r.alive && r.born <= k.round && r.armed != w.previous):
				w.fail("invariant 6: %s has aborted %s, and replica %d is armed", k.id, c.plan.Name, r.index)
			case k.goal == GoalAbort && !r.alive && r.died < k.round:
				w.fail("invariant 6: %s has aborted %s, and replica %d does not run", k.id, c.plan.Name, r.index)
			}
		}
		if k.goal == GoalAbort {
			w.stats.Aborts++
		}
	}
}

// tick moves the world.
func (w *simWorld) tick() {
	w.now++
	w.stats.Ticks++
	if w.chaos {
		w.disturb()
	}
	for _, h := range w.hosts {
		if !h.up && w.now >= h.upAt {
			h.up = true
		}
	}
	left := w.requests[:0:0]
	for _, q := range w.requests {
		switch h := w.hosts[q.action.Host]; {
		case q.cut || !h.up:
		case w.now >= q.arrives && w.now >= q.controller.away[h]:
			q.arrived = true
			w.arrive(q)
		default:
			left = append(left, q)
		}
	}
	w.requests = left
	for _, c := range w.clusters {
		w.cluster(c)
	}
	for _, k := range w.controllers {
		w.step(k)
	}
}

// disturb does what operators fear.
func (w *simWorld) disturb() {
	if !w.chance(w.quiet) {
		return
	}
	c := w.clusters[w.rng.IntN(len(w.clusters))]
	r := c.replicas[w.rng.IntN(len(c.replicas))]
	switch {
	case w.chance(40) && r.alive:
		w.log("replica %d of %s is killed", r.index, c.plan.Name)
		w.kill(r, w.now+[]int{2, 5, 60}[w.rng.IntN(3)])
	case w.chance(80) && r.alive:
		r.stopped = w.now + w.between(1, 30)
	case w.chance(100) && r.host.up:
		w.log("%s is down", r.host.name)
		r.host.up, r.host.upAt, r.host.session = false, w.now+w.between(3, 60), nil
		for _, r := range r.host.replicas {
			w.kill(r, r.host.upAt+2)
		}
	case w.chance(100):
		c.view, c.viewAt = c.view+1, w.now
		w.log("%s: view %d", c.plan.Name, c.view)
	case w.restless && w.chance(12):
		c.view, c.viewAt = c.view+1, w.now
		w.log("%s: view %d", c.plan.Name, c.view)
	case w.restless && w.chance(12) && r.alive:
		w.log("replica %d of %s is started again", r.index, c.plan.Name)
		w.kill(r, w.now)
	case w.mv && w.chance(60):
		file := w.artifact
		if w.chance(4) {
			file = w.other
		}
		w.log("somebody puts %.9s on %s", file.sha256, r.host.name)
		r.host.file, c.foreign = file, true
	}
	if living := slices.ContainsFunc(w.controllers, func(k *simController) bool { return !k.dead && k.ended == nil }); !living || !w.restless && w.chance(60/w.quiet) || w.chance(150) {
		w.begin([]Goal{GoalPromote, GoalPromote, GoalPromote, GoalArm, GoalAbort, GoalAbort, GoalStop, GoalProve}[w.rng.IntN(8)], !w.chance(4), w.chance(2))
	}
	if w.restless && len(w.controllers) > 1 {
		return // of the controllers nothing is asked besides
	}
	k := w.controllers[w.rng.IntN(len(w.controllers))]
	switch {
	case w.chance(60):
		k.dead = true
	case w.chance(60):
		k.stopped = w.now + w.between(3, 60)
	case w.chance(50):
		k.away[r.host] = w.now + w.between(2, 70)
	}
}

// simulate runs one schedule: disturbances first, and then one command again and again until it says that it has reached what it
// is for.
func simulate(seed uint64, stats *simStats, decide func(Input) Decision) *simWorld {
	w := newSim(seed, stats)
	w.decide = decide
	stats.Schedules++
	for range w.between(60, 220) {
		w.tick()
		if len(w.failures) > 0 {
			return w
		}
	}
	w.chaos = false
	w.log("it is calm")
	goal := GoalPromote
	if w.chance(3) {
		goal = GoalAbort
	}
	for range 8 {
		k := w.begin(goal, true, true)
		for range 400 {
			w.tick()
			if k.ended != nil || len(w.failures) > 0 {
				break
			}
		}
		if len(w.failures) > 0 {
			return w
		}
		if k.ended == nil {
			w.fail("invariant 8: %s does not end: %s, %+v", k.id, said(k.last), k.last.Clusters)
			return w
		}
		if w.converged(k) {
			stats.Converged++
			return w
		}
	}
	w.fail("invariant 8: the same command does not get there")
	return w
}

// converged says that a run ended as it had to. What somebody else did to a file may be what hinders it.
func (w *simWorld) converged(k *simController) bool {
	switch reasons := reasonsOf(k.ended.Blocked); {
	case k.ended.Class == fault.None:
		return true
	case w.mv:
		return k.ended.Class == fault.Refused
	case k.goal == GoalAbort:
		return reasons == string(ProblemPromotionBegun)
	}
	return false
}
