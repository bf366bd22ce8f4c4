package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// Rollback makes the target and the file kept beside it as TARGET-old change
// places, under the same checks as [Installer.Install] but for the downgrade, which
// it is. Of the request it uses Target, Host, Fit, Refresh, Guard, PlainRelease, Wait and Again.
// When the last change of the target was a rollback, Result is [ResultAlready] and nothing
// is touched: doing it twice must not undo it. Again goes forward again, once; the error is
// [ErrNotBack] when the last change was no rollback.
//
// The previous file gets the attributes of the installed one, whatever it was kept
// with: owner, mode, ACL, capabilities, label and user attributes. Where they cannot
// be given nothing is changed.
//
// On nil the previous file is at the target, durably, and was read back. Errors
// are those of Install, and [fsatomic.ErrNoOld] where no previous file is kept.
func (in *Installer) Rollback(ctx context.Context, request Request) (*Outcome, error) {
	return in.afterRollout(ctx, request, func() (*Outcome, error) {
		r := in.begin(OperationRollback, request)
		defer r.close()
		defer r.advise()
		return r.recordOutcome(ctx, r.rollback(ctx))
	})
}

// PlanRollback makes the plan that Rollback would apply, and changes nothing.
func (in *Installer) PlanRollback(ctx context.Context, request Request) (*Outcome, error) {
	return in.afterRollout(ctx, request, func() (*Outcome, error) {
		r := in.begin(OperationRollback, request)
		r.outcome.DryRun = true
		defer r.advise()
		return r.foreseen(r.planRollback(ctx))
	})
}

func (r *run) planRollback(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.hindered != nil {
		return r.backAlready(ctx)
	}
	if err := r.lookUnlocked(ctx); err != nil {
		return err
	}
	if done, err := r.finished(); err != nil || done {
		return err
	}
	if err := r.judgeOld(ctx); err != nil {
		return err
	}
	r.foresee()
	return nil
}

// IsBack reports whether Rollback would end with [ResultAlready], whatever runs. It changes nothing.
func (in *Installer) IsBack(ctx context.Context, request Request) bool {
	r := in.begin(OperationRollback, request)
	r.request.Wait, r.outcome.DryRun = 0, true
	if r.check() != nil || r.lookUnlocked(ctx) != nil {
		return false
	}
	done, err := r.finished()
	return done && err == nil
}

// backAlready is a rollback where something hinders a change: none is needed if it has been
// done.
func (r *run) backAlready(ctx context.Context) error {
	if err := r.lookUnlocked(ctx); err != nil {
		return err
	}
	if done, err := r.finished(); done && err == nil {
		return nil
	}
	return r.hindered
}

