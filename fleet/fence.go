package fleet

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
)

const (
	// GenerationMax is the highest generation and the highest epoch.
	GenerationMax = 1<<31 - 1
	// GenerationLeapMax and EpochLeapMax are how far a claim's generation, and its epoch, are above those of the last run that changed
	// something at most: see [Base]. Of a target that no rollout ever claimed they are themselves no higher.
	GenerationLeapMax = 1_000_000
	EpochLeapMax      = 1_000_000
	// followMax is how far a host's generation is above the number of plans at most so that a plan gets a higher one, and so how far that of a
	// plan may be. It is far less than what a host takes, and what hosts say is never counted as plans: so no host leads the numbers to where
	// another does not follow.
	followMax = 100_000

	whoSizeMax = 256 // bytes of a holder's name
	idSizeMax  = 64  // bytes of a holder's or a cluster's id
)

// Phase is how far a rollout is on one host.
type Phase string

// The phases. While a rollout is in one of the first three it holds the host: only its
// holder may change the target there.
const (
	PhaseClaimed  Phase = "claimed"  // the rollout holds the host, and has changed nothing
	PhaseArmed    Phase = "armed"    // the new file is at the target
	PhaseAborting Phase = "aborting" // the previous file is being put back

	PhaseDone    Phase = "done"    // the rollout has ended: the cluster runs the release
	PhaseAborted Phase = "aborted" // the rollout has ended: the previous file is back
	PhaseStopped Phase = "stopped" // given back before its end; the target is as the rollout left it
)

// Holds says that a rollout in this phase holds the host.
func (p Phase) Holds() bool { return p == PhaseClaimed || p == PhaseArmed || p == PhaseAborting }

func (p Phase) known() bool {
	return p.Holds() || p == PhaseDone || p == PhaseAborted || p == PhaseStopped
}

// Holder is one run of a controller.
type Holder struct {
	ID    string    `json:"id"`    // the SHA-256 of the run's [Secret], the same on all hosts: it proves nothing
	Who   string    `json:"who"`   // user and machine, for people
	Since time.Time `json:"since"` // by the controller's clock, for people: nothing is decided by it
}

// Base are the numbers of the last run that changed a target, or of the first that claimed it. What the numbers of a claim may be is measured
// from them: who claims a target, changes nothing, and claims it again gets no further.
type Base struct {
	Generation uint64 `json:"generation"`
	Epoch      uint64 `json:"epoch"`
}

// whose says whose generation it is.
func (b Base) whose() string {
	if b.Generation == 0 {
		return "0, and no rollout has changed this target yet"
	}
	return fmt.Sprintf("that of the last run that changed something, %d", b.Generation)
}

// Fence says which rollout a host's target belongs to, and who acts for it. It is kept in the
// target's state on the host and compared there under the target's lock. It only
// ever goes forward: by generation, and within one by epoch.
type Fence struct {
	Generation uint64 `json:"generation"` // of the plan: a newer plan has a higher one
	Epoch      uint64 `json:"epoch"`      // of the run: each run that changes something has a higher one
	Plan       string `json:"plan"`       // sha256:HEX of the plan's file
	Cluster    string `json:"cluster"`    // the id that the data files of the cluster have
	Holder     Holder `json:"holder"`
	Proof      string `json:"proof,omitempty"` // the SHA-256 of what the run shows to this host alone, see [Secret.For]
	Phase      Phase  `json:"phase"`
	Artifact   string `json:"artifact"`           // sha256:HEX of the file that the plan brings
	Previous   string `json:"previous,omitempty"` // sha256:HEX of the file that was at the target before it; "": none was

	Base Base `json:"base,omitzero"`
	// Overruled says that on the host itself the claim was gone through, see [Fence.Overrule].
	Overruled bool `json:"overruled,omitempty"`
	// PutBack says that a run of the plan has put the previous file back, and that the replicas were not restarted since.
	PutBack bool `json:"put_back,omitempty"`
	// Restarts is how many restarts of the replicas were begun since the target was first changed after it was claimed.
	Restarts uint64 `json:"restarts,omitempty"`
}

// RestartsMax is how many restarts are begun at most until another claim changes the target: see [Fence.Restarts].
const RestartsMax = attemptsMax

// AnyPlan is the command by which root lets any plan have a target, on its host: nothing but what the fence says is changed by it.
const AnyPlan = "tbctl install TARGET TARGET --despite-rollout"

