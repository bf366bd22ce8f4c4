package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/vfs"
)

// Claim gives a target to a run of a rollout, if the rules of [fleet.Claim] let it have it, and returns
// the fence that is stored now, durably. The session lasts until it is closed or this process ends:
// until then another run of the same plan does not get the target unless it takes it over. While another
// operation has the lock, Claim waits for so long; so what began before it has ended when it
// returns, or is refused at its swap.
//
// Errors: a [*fleet.FencedError] of [fleet.Claim], one that wraps [fleet.ErrFence], [*durable.BusyError], [*UnknownFenceError], [*StateError], or the
// operating system's. On error the stored fence is what it was, unless it is an
// [*durable.SyncError]: then it may be the new one.
func (in *Installer) Claim(ctx context.Context, name string, offered fleet.Fence, takeOver bool, wait time.Duration) (fleet.Fence, *fsatomic.Session, error) {
	if err := offered.Check(); err != nil {
		return fleet.Fence{}, nil, fmt.Errorf("claim: %w", err)
	}
	r, err := in.lockState(ctx, name, wait)
	if err != nil {
		return fleet.Fence{}, nil, fmt.Errorf("claim: %w", err)
	}
	defer r.close()
	alive, err := in.holderAlive(r.target, r.state.Fence)
	if err != nil {
		return fleet.Fence{}, nil, fmt.Errorf("claim: %w", err)
	}
	granted, err := fleet.Claim(r.state.Fence, offered, alive, takeOver)
	if err != nil {
		return fleet.Fence{}, nil, fmt.Errorf("claim: %w", err)
	}
	if r.state.Fence == nil || granted.Plan != r.state.Fence.Plan {
		r.state.Despite = nil
	}
	if granted.Previous == "" && r.installed != nil {
		granted.Previous = sha.Name(r.installed.file.SHA256)
	}
	session, err := r.lock.OpenSession(sessionNumber(granted))
	if err == nil {
		r.state.Fence = &granted
		err = r.storeState()
	}
	if err != nil {
		session.Close()
		return fleet.Fence{}, nil, fmt.Errorf("claim: %w", err)
	}
	return granted, session, nil
}

// Join makes this process one in which the run that has a target is alive, until the session is closed or the process ends, as [Installer.Claim]
// does; nothing else is changed. Errors are those of Claim, with those of [fleet.Match].
func (in *Installer) Join(ctx context.Context, name string, request fleet.Fence, wait time.Duration) (*fsatomic.Session, error) {
	target, err := fsatomic.Lookup(in.FS, name)
	if err != nil {
		return nil, err
	}
	r := in.begin(OperationInstall, Request{Target: name, Wait: wait})
	r.target = target
	defer r.close()
	if err := r.lockAsHolder(ctx, request); err != nil {
		return nil, err
	}
	return r.lock.OpenSession(sessionNumber(request))
}

// Phase notes how far the run that has a target is with it; a phase that does not hold the target gives
// it back. Errors are those of [Installer.Claim], with those of [fleet.Match].
func (in *Installer) Phase(ctx context.Context, name string, request fleet.Fence, phase fleet.Phase, wait time.Duration) error {
	r, err := in.lockState(ctx, name, wait)
	if err != nil {
		return fmt.Errorf("note the phase: %w", err)
	}
	defer r.close()
	if err := fleet.Match(r.state.Fence, request); err != nil {
		return fmt.Errorf("note the phase: %w", err)
	}
	fence := *r.state.Fence
	err = fence.May(phase)
	fence.Phase = phase
	if err = cmp.Or(err, fence.Check()); err != nil {
		return fmt.Errorf("note the phase: %w", err)
	}
	r.state.Fence = &fence
	if err := r.storeState(); err != nil {
		return fmt.Errorf("note the phase: %w", err)
	}
	return nil
}

// PhaseError says that a run is not in the phase in which something may be done.
type PhaseError struct{ Is, Wanted fleet.Phase }

// Error names both.
func (e *PhaseError) Error() string {
	return fmt.Sprintf("this run is in the phase %s, and that is done in the phase %s alone", e.Is, e.Wanted)
}

// Class is [fault.Refused].
func (e *PhaseError) Class() fault.Class { return fault.Refused }

