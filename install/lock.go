package install

import (
	"context"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
)

// takeLock locks the target, completes what interrupted runs left open, and
// looks again: before the lock somebody else may have been at it.
func (r *run) takeLock(ctx context.Context) error {
	if err := r.lockAndRecover(ctx); err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	return r.completeInterrupted(ctx)
}

// lockAndRecover locks the target and clears away what interrupted runs left.
func (r *run) lockAndRecover(ctx context.Context) error {
	r.observe(StepLock)
	lock, err := fsatomic.Acquire(ctx, r.FS, r.target, fsatomic.LockOptions{Command: r.Command, Wait: r.request.Wait})
	if err != nil {
		return err
	}
	r.lock = lock
	recovery, err := fsatomic.Recover(lock, r.recordedSwap(r.target))
	r.plan.Leftovers = recovery.Leftovers
	return err
}

// lockState takes the lock of a target and reads what is known of it.
func (in *Installer) lockState(ctx context.Context, name string, wait time.Duration) (*run, error) {
	target, err := fsatomic.Lookup(in.FS, name)
	if err != nil {
		return nil, err
	}
	r := in.begin(OperationInstall, Request{Target: name, Wait: wait})
	r.target = target
	if err = r.lockAndRecover(ctx); err == nil {
		err = r.look(ctx)
	}
	switch {
	case err != nil:
	case r.stateProblem != nil:
		err = r.unknownFence(r.stateProblem)
	case !r.stateRead:
		_, err = in.ReadState(r.target, nil) // why it is not
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// lockAsHolder takes the lock of the target and reads what is known of it, and refuses a run that does not hold it.
func (r *run) lockAsHolder(ctx context.Context, request fleet.Fence) error {
	if err := r.lockAndRecover(ctx); err != nil {
		return err
	}
	if err := r.readState(); err != nil {
		return err
	}
	if r.stateProblem != nil {
		return r.unknownFence(r.stateProblem)
	}
	return fleet.Match(r.state.Fence, request)
}