// Overrule is the fence when the target was changed on the host itself, or was to be, whatever the fence says: the next claim may be of any
// plan and run, also of earlier ones. Who has the target keeps it until then.
func (f Fence) Overrule() Fence {
	f.Overruled = true
	return f
}

// Changed is the fence when its run has changed the target in a phase. Restarts are counted for the claim, however often its run changes the target.
func (f Fence) Changed(phase Phase) Fence {
	if !f.begun() {
		f.Base, f.Restarts = Base{f.Generation, f.Epoch}, 0
	}
	f.Phase, f.PutBack = phase, phase == PhaseAborting
	return f
}

// begun says that the last change of the target is of the run that has it, or that it is the first that ever claimed it.
func (f Fence) begun() bool { return f.Base == Base{f.Generation, f.Epoch} }

// ErrBackward says that a run was to go on with its plan where it puts the previous file back.
var ErrBackward = fault.New(fault.Refused, "this run puts the previous file back, and brings no other until the target is claimed again")

// May refuses a phase that does not come after the one that the fence has: a run that puts the previous file back ends with that, or it could
// put files there and back, and restart replicas, for ever. The next run of the plan goes on as it likes.
func (f Fence) May(phase Phase) error {
	if f.Phase == PhaseAborting && f.begun() && (phase == PhaseClaimed || phase == PhaseArmed) {
		return ErrBackward
	}
	return nil
}

// Restarting is the fence when a restart of the replicas is about to begin.
func (f Fence) Restarting() Fence {
	f.Restarts++
	return f
}

// Restarted is the fence when the replicas were restarted.
func (f Fence) Restarted() Fence {
	f.PutBack = false
	return f
}

// String says who has the host, since when and how far that run is.
func (f *Fence) String() string {
	return fmt.Sprintf("%s since %s, %s (generation %d, epoch %d)", f.Holder.Who, f.Holder.Since.UTC().Format(time.RFC3339), f.Phase, f.Generation, f.Epoch)
}

// ErrFence says that a fence is not well-formed.
var ErrFence = fault.New(fault.Usage, "not the claim of a rollout")

const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // and digits

// onlyOf says that a text is not empty and consists of these characters.
func onlyOf(text, characters string) bool { return text != "" && strings.Trim(text, characters) == "" }

func isID(text string) bool { return len(text) <= idSizeMax && onlyOf(text, letters+"-") }

// Check says what is wrong with a fence that came from elsewhere; the error wraps [ErrFence].
func (f Fence) Check() error {
	wrong := func(field string, value any) error {
		return fmt.Errorf("%w: %s %q", ErrFence, field, fmt.Sprint(value))
	}
	switch {
	case f.Generation == 0 || f.Generation > GenerationMax:
		return wrong("generation", f.Generation)
	case f.Epoch == 0 || f.Epoch > GenerationMax:
		return wrong("epoch", f.Epoch)
	case !sha.IsName(f.Plan):
		return wrong("plan", f.Plan)
	case !sha.IsName(f.Artifact):
		return wrong("artifact", f.Artifact)
	case f.Previous != "" && !sha.IsName(f.Previous):
		return wrong("previous", f.Previous)
	case !isID(f.Cluster):
		return wrong("cluster", f.Cluster)
	case !isID(f.Holder.ID):
		return wrong("holder's id", f.Holder.ID)
	case f.Proof != "" && !isID(f.Proof):
		return wrong("proof", f.Proof)
	case f.Holder.Who == "" || len(f.Holder.Who) > whoSizeMax || !utf8.ValidString(f.Holder.Who) || strings.ContainsFunc(f.Holder.Who, unicode.IsControl):
		return wrong("holder", f.Holder.Who)
	case !f.Phase.known():
		return wrong("phase", f.Phase)
	case f.Base.Generation > GenerationMax || f.Base.Epoch > GenerationMax:
		return wrong("base", f.Base)
	}
	return nil
}

// Reason is why a host refused a controller; scripts compare it.
type Reason string

// The reasons.
const (
	ReasonGeneration  Reason = "generation"   // a newer plan has the host
	ReasonPlanDiffers Reason = "plan-differs" // another plan of the same generation, or an edited one, has it
	ReasonEpoch       Reason = "epoch"        // a later run of the same plan has it, or this run gave it back
	ReasonHeld        Reason = "held"         // another run has it, and its session is alive
	ReasonNotClaimed  Reason = "not-claimed"  // no rollout ever claimed it
	ReasonSecret      Reason = "secret"       // who asks does not have the secret of the run that it names
	ReasonRollout     Reason = "rollout"      // a rollout holds it, and what wants to change it is none
)

