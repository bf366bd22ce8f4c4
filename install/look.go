package install

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
)

// lookUnlocked finds out what the lock's holder would, changing nothing.
func (r *run) lookUnlocked(ctx context.Context) error {
	err := fsatomic.AwaitFree(ctx, r.FS, r.target, r.request.Wait)
	if err != nil && (r.hindered == nil || errors.Is(err, durable.ErrBusy) || ctx.Err() != nil) {
		return err
	}
	if err := r.lookup(); err != nil { // it may have been waited for
		return err
	}
	residue, err := r.Residue(r.target)
	if err != nil {
		return err
	}
	r.plan.Leftovers = residue.Leftovers
	if err := r.describe(ctx); err != nil {
		return err
	}
	if err := r.readState(); err != nil {
		return err
	}
	r.state.settle(r.plan.Installed)
	return nil
}

// mayBeInstalled reports whether the installed file may be the one that is asked for, as
// far as that is known before anything of it comes.
func (r *run) mayBeInstalled() bool {
	found := r.installed
	if found == nil || found.file.Damaged != "" || found.installed.Binary == nil {
		return false
	}
	if r.request.Host != "" && r.request.Host != found.file.Platform {
		return false
	}
	return found.file.Release.OneOf(r.request.Expect) == nil
}

// look finds out what stands at the target, what hinders replacing it, and
// which file it is.
func (r *run) look(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.hindered != nil {
		return r.hindered
	}
	if err := r.describe(ctx); err != nil {
		return err
	}
	return r.readState()
}

// check finds what stands against an operation, without reading the installed file. What
// hinders a change of the place is kept in hindered.
func (r *run) check() error {
	r.observe(StepPlan)
	if r.request.SizeHint >= multiversion.SizeMax {
		reason := fmt.Sprintf("it has %d bytes, and no multiversion binary has %d", r.request.SizeHint, multiversion.SizeMax)
		return &RejectedError{Source: r.request.Source, Reason: reason, Err: ErrTooLarge}
	}
	if err := r.lookup(); err != nil {
		return err
	}
	if r.target.File.Size >= multiversion.SizeMax {
		reason := fmt.Sprintf("what stands there has %d bytes, and no binary has %d: is this the right target?", r.target.File.Size, multiversion.SizeMax)
		return &RefusedError{Target: r.target.Path, Err: ErrNotBinary, Reason: reason}
	}
	r.hindered = nil
	problems := r.problems()
	if r.lock == nil { // under it they were dealt with
		if residue, err := r.Residue(r.target); err == nil && residue.Problem != nil {
			problems = append(problems, residue.Problem)
		}
	}
	if r.request.Hinders != nil {
		problems = append(problems, r.request.Hinders)
	}
	if len(problems) > 0 {
		r.hindered = &PlanError{Target: r.target.Path, Problems: problems}
	}
	return nil
}

// sizeLeast is the size in bytes that every binary has, for a plan that knows no better.
const sizeLeast = 4 << 10

// problems are what hinders a change. The attributes are tried out last, before the lock
// is taken: what the file system refuses nobody else could foretell.
func (r *run) problems() []error {
	if r.plan.Operation == OperationRollback {
		return r.target.Check(0, r.plan.Attributes)
	}
	size := r.request.SizeHint
	if size == 0 {
		size = max(r.target.File.Size, sizeLeast)
	}
	wanted := r.plan.Attributes
	problems := r.target.CheckOwner(r.request.UID == nil, r.request.GID == nil)
	if len(problems) > 0 { // it is said once
		wanted.UID, wanted.GID = fsatomic.OwnerUnchanged, fsatomic.OwnerUnchanged
	}
	problems = append(problems, r.target.Check(size, wanted)...)
	if len(problems) == 0 && r.lock == nil {
		if err := r.target.Try(r.FS, wanted); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// lookup finds out what stands at the target; before the lock is taken, what will stand there when an interrupted swap
// has been completed.
func (r *run) lookup() error {
	target, err := fsatomic.Lookup(r.FS, r.request.Target)
	if err != nil {
		return err
	}
	if r.lock == nil {
		if residue, err := r.Residue(target); err == nil { // why it cannot be seen is said where it matters
			if target, err = target.Recovered(r.FS, residue); err != nil {
				return err
			}
		}
	}
	if !utf8.ValidString(target.Path) {
		return fmt.Errorf("%q: %w", target.Path, ErrNotUTF8)
	}
	if err := r.isPlace(target); err != nil {
		return err
	}
	r.target, r.plan.Target, r.record.Target = target, target, target.Path
	r.plan.Action, r.installed = ActionCreate, nil
	if target.Exists {
		r.plan.Action = ActionReplace
	}
	r.plan.Attributes, r.madeExecutable = r.attributes()
	return nil
}

// isPlace refuses another place than the one that is locked, and than the one that the request is about: who owns a
// directory above the target can make its name lead elsewhere at any moment, and what was seen at one place is no reason
// to change another.
func (r *run) isPlace(target fsatomic.Target) error {
	places := []*fsatomic.Target{r.request.At}
	if r.lock != nil {
		place := r.lock.Place()
		places = append(places, &place)
	}
	for _, place := range places {
		if place == nil {
			continue
		}
		if err := target.StillAt(*place); err != nil {
			return err
		}
	}
	return nil
}

// describe reads the file at the target, if there is one: that which was looked up, whose attributes are recorded with what is
// read here, and which nobody has written to meanwhile.
func (r *run) describe(ctx context.Context) error {
	if !r.target.Exists {
		return nil
	}
	file, err := openPath(r.FS, r.target.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := describeFile(ctx, file, r.target.Path)
	if err != nil {
		return err
	}
	r.target.SHA256 = found.file.SHA256
	if err := r.isTarget(file); err != nil {
		return err
	}
	r.installed = &found
	r.plan.Installed = &r.installed.file
	return nil
}

// attributes are the replaced file's, with what was asked for instead. made is whether its owner could not execute it by
// these alone: a replica refuses a binary that its owner may not execute.
func (r *run) attributes() (attributes fsatomic.Attributes, made bool) {
	attributes = fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: modeDefault}
	if r.plan.Operation == OperationRollback { // nothing is set
		return attributes, false
	}
	if r.target.Exists {
		attributes = r.target.Attributes
	}
	if r.request.Mode != nil {
		attributes.Mode = *r.request.Mode
	}
	if r.request.UID != nil {
		attributes.UID = *r.request.UID
	}
	if r.request.GID != nil {
		attributes.GID = *r.request.GID
	}
	made = attributes.Mode&0o100 == 0
	attributes.Mode |= 0o100
	return attributes, made
}
