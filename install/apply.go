package install

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
)

// apply makes the plan true: what was staged is swapped in, and where nothing was, the previous file. From the intent on,
// every way out leaves an outcome beside the target; only a crash does not.
func (r *run) apply(ctx context.Context, staged *fsatomic.Staged) error {
	r.adviseBefore()
	r.observe(StepCommit)
	r.warnMadeExecutable()
	r.carriesNothing()
	if staged == nil {
		if err := r.writeIntent(ctx); err != nil {
			return err
		}
		if err := r.lastChecks(ctx, nil); err != nil {
			return err
		}
		committed, err := fsatomic.SwapBack(ctx, r.lock, r.target)
		return r.swapped(ctx, committed, err)
	}
	if err := staged.SetAttributes(r.plan.Attributes); err != nil {
		return r.inOperation(err)
	}
	if err := staged.Sync(); err != nil {
		return r.inOperation(err)
	}
	if err := r.writeIntent(ctx); err != nil {
		return err
	}
	if err := r.lastChecks(ctx, staged); err != nil {
		return err
	}
	committed, err := staged.Commit(ctx, fsatomic.CommitOptions{DropOld: r.plan.DropOld})
	return r.swapped(ctx, committed, err)
}

// lastChecks makes sure once more that what was written down may be done. The next step is the swap.
func (r *run) lastChecks(ctx context.Context, staged *fsatomic.Staged) error {
	if err := r.guard(ctx); err != nil {
		return err
	}
	if staged != nil {
		if err := r.stillVerified(ctx, staged); err != nil {
			return r.inOperation(err)
		}
	}
	return r.stillMayPassFence()
}

// inOperation says in which operation an error occurred.
func (r *run) inOperation(err error) error {
	if r.plan.Operation == OperationRollback {
		return fmt.Errorf("roll back: %w", err)
	}
	return fmt.Errorf("install: %w", err)
}

// swapped ends an operation whose swap has ended.
func (r *run) swapped(ctx context.Context, committed fsatomic.Committed, err error) error {
	if err != nil {
		var unknown *fsatomic.UnknownStateError
		r.outcome.Changed = errors.As(err, &unknown) && unknown.Visible
		return r.inOperation(err)
	}
	r.outcome.Changed, r.outcome.Committed, r.outcome.Result = true, &committed, ResultInstalled
	if r.plan.Operation == OperationRollback {
		r.outcome.Result = ResultRolledBack
	}
	r.record.Method = committed.Method
	if committed.Old != "" {
		r.lowerOld()
	}
	return r.readBack(ctx, committed)
}

// lowerOld takes from the displaced file what only the target needs. It is hygiene: the
// swap is done, and what of it fails is a warning.
func (r *run) lowerOld() {
	err := r.lock.LowerOld()
	switch {
	case errors.Is(err, fsatomic.ErrLinks):
		r.warn("%s has other names, and so keeps its owner, mode and capabilities", r.target.OldPath)
	case err != nil:
		r.warn("%v: the previous file may still have the installed one's owner and capabilities", err)
	}
}

// guard asks for the last time whether to go on.
func (r *run) guard(ctx context.Context) error {
	if r.request.Guard == nil {
		return nil
	}
	if err := r.request.Guard(ctx); err != nil {
		return &guardError{err}
	}
	return nil
}

// guardError is what [Request.Guard] said.
type guardError struct{ err error }

func (e *guardError) Error() string { return e.err.Error() }

func (e *guardError) Unwrap() error { return e.err }

func (e *guardError) Class() fault.Class { return fault.Interrupted }

// stillVerified makes sure that what is to be swapped in is what was verified. A file whose
// times alone are others, as some file systems set them late, is read again.
func (r *run) stillVerified(ctx context.Context, staged *fsatomic.Staged) error {
	changed, err := staged.Changed()
	if err != nil || !changed {
		return err
	}
	if err := staged.Seal(); err != nil {
		return err
	}
	sum, err := hashFile(ctx, staged, staged.Size())
	if err != nil {
		return err
	}
	if sum != r.plan.New.SHA256 {
		return fmt.Errorf("%s: %w: its sha256 is %s, and was %s when it was verified", staged.Path(), fsatomic.ErrChanged, sum, r.plan.New.SHA256)
	}
	return nil
}

// readBack reads the file at the target again and compares its checksum with that of the
// file that was verified. A signal does not stop it: the swap is done.
func (r *run) readBack(ctx context.Context, committed fsatomic.Committed) error {
	r.observe(StepReadBack)
	want := r.plan.New.SHA256
	failed := func(found string, err error) error {
		return &ReadBackError{Target: committed.Path, Want: want, Found: found, Err: err}
	}
	installed, err := fsatomic.ReadBack(r.FS, committed)
	if err != nil {
		return failed("", err)
	}
	defer installed.Close()
	ctx = context.WithoutCancel(ctx)
	sum := multiversion.NewHash()
	if err := multiversion.HashExtent(ctx, sum, installed, multiversion.Extent{Size: installed.Info.Size}); err != nil {
		return failed("", err)
	}
	if sum.Checksum() != r.checksum {
		found, err := hashFile(ctx, installed, installed.Info.Size)
		return failed(found, err)
	}
	if err := installed.Holds(r.plan.Attributes); err != nil {
		return failed(want, err)
	}
	r.outcome.ReadBack = want
	return nil
}