// FencedError says that a host refused a controller, or a command typed there, since a
// rollout has its target. Nothing was changed.
type FencedError struct {
	Reason Reason
	Stored *Fence // what the host has; nil: no rollout ever claimed it
}

// Error says who has the host.
func (e *FencedError) Error() string {
	const other = "this request is not of the run that it names: it does not have that run's secret"
	switch {
	case e.Stored == nil && e.Reason == ReasonSecret:
		return other
	case e.Stored == nil:
		return "no rollout has claimed this host"
	}
	s := e.Stored
	has := s.String()
	switch e.Reason {
	case ReasonSecret:
		return other + "; " + has + " has this host"
	case ReasonNotClaimed:
		return "this run of the rollout has not claimed this host, " + has + " has"
	case ReasonGeneration:
		return "a newer plan has this host: " + has
	case ReasonPlanDiffers:
		return "another plan of the same generation has this host: " + has
	case ReasonHeld:
		return "another run has this host, and is alive: " + has
	case ReasonRollout:
		return "a rollout holds this host: " + has
	}
	if !s.Phase.Holds() {
		return "this run of the rollout was given back: " + has
	}
	return "a later run of this plan has this host: " + has
}

// Class is [fault.Fenced].
func (e *FencedError) Class() fault.Class { return fault.Fenced }

// Claim decides whether a host may be given to the run that offers a fence. It returns the
// fence to store, or a [*FencedError]. Stored is what the host has, nil if it has none. Alive
// says that the session of the stored holder is alive, and takeOver that the host is to be
// taken from it all the same.
//
// Of the same plan, what is known of the host stays: the previous file, and the phase of a
// rollout that was not given back.
//
// Once a claim was granted, no request of an earlier holder passes [Match] there.
func Claim(stored *Fence, offered Fence, alive, takeOver bool) (Fence, error) {
	refused := func(reason Reason) (Fence, error) { return Fence{}, &FencedError{reason, stored} }
	offered.Phase, offered.Previous, offered.Overruled, offered.PutBack, offered.Base = PhaseClaimed, "", false, false, Base{offered.Generation, offered.Epoch}
	offered.Restarts = 0
	if stored == nil {
		return offered, offered.leaps(Base{})
	}
	offered.Restarts = stored.Restarts // also of another plan: who claims a target again and again gets no more of them
	same, base := offered.Generation == stored.Generation && offered.Plan == stored.Plan, stored.Base
	if stored.Overruled { // as of a target that was never claimed
		base, offered.Restarts = Base{}, 0
	} else {
		offered.Base = base
	}
	switch {
	case offered.Generation > stored.Generation, stored.Overruled && !same:
		if stored.Phase.Holds() && alive && !takeOver {
			return refused(ReasonHeld)
		}
		return offered, offered.leaps(base)
	case offered.Generation < stored.Generation:
		return refused(ReasonGeneration)
	case offered.Plan != stored.Plan:
		return refused(ReasonPlanDiffers)
	case offered.Epoch < stored.Epoch && !stored.Overruled:
		return refused(ReasonEpoch)
	case offered.Epoch == stored.Epoch && !(stored.Overruled && !offered.sameHolder(*stored)):
		// The same run claims again, for instance after a lost answer. What was given
		// back is not claimed again by a request that comes late.
		if !offered.sameHolder(*stored) || !stored.Phase.Holds() {
			return refused(ReasonEpoch)
		}
		return *stored, nil
	case stored.Phase.Holds() && alive && !takeOver:
		return refused(ReasonHeld)
	}
	offered.Previous, offered.PutBack = stored.Previous, stored.PutBack
	if stored.Phase.Holds() {
		offered.Phase = stored.Phase
	}
	return offered, offered.leaps(base)
}