func (r *run) rollback(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.hindered != nil {
		return r.backAlready(ctx)
	}
	if !r.target.Exists || !r.target.OldExists {
		// A swap that was cut off may still give it its name; but without a trace of
		// one not even a lock is left behind.
		if residue, err := r.Residue(r.target); err == nil && len(residue.Leftovers) == 0 {
			return r.noOld()
		}
	}
	if err := r.takeLock(ctx); err != nil {
		return err
	}
	if done, err := r.finished(); err != nil || done {
		return err
	}
	if err := r.judgeOld(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	copied, err := r.copyOld(ctx)
	defer func() { r.left(copied.Abort()) }()
	if err != nil {
		return err
	}
	return r.apply(ctx, copied)
}

// copyOld makes the copy of the previous file that is put back; nil where that itself is.
func (r *run) copyOld(ctx context.Context) (*fsatomic.Staged, error) {
	if !r.fresh {
		return nil, nil
	}
	staged, err := fsatomic.Stage(r.lock, r.target, r.target.Old.Size)
	if err == nil {
		err = r.fill(ctx, staged)
	}
	if errors.Is(err, vfs.ErrNoSpace) && r.harmless() { // it may have become less since the plan was made
		r.fresh = false
		return nil, staged.Abort()
	}
	if err != nil {
		err = r.inOperation(err)
	}
	return staged, err
}

// fill copies the previous file, and makes sure that the copy is what was verified.
func (r *run) fill(ctx context.Context, staged *fsatomic.Staged) error {
	old, _, err := r.openOld()
	if err != nil {
		return err
	}
	defer old.Close()
	if _, err := io.Copy(staged, io.NewSectionReader(old, 0, r.target.Old.Size)); err != nil {
		return err
	}
	if err := staged.Seal(); err != nil {
		return err
	}
	sum, err := hashFile(ctx, staged, staged.Size())
	if err == nil && sum != r.plan.New.SHA256 {
		err = fmt.Errorf("%s: %w: its sha256 is %s, and was %s when it was verified", r.target.OldPath, fsatomic.ErrChanged, sum, r.plan.New.SHA256)
	}
	return err
}

// harmless reports whether the previous file itself, and no copy, may be put back: nobody else can write it as far as
// is known, or it gets nothing that they have not.
func (r *run) harmless() bool {
	return !r.onlyCopy && (r.oldWriters.None() || len(r.rights(r.plan.Attributes, nil)) == 0)
}

// checkOld is [fsatomic.Target.CheckOld], but for a file of another user that is known by its SHA-256: a copy of
// that is put back, and is nobody's work but ours.
func (r *run) checkOld() error {
	err := r.target.CheckOld()
	if !errors.Is(err, fsatomic.ErrOldOwner) {
		return err
	}
	known := r.request.OldSHA256 != ""
	if !known {
		var failed error
		if known, failed = r.vouched(); failed != nil {
			return failed
		}
	}
	if !known {
		return err
	}
	r.onlyCopy = true
	return nil
}

// checkBack finds what hinders putting the previous file, which has these attributes, back. Who once
// had the right to write it may hold a descriptor or a mapping of it still: then, and where that
// is not known, a copy is put back that nobody else has ever opened. Without the room for one it is the file
// itself where that is harmless.
func (r *run) checkBack(attributes fsatomic.Attributes) error {
	if err := r.checkOld(); err != nil {
		return r.inOperation(err)
	}
	r.fresh = !r.oldWriters.None() || !r.oldKnown
	problems := r.target.CheckBack(attributes)
	if r.fresh {
		copied := r.target.Check(r.target.Old.Size, r.plan.Attributes)
		if full := slices.ContainsFunc(copied, func(err error) bool { return errors.Is(err, vfs.ErrNoSpace) }); full && r.harmless() {
			r.fresh = false
		} else {
			problems = copied
		}
	}
	if len(problems) > 0 {
		return &PlanError{Target: r.target.Path, Problems: problems}
	}
	return nil
}

// noOld refuses to go back to nothing.
func (r *run) noOld() error {
	reason := fsatomic.ErrNoOld.Error() + " is kept beside it"
	if r.target.OldExists {
		return &RefusedError{Target: r.target.Path, Reason: "nothing is installed to go back from, but " + r.target.OldPath + " is there", Err: ErrNothingInstalled}
	}
	if !r.target.Exists {
		reason = "nothing is installed there, and " + reason
	}
	return &RefusedError{Target: r.target.Path, Reason: reason, Err: fsatomic.ErrNoOld}
}

// finished reports whether what is asked for was done by the last change of the target:
// swapping once more would undo it. Going forward again is another thing to ask for than
// going back, and needs a rollback before it. The SHA-256 of what is there decides.
func (r *run) finished() (bool, error) {
	last, sure := r.last()
	rolled := last != nil && last.Operation == OperationRollback && r.plan.Installed != nil && last.New != nil &&
		last.New.SHA256 == r.plan.Installed.SHA256
	back, forward := rolled && !last.Again, rolled && last.Again
	switch {
	case r.request.Again && !rolled:
		return false, &RefusedError{Target: r.target.Path, Reason: "the last change was no rollback", Err: ErrNotBack}
	case r.request.Again && forward, !r.request.Again && back:
		if !sure {
			r.warn("that it was put back already is known from %s alone, and %s", r.target.StatePath(), r.stateWriters)
		}
		r.plan.Action, r.plan.New = ActionNone, r.plan.Installed
		r.warnStateProblem()
		r.warnNoExec()
		if r.request.Fence != nil {
			if err := r.mayPassFence(r.state.Fence); err != nil {
				return false, err
			}
			if err := r.notePhase(); err != nil {
				return false, err
			}
		}
		if err := r.noteAnyPlan(); err != nil {
			return false, fmt.Errorf("go through a rollout: %w", err)
		}
		r.outcome.Result = ResultAlready
		return true, nil
	}
	r.record.Again = r.request.Again
	return false, nil
}

// judgeOld verifies the kept file, whether it is the one that was displaced, whether it fits, and whether it can get the
// installed file's attributes.
func (r *run) judgeOld(ctx context.Context) error {
	path := r.target.OldPath
	r.plan.Action, r.plan.Origin.Source, r.record.Source = ActionSwapBack, path, path
	if !r.target.Exists || !r.target.OldExists {
		return r.noOld()
	}
	if err := r.mayPassFence(r.state.Fence); err != nil {
		return err
	}
	r.warnStateProblem()
	r.observe(StepVerify)
	old, attributes, err := r.openOld()
	if err != nil {
		return err
	}
	defer old.Close()
	r.plan.Attributes = r.target.BackAttributes()
	mode := fs.FileMode(r.target.Old.Mode & 0o777)
	report, err := verify.File(ctx, old, r.target.Old.Size, verify.Options{SHA256: true, Checksum: true, Mode: &mode})
	if err != nil {
		return err
	}
	r.checksum = report.Checksum
	r.plan.Verified = &report
	r.plan.New = &File{Path: path, Size: r.target.Old.Size, SHA256: report.SHA256}
	r.record.New, r.record.Verified = r.plan.New, heldChecks(report)
	if !report.Ok {
		rejected := &RejectedError{Source: path, Reason: report.Diagnosis, Report: &report}
		if report.Binary == nil {
			rejected.Kind = inspect.Describe(old, r.target.Old.Size)
		}
		return rejected
	}
	r.plan.New.fill(report.Binary)
	doubt, err := r.recognize(r.plan.New)
	if err != nil {
		return err
	}
	if err := r.findOldWriters(); err != nil {
		return r.inOperation(err)
	}
	if err := r.entitled(); err != nil {
		return err
	}
	if doubt != "" {
		r.warn("%s", doubt)
	}
	if attributes.Mode&0o100 == 0 {
		return &RefusedError{
			Target: r.target.Path, Err: ErrNotExecutable,
			Reason: fmt.Sprintf("the previous file %s is not executable by its owner (mode %s)", path, attributes.Mode),
		}
	}
	if err := r.checkBack(attributes); err != nil {
		return err
	}
	r.observe(StepJudge)
	if err := r.mayPassFence(r.state.Fence); err != nil { // once more, since now it is known which file it is
		return err
	}
	return r.judgeFit(ctx, report.Binary)
}

// recognize compares the kept file with what was recorded when it was displaced: whose file it
// was may have rewritten it since, by one that is whole too. The file that is recorded as
// installed is as good: it was moved there by hand. doubt is what an operator should know of it.
func (r *run) recognize(old *File) (doubt string, err error) {
	recorded, installed := r.state.Previous, r.state.Installed
	named := r.request.OldSHA256
	r.record.Named = named
	if back := r.request.Back; back != "" && !strings.EqualFold(back, old.SHA256) {
		return "", &RejectedError{Source: old.Path, Err: ErrOtherOld, Report: r.plan.Verified, Reason: fmt.Sprintf("its sha256 is %s, and %s is to be put back", old.SHA256, back)}
	}
	known := recorded != nil && recorded.SHA256 == old.SHA256 || installed != nil && installed.SHA256 == old.SHA256
	switch {
	case named != "" && !strings.EqualFold(named, old.SHA256):
		return "", &RejectedError{Source: old.Path, Err: ErrOtherOld, Report: r.plan.Verified, Reason: fmt.Sprintf("its sha256 is %s, not %s as was asked for", old.SHA256, named)}
	case known:
	case named != "":
		doubt = old.Path + " is not recorded as the file that was displaced; it is put back since its sha256 was named"
	case recorded != nil:
		return "", &RejectedError{
			Source: old.Path, Err: ErrOtherOld, Report: r.plan.Verified,
			Reason: fmt.Sprintf("it is not the file that was displaced: its sha256 is %s, and %s was recorded", old.SHA256, recorded.SHA256),
		}
	default:
		doubt = "nothing is recorded of " + old.Path + ": whether it is the file that was displaced is not known"
	}
	return doubt, nil
}
