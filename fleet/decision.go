package fleet

import (
	"time"

	"github.com/tbctl/tbctl/fault"
)

// Goal is how far a run is to bring the clusters.
type Goal string

// The goals. Each implies the looks and checks of those before it, and their changes only with [Input].Run.
const (
	GoalStage   Goal = "stage"   // the artifact is in the store of every host, and was hashed there
	GoalCheck   Goal = "check"   // every host has checked it
	GoalArm     Goal = "arm"     // all replicas but the holdback hold it
	GoalProve   Goal = "prove"   // the clusters were stable for the whole period
	GoalPromote Goal = "promote" // all run it
	GoalAbort   Goal = "abort"   // the previous file is back, nobody is armed, and all serve
	GoalStop    Goal = "stop"    // no run of the plan can change anything
)

// Swaps says that a run with the goal may change which file is at a target. One that stages changes no target, and one that stops takes
// the hosts from those who do.
func (g Goal) Swaps() bool {
	return g == GoalArm || g == GoalProve || g == GoalPromote || g == GoalAbort
}

// Final says that there is no way back from the goal.
func (g Goal) Final() bool { return g == GoalPromote }

// Input is what is to be decided from: the plan, what is to be reached, and what was seen. Nothing else is.
type Input struct {
	Plan     *Plan
	PlanID   string
	Goal     Goal
	Run      bool     // make the changes of all phases up to the goal, wave after wave
	Clusters []string // names of those meant; none: all of the plan

	Holder Holder            // of this run
	Secret Secret            // of the holder
	Epochs map[string]uint64 // of this run, by the names of the plan's clusters: see [NextEpochs]

	// Observations are of one look at every place of the clusters meant. Elapsed is when the first of those looks began,
	// from the start of the run, by a clock that never jumps: no wall clock is asked for anything.
	Observations []Observation
	Elapsed      time.Duration
	Deadline     bool // the time that the run may take is over

	Options  Options
	Memory   Memory    // what the last Decide of this run returned; the zero value for the first
	Running  []Action  // that had begun, and had not ended when the looks began
	Outcomes []Outcome // of those that have ended since the last Decide
}

// Options are what the operator says of a run.
type Options struct {
	Parallel  int           // hosts that are worked on at the same time; 0: 8
	Stable    time.Duration // how long a cluster is seen to be stable before it is promoted; 0: a minute
	MaxFailed int           // clusters of the whole rollout that may be blocked while others go on
	MinCopies int           // hosts that get the artifact from here before others copy it from them; 0: 2
	TakeOver  bool          // take hosts from another run that is alive
	// AcceptUnseen lets a cluster be stable though the connections of its replicas cannot be seen, where it is
	// known why.
	AcceptUnseen bool
	// CheckpointOps is how many operations there are between two checkpoints; 0: 960, as upstream builds it.
	CheckpointOps uint64
	Calm          time.Duration // between two steps of an abort; 0: [AbortCalm]
}

// The defaults of [Options], and figures that are not the operator's to choose.
const (
	ParallelDefault      = 8
	StableDefault        = time.Minute
	MinCopiesDefault     = 2
	CheckpointOpsDefault = 960

	// LookGapMax is how far two looks may be apart so that what both show is taken to have been so between them.
	LookGapMax = 45 * time.Second
	// AbortCalm is how long a cluster is seen to serve, in one view, before the next host's file is put back.
	AbortCalm = 5 * time.Second
	// UnreachableMax is for how long a host that cannot be looked at is waited for before its cluster is blocked.
	UnreachableMax = time.Minute

	attemptsMax  = 3                // of the same action on the same host
	restartPause = 30 * time.Second // between two of them

	// Of the same action on the same host so much time is between one and the next, whatever the host answers: the first pause, and each the
	// double of the one before it.
	againFirst   = time.Second
	againLongest = 30 * time.Second
)

// ActionKind is what is to be done.
type ActionKind string