// While restarts something of a target under its lock, while the run that asks has it and is in a phase, and records in the history that
// run and what came of it; do gets the fence of that run, and calls begins before it starts what changes something. Before it does, errors are those of
// [Installer.Phase], or a [*PhaseError]. Nothing depends on the history: warning is why it, or the state, has not all of it, or nil.
func (in *Installer) While(ctx context.Context, name string, request fleet.Fence, phase fleet.Phase, wait time.Duration, do func(target fsatomic.Target, stored fleet.Fence, begins func(Restarted)) error) (warning, err error) {
	target, err := fsatomic.Lookup(in.FS, name)
	if err != nil {
		return nil, err
	}
	r := in.begin(OperationRestart, Request{Target: name, Wait: wait})
	r.target, r.record.Target = target, target.Path
	defer r.close()
	if err := r.lockAsHolder(ctx, request); err != nil {
		return nil, err
	}
	r.record.Rollout = rolloutOf(r.state.Fence)
	if is := r.state.Fence.Phase; is != phase {
		err = &PhaseError{is, phase}
	} else {
		err = do(target, *r.state.Fence, func(restarted Restarted) {
			r.record.Restarted = &restarted
			restarting := r.state.Fence.Restarting()
			r.state.Fence = &restarting
			warning = cmp.Or(r.storeState(), r.note(ctx, PhaseIntent))
		})
	}
	if err == nil && r.state.Fence.PutBack {
		restarted := r.state.Fence.Restarted()
		r.state.Fence = &restarted
		warning = cmp.Or(warning, r.storeState())
	}
	r.record.Result, r.record.DurationMS = ResultRestarted, time.Since(r.started).Milliseconds()
	if err != nil {
		r.record.Result, r.record.Error = resultOf(err), clip(err.Error())
	}
	if r.record.Restarted == nil { // nothing began: who asks for ever would fill the history
		return nil, err
	}
	return cmp.Or(warning, r.note(ctx, PhaseOutcome)), err
}

// note adds the operation's record to the history as it is now.
func (r *run) note(ctx context.Context, phase Phase) error {
	r.record.Phase, r.record.Time = phase, time.Now().UTC()
	return r.Journal.append(ctx, r.record)
}

// rolloutOf is the run that has a target.
func rolloutOf(stored *fleet.Fence) *Rollout {
	return &Rollout{Plan: stored.Plan, Generation: stored.Generation, Epoch: stored.Epoch, Holder: stored.Holder}
}

// FenceOf returns the fence of a target, nil if it has none, and whether the session of its holder is
// alive. It changes nothing and takes no lock.
func (in *Installer) FenceOf(target fsatomic.Target) (*fleet.Fence, bool, error) {
	state, err := in.ReadState(target, nil)
	if err != nil || state.Fence == nil {
		return nil, false, err
	}
	alive, err := in.holderAlive(target, state.Fence)
	return state.Fence, alive, err
}

// Held reports whether a run of a plan, named as sha256:HEX, holds one of these targets, and no command of this host went through that.
func (in *Installer) Held(plan string, targets []string) bool {
	for _, name := range targets {
		target, err := fsatomic.Lookup(in.FS, name)
		if err != nil {
			continue
		}
		if fence, _, err := in.FenceOf(target); err == nil && fence != nil && fence.Plan == plan && fence.Phase.Holds() && !fence.Overruled {
			return true
		}
	}
	return false
}

func (in *Installer) holderAlive(target fsatomic.Target, fence *fleet.Fence) (bool, error) {
	if fence == nil {
		return false, nil
	}
	return fsatomic.SessionAlive(in.FS, target, sessionNumber(*fence))
}

// sessionNumber is another one for each run that may hold a target.
func sessionNumber(fence fleet.Fence) int64 { return int64(fence.Generation)<<32 | int64(fence.Epoch) }

const (
	rolloutPoll = 250 * time.Millisecond

	// despiteWait is how long what goes through a rollout waits for the lock, unless told: the sessions of a controller may take it in turn.
	despiteWait = 10 * time.Second
)

// afterRollout does an operation and, while a rollout holds the target and the request waits for it, once more
// when that has ended.
func (in *Installer) afterRollout(ctx context.Context, request Request, operation func() (*Outcome, error)) (*Outcome, error) {
	deadline := time.Now().Add(request.Wait)
	for {
		outcome, err := operation()
		var fenced *fleet.FencedError
		if !errors.As(err, &fenced) || fenced.Reason != fleet.ReasonRollout || request.Wait == 0 {
			return outcome, err
		}
		for ended := false; !ended; {
			if request.Wait > 0 && !time.Now().Add(rolloutPoll).Before(deadline) {
				return outcome, err
			}
			select {
			case <-time.After(rolloutPoll):
			case <-ctx.Done():
				return outcome, errors.Join(context.Cause(ctx), err)
			}
			target, lookErr := fsatomic.Lookup(in.FS, request.Target)
			if lookErr != nil {
				return outcome, lookErr
			}
			stored, _, lookErr := in.FenceOf(target)
			ended = lookErr != nil || fleet.Free(stored) == nil // of what cannot be read the operation tells
		}
	}
}