// leaps refuses a generation, or an epoch, so far above those of the last change that none would be left for what is to come.
func (f Fence) leaps(base Base) error {
	epoch := uint64(0)
	if f.Generation == base.Generation {
		epoch = base.Epoch
	}
	switch {
	case f.Generation > base.Generation+GenerationLeapMax:
		return fmt.Errorf("%w: its generation, %d, is more than %d above %s", ErrFence, f.Generation, GenerationLeapMax, base.whose())
	case f.Epoch > epoch+EpochLeapMax:
		return fmt.Errorf("%w: its epoch, %d, is more than %d above that of the last run of the plan that changed something, %d", ErrFence, f.Epoch, EpochLeapMax, epoch)
	}
	return nil
}

// reached is the highest of a number that is known and of those that hosts say, as far as they are followed. What is above most is a lie or
// a mistake of the host that says it.
func reached(from, most uint64, numbers []uint64) uint64 {
	for _, number := range numbers {
		if number <= most {
			from = max(from, number)
		}
	}
	return from
}

// SameRun says that two fences are of the same run of the same plan.
func (f Fence) SameRun(other Fence) bool {
	return f.Generation == other.Generation && f.Epoch == other.Epoch && f.Plan == other.Plan && f.sameHolder(other)
}

// sameHolder says that two fences of one target have the same holder, with the same proof.
func (f Fence) sameHolder(other Fence) bool {
	return f.Holder.ID == other.Holder.ID && f.Proof == other.Proof
}

// Match decides whether a request that changes a host comes from the run that has it now, and
// returns nil or a [*FencedError]. It is asked under the target's lock, and
// again as the last thing before the change takes effect.
func Match(stored *Fence, request Fence) error {
	refused := func(reason Reason) error { return &FencedError{reason, stored} }
	switch {
	case stored == nil:
		return refused(ReasonNotClaimed)
	case request.Generation < stored.Generation:
		return refused(ReasonGeneration)
	case request.Generation > stored.Generation:
		return refused(ReasonNotClaimed)
	case request.Plan != stored.Plan:
		return refused(ReasonPlanDiffers)
	case request.Epoch > stored.Epoch:
		return refused(ReasonNotClaimed)
	case request.Epoch < stored.Epoch || !request.sameHolder(*stored) || !stored.Phase.Holds():
		return refused(ReasonEpoch)
	}
	return nil
}

// ArtifactError says that a run was to put a file at the target that its plan does not put there.
type ArtifactError struct {
	Wanted string // sha256:HEX of the file
	Allows string // sha256:HEX of the one that the plan puts there; "": none is
	Phase  Phase  // in which it is
}

// Error says which file the plan has.
func (e *ArtifactError) Error() string {
	switch {
	case e.Allows == "":
		return "nothing was at the target before this plan, so that no file is put back: " + e.Wanted + " was asked for"
	case e.Phase == PhaseAborting || e.Phase == PhaseAborted:
		return "the file that was there before this plan is " + e.Allows + ", and another is not put back: " + e.Wanted + " was asked for"
	}
	return "this plan brings the file " + e.Allows + ", and no other is installed by it: " + e.Wanted + " was asked for"
}

// Class is [fault.Refused].
func (e *ArtifactError) Class() fault.Class { return fault.Refused }

// Allows decides whether the run that has the host may put a file, named as sha256:HEX, at the target in a phase; ""
// is the phase that the fence has. It is nil, an [*ArtifactError] or that of [Fence.May]: while the previous file is being put back that one
// may be, and otherwise the plan's.
func (f Fence) Allows(artifact string, phase Phase) error {
	if phase == "" {
		phase = f.Phase
	}
	if err := f.May(phase); err != nil {
		return err
	}
	allowed := f.Artifact
	if phase == PhaseAborting || phase == PhaseAborted {
		allowed = f.Previous
	}
	if artifact == "" || artifact != allowed {
		return &ArtifactError{Wanted: artifact, Allows: allowed, Phase: phase}
	}
	return nil
}

// Displaces says which file, named as sha256:HEX, the run that has the host may displace in a phase; "": nothing may be there. While
// the previous file is being put back that is not for the fence to say, and sure is false.
func (f Fence) Displaces(phase Phase) (artifact string, sure bool) {
	if phase == "" {
		phase = f.Phase
	}
	return f.Previous, phase != PhaseAborting && phase != PhaseAborted
}

// Free decides whether a command that no rollout sent may change the target of a host, and returns nil or a
// [*FencedError] with [ReasonRollout].
func Free(stored *Fence) error {
	if stored == nil || !stored.Phase.Holds() {
		return nil
	}
	return &FencedError{ReasonRollout, stored}
}