// The kinds.
const (
	ActionStage   ActionKind = "stage"   // bring the artifact into the host's store
	ActionCheck   ActionKind = "check"   // let the host check what is in its store; changes nothing
	ActionClaim   ActionKind = "claim"   // claim the target
	ActionPhase   ActionKind = "phase"   // note how far the rollout is with the target, or give it back
	ActionSwap    ActionKind = "swap"    // put a file of the store at the target
	ActionRestart ActionKind = "restart" // start the replicas that run from the target again
)

// Action is one thing to do on one host.
type Action struct {
	Kind    ActionKind `json:"kind"`
	Cluster string     `json:"cluster"` // by name
	Host    string     `json:"host"`
	Target  string     `json:"target"`

	// Fence is what the host compares, of a claim, a phase, a swap and a restart.
	Fence    Fence `json:"fence,omitzero"`
	TakeOver bool  `json:"take_over,omitempty"` // of a claim: also from a run that is alive
	Phase    Phase `json:"phase,omitempty"`     // that is noted, of a phase and a swap

	Artifact  string `json:"artifact,omitempty"`  // sha256:HEX, of stage, check and swap
	Displaces string `json:"displaces,omitempty"` // sha256:HEX of the file that is to be there before, of a swap
	From      string `json:"from,omitempty"`      // of stage: the host whose depot has it; "": it is sent from here
	Depot     string `json:"depot,omitempty"`     // of stage: the address of that depot

	Replicas []int `json:"replicas,omitempty"` // indices, of a restart
	// Promotes says that the swap completes the quorum. Whatever its answer is, nothing is put back afterwards.
	Promotes bool `json:"promotes,omitempty"`
}

// Outcome is what came of an action. An answer that was lost is a problem of class failed: what was done is seen at
// the next look.
type Outcome struct {
	Action  Action
	Problem *Problem    // nil: it was done
	Class   fault.Class // of the problem
}

// Decision is what to do now, and why nothing else.
type Decision struct {
	Actions  []Action       // none of which the observations do not justify
	Deferred int            // actions that wait until fewer hosts are at work
	Waits    []Problem      // what is waited for, each with its reason
	Blocked  []Problem      // why clusters do not go on in this run, unless it is mended
	Clusters []ClusterState // of those meant, in the plan's order
	Done     bool           // this run has nothing more to do: all clusters are at the goal, or do not go on
	Class    fault.Class    // with Done: what it ends with; "": the goal is reached by all
	Memory   Memory         // for the next Decide
}

// Step is how far a cluster is, for showing.
type Step string

// The steps.
const (
	StepWaiting   Step = "waiting"   // for its wave
	StepUnseen    Step = "unseen"    // none of its hosts could be looked at
	StepStaging   Step = "staging"   // the artifact is not on all hosts
	StepChecking  Step = "checking"  // not all hosts have checked it
	StepStaged    Step = "staged"    // it is on all hosts, and checked
	StepArming    Step = "arming"    // not all but the holdback hold it
	StepArmed     Step = "armed"     // all but the holdback hold it
	StepPromoting Step = "promoting" // the quorum is complete, or a holdback was swapped
	StepDone      Step = "done"      // all run it
	StepAborting  Step = "aborting"  // the previous file is being put back
	StepAborted   Step = "aborted"   // it is back, and all serve
	StepStopped   Step = "stopped"   // given back
)

// ClusterState is one cluster as it was seen, for showing.
type ClusterState struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	Wave int    `json:"wave"`
	Step Step   `json:"step"`

	Hosts     int `json:"hosts"`
	Reachable int `json:"reachable"` // hosts
	Staged    int `json:"staged"`    // hosts
	Checked   int `json:"checked"`   // hosts
	Claimed   int `json:"claimed"`   // hosts that this run has

	Replicas int      `json:"replicas"` // without standbys
	Serving  int      `json:"serving"`  // of them
	Armed    int      `json:"armed"`    // of them
	Arm      int      `json:"arm"`      // of them that are armed before promote
	Offering int      `json:"offering"` // of them that offer a newer release, or may
	Quorum   int      `json:"quorum"`   // of them that must, so that the cluster upgrades
	Upgraded int      `json:"upgraded"` // of them that run the artifact's release
	Primary  int      `json:"primary"`  // index; -1: not known
	Holdback []string `json:"holdback"` // hosts that promote swaps

	WouldPromote bool          `json:"would_promote"` // the next swap completes the quorum, or may
	Stable       time.Duration `json:"stable"`        // nanoseconds for which it has been stable
	StableFor    time.Duration `json:"stable_for"`    // nanoseconds for which it must be
	Soaked       time.Duration `json:"soaked"`        // nanoseconds since it was seen done
	SoakFor      time.Duration `json:"soak_for"`      // nanoseconds that must be before the next wave
	Misses       []Problem     `json:"misses"`        // why it is not stable; of a run whose time is over, why it was not last
	NotRestarted []Problem     `json:"not_restarted"` // hosts that have the file from before the plan again, under replicas that hold the new one
}