// mayPassFence refuses a change that a rollout's fence does not let through, and by a rollout a file that is not
// its plan's, as soon as it is known which one it is. A state that is there and cannot be read or believed may have the
// fence of a rollout, or may have been put in the place of one that has.
func (r *run) mayPassFence(stored *fleet.Fence) error {
	err := fleet.Free(stored)
	switch {
	case r.request.Fence == nil && r.request.DespiteRollout:
		return nil
	case r.stateProblem != nil:
		return r.inOperation(r.unknownFence(r.stateProblem))
	case r.request.Fence != nil:
		if err = r.request.checkStorable(); err == nil {
			err = fleet.Match(stored, *r.request.Fence)
		}
		if err == nil {
			r.record.Rollout = rolloutOf(stored)
		}
		if err == nil && r.plan.New != nil {
			err = stored.Allows(sha.Name(r.plan.New.SHA256), r.request.Phase)
		}
		if err == nil && r.plan.New != nil {
			err = r.displaces(stored)
		}
	}
	if err != nil {
		return r.inOperation(fmt.Errorf("%s: %w", r.target.Path, err))
	}
	return nil
}

// displaces refuses to displace another file than the run is to displace: the one that was there when the host was claimed, which an
// abort would put back, and the one that the request names. A file that is there already displaces none.
func (r *run) displaces(stored *fleet.Fence) error {
	there := ""
	if r.installed != nil {
		there = sha.Name(r.installed.file.SHA256)
	}
	if there == sha.Name(r.plan.New.SHA256) {
		return nil
	}
	wanted, sure := stored.Displaces(r.request.Phase)
	if named := r.request.Displaces; named != "" && (!sure || there == wanted) {
		wanted, sure = sha.Name(named), true
	}
	if sure && there != wanted {
		return fmt.Errorf("%w: this run is to displace %s, and %s is there", fsatomic.ErrChanged, cmp.Or(wanted, "nothing"), cmp.Or(there, "nothing"))
	}
	return nil
}

// checkStorable refuses a fence or a phase that could not be read again once it was stored.
func (r *Request) checkStorable() error {
	fence := *r.Fence
	if r.Phase != "" {
		fence.Phase = r.Phase
	}
	return fence.Check()
}

// notePhase gives the stored fence the phase that the request has, durably. The file is at the target already, as after an answer
// that was lost: what is left to be done of the request is this.
func (r *run) notePhase() error {
	if r.request.Fence == nil || r.request.Phase == "" || r.request.Phase == r.state.Fence.Phase || r.outcome.DryRun {
		return nil
	}
	if r.lock == nil {
		return fmt.Errorf("note the phase: %w", r.hindered)
	}
	fence := *r.state.Fence
	fence.Phase = r.request.Phase
	r.state.Fence = &fence
	if err := r.storeState(); err != nil {
		return fmt.Errorf("note the phase: %w", err)
	}
	return nil
}

// letAnyPlan lets any plan claim the target next, where a command on this host goes through what a rollout says of it; it reports whether the
// state is another by it.
func (r *run) letAnyPlan() bool {
	if !r.request.DespiteRollout || r.request.Fence != nil || r.outcome.DryRun || r.state.Fence == nil || r.state.Fence.Overruled {
		return false
	}
	fence := r.state.Fence.Overrule()
	r.state.Fence = &fence
	return true
}

// noteAnyPlan is letAnyPlan for an operation that finds its file at the target already, durably.
func (r *run) noteAnyPlan() error {
	if !r.letAnyPlan() {
		return nil
	}
	if r.lock == nil {
		return r.hindered
	}
	return r.storeState()
}

// unknownFence is the error for a state that does not say whether a rollout holds the target.
func (r *run) unknownFence(state *StateError) error {
	return &UnknownFenceError{Target: r.target.Path, State: state, Writers: r.stateWriters}
}

// warnStateProblem says that the state does not count, where that hinders nothing.
func (r *run) warnStateProblem() {
	if r.stateProblem != nil {
		r.warn("%v", r.stateProblem)
	}
}

// stillMayPassFence asks for the fence once more, as the last thing before the swap. The lock has kept every
// tbctl from changing it meanwhile; this finds who asked for no lock.
func (r *run) stillMayPassFence() error {
	if r.request.Fence == nil && r.request.DespiteRollout {
		return nil
	}
	text, _, err := fsatomic.ReadState(r.FS, r.target)
	var state *State
	if err == nil {
		state, err = parseState(text)
	}
	if err != nil {
		return r.inOperation(r.unknownFence(&StateError{Path: r.target.StatePath(), Err: vfs.Cause(err)}))
	}
	return r.mayPassFence(state.Fence)
}