// Memory is what only time can tell, kept from one Decide of a run to its next. It is never trusted by another run:
// that looks.
type Memory struct {
	Last       time.Duration            // Elapsed of the last Decide
	Looked     bool                     // there was one
	Clusters   map[string]ClusterMemory // by name
	Gone       map[string]time.Duration // hosts that cannot be looked at, since when
	BadSources map[string]bool          // hosts whose depots failed to give what they have
	Failures   map[string]Failure       // of actions, by kind and place
	Asked      map[string]bool          // places at which a swap to the artifact was asked for: its request may still arrive
	Unsure     map[string]Problem       // places of which a host said that it does not know what an action left there
	Busy       map[string]Busy          // places at which another process was at work when the last action began, or ended
	Begun      map[string]Begun         // actions, by kind, phase and place
	Fenced     *Problem                 // another run or plan has a host: nothing is changed any more
}

// ClusterMemory is what is remembered of one cluster.
type ClusterMemory struct {
	Steady   bool          // it has been stable since
	Since    time.Duration // then
	View     uint32
	Replicas map[int]Process // by index
	Missed   []Problem       // at the last look that was not stable; none: there was none in this run
	Claimed  bool            // all hosts were seen to be ours, at an earlier look
	Promoted bool            // the swap of its holdback was asked for
	At       map[string]bool // places that had the plan's file at their target when this run last saw them
	Done     bool            // it was seen done
	DoneAt   time.Duration   // then first
}

// Process tells a process from the next that has its number.
type Process struct {
	PID     int
	Started time.Time
}

// Begun is how often an action was begun at a place.
type Begun struct {
	Count int
	Last  time.Duration
}

// due says whether the action may be begun again.
func (b Begun) due(now time.Duration) bool {
	return b.Count == 0 || now-b.Last >= min(againFirst<<min(b.Count-1, 10), againLongest)
}

// Busy is another process at a place.
type Busy struct {
	Who  string // as the look had it; "": it did not show one
	Said string // the host's answer to the action; "": it has not answered yet
}

// Failure is an action that did not succeed.
type Failure struct {
	Count   int
	Last    time.Duration
	Final   bool // it is not tried again
	Problem Problem
	Class   fault.Class
}

// NextEpochs are the epochs of a run that begins, by the names of the plan's clusters: each is higher than what the cluster's hosts have seen of
// the plan, and no higher than what each of them takes. A host that has seen a higher one is not followed; the run finds that it has it.
func NextEpochs(plan *Plan, planID string, observations []Observation) map[string]uint64 {
	fences := map[[2]string]*Fence{}
	for i := range observations {
		o := &observations[i]
		fences[[2]string{o.Host, o.Target}] = o.Fence
	}
	next := map[string]uint64{}
	for _, cluster := range plan.Clusters {
		var epochs []uint64
		base := uint64(GenerationMax) // the lowest
		for _, host := range cluster.Hosts {
			from := uint64(0)
			f := fences[[2]string{host.Name, host.Target}]
			if f != nil && f.Generation == plan.Generation && f.Plan == planID {
				if f.Overruled { // it takes any
					continue
				}
				epochs = append(epochs, f.Epoch)
				if f.Base.Generation == f.Generation {
					from = f.Base.Epoch
				}
			}
			base = min(base, from)
		}
		next[cluster.Name] = reached(0, min(base+EpochLeapMax, GenerationMax)-1, epochs) + 1
	}
	return next
}
