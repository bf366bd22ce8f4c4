package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// Step names a step of an operation, for whoever watches it.
type Step string

// The steps, in their order.
const (
	StepPlan     Step = "plan"
	StepLock     Step = "lock"
	StepFetch    Step = "fetch"
	StepVerify   Step = "verify"
	StepJudge    Step = "judge"
	StepCommit   Step = "commit"
	StepReadBack Step = "read-back"
	StepRecord   Step = "record"
)

// Installer replaces files on one file system and keeps one journal. FS is
// required.
type Installer struct {
	FS      fsatomic.FS
	Journal *Journal // nil: nothing is recorded

	Command  string // for the lock and the record
	User     string // for the record
	SudoUser string // for the record

	// Observe is told of each step before it is taken. It may be nil.
	Observe func(Step)
}

// run is one operation.
type run struct {
	*Installer
	request Request
	started time.Time
	outcome *Outcome
	plan    *Plan
	record  Record
	intent  bool // the intent was written beside the target, or tried to be

	checksum  multiversion.Checksum // of the new file, when it was verified
	target    fsatomic.Target
	hindered  *PlanError // what hinders a change, in the place; nil: nothing does
	lock      *fsatomic.Lock
	installed *present // nil: nothing is there
	state     *State
	believed  bool // the state was read
}

// Install replaces the file at the target with what fetch writes. On nil the new
// file is at the target, whole, with its attributes and durably, and was read back;
// or Result is [ResultAlready] and nothing was touched.
//
// On error the outcome holds the plan as far as it was made. [*PlanError],
// [*RejectedError], [*RefusedError], [*fsatomic.BusyError], fetch's errors and the
// context's leave the target untouched and nothing beside it. A
// [*fsatomic.UnknownStateError] or a [*ReadBackError] comes after the swap. A
// [*fsatomic.SyncError] says which. A [*StateError] comes before the swap. A record that
// cannot be written after it is a warning of the plan, and so is a journal that cannot be
// written at all.
func (in *Installer) Install(ctx context.Context, request Request, fetch Fetch) (*Outcome, error) {
	r := in.begin(OperationInstall, request)
	defer r.close()
	defer r.advise()
	return r.end(ctx, r.install(ctx, fetch))
}

// Plan makes the plan that Install would apply, and changes nothing: no lock is
// taken, and what is fetched is kept in the target's file system only until it is judged,
// without a name where there is such a thing. Errors are those of Install, up to the swap.
func (in *Installer) Plan(ctx context.Context, request Request, fetch Fetch) (*Outcome, error) {
	r := in.begin(OperationInstall, request)
	r.outcome.DryRun = true
	defer r.advise()
	return r.outcome, r.install(ctx, fetch)
}

func (in *Installer) begin(operation Operation, request Request) *run {
	plan := &Plan{Operation: operation, Host: request.Host, DropOld: request.DropOld, Origin: Origin{Source: request.Source}}
	r := &run{Installer: in, request: request, started: time.Now(), plan: plan, outcome: &Outcome{Plan: plan}}
	host, _ := os.Hostname()
	r.record = Record{
		Version: recordVersion, ID: newID(), Operation: operation, Target: request.Target, Command: clip(in.Command), User: in.User, SudoUser: in.SudoUser,
		Host: host, PID: os.Getpid(), Source: clip(request.Source),
	}
	return r
}

func (r *run) observe(step Step) {
	if r.Observe != nil {
		r.Observe(step)
	}
}

func (r *run) warn(format string, args ...any) {
	r.plan.Warnings = append(r.plan.Warnings, fmt.Sprintf(format, args...))
}

func (r *run) close() {
	_ = r.lock.Release() // the lock is free whatever this says
}

// install does everything, and in a dry run everything up to the judgement.
func (r *run) install(ctx context.Context, fetch Fetch) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	draft, err := r.newDraft()
	defer draft.close()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	known, err := r.known(ctx, draft)
	if err == nil && !known && r.hindered != nil && !r.request.Near && len(r.request.Expect) == 0 {
		return r.hindered // nothing says that it may be the installed file
	}
	if err == nil && !known {
		err = r.fetch(ctx, draft, fetch)
	}
	if err == nil {
		err = draft.seal()
	}
	if err == nil {
		err = r.judge(ctx, draft)
	}
	draft.letGo()
	switch {
	case err != nil:
		return err
	case r.plan.Action == ActionNone:
		return r.already()
	case r.hindered != nil: // it could have been the installed file, and is not
		return r.hindered
	case draft.Store() == nil: // it is the beginning of the installed file
		return fmt.Errorf("install: %w", draft.Err())
	case r.outcome.DryRun:
		r.foresee()
		return nil
	}
	return r.apply(ctx, draft.staged())
}

// foresee warns in a dry run of what the real run would have to warn of.
func (r *run) foresee() {
	if err := r.Journal.check(); err != nil {
		r.warn("%v", err)
	}
	r.becomeExecutable()
}

// becomeExecutable gives the owner the right to execute the file.
func (r *run) becomeExecutable() {
	if r.plan.Attributes.Mode&0o100 != 0 {
		return
	}
	r.plan.Attributes = executable(r.plan.Attributes)
	r.warn("the mode becomes %s: a replica refuses a binary that its owner may not execute", r.plan.Attributes.Mode)
}

// prepare makes everything of the plan that can be made before the new file is there, and
// takes the lock. What hinders a change is no error where the file that is asked for may
// be installed already: then nothing is to be changed, and no lock is needed.
func (r *run) prepare(ctx context.Context) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.hindered == nil && !r.outcome.DryRun {
		if err := r.takeLock(ctx); err != nil {
			return err
		}
		return r.mayReplace()
	}
	if r.hindered != nil && (!r.target.Exists || errors.Is(r.hindered, fsatomic.ErrNoExec) || errors.Is(r.hindered, fsatomic.ErrNotSupported)) {
		return r.hindered
	}
	if err := r.lookUnlocked(ctx); err != nil {
		return err
	}
	if r.hindered == nil {
		return r.mayReplace()
	}
	if !r.mayBeInstalled() {
		return r.hindered
	}
	return nil
}

// mayReplace refuses what is known not to fit before the new file comes. The installed
// file itself is judged when it turns out to be the one that is asked for.
func (r *run) mayReplace() error {
	if r.mayBeInstalled() {
		return nil
	}
	return r.areBinaries()
}

// lookUnlocked finds out what the lock's holder would, changing nothing.
func (r *run) lookUnlocked(ctx context.Context) error {
	err := fsatomic.AwaitFree(ctx, r.FS, r.target, r.request.Wait)
	if err != nil && (r.hindered == nil || errors.Is(err, fsatomic.ErrBusy) || ctx.Err() != nil) {
		return err
	}
	if err := r.lookup(); err != nil { // it may have been waited for
		return err
	}
	residue, err := fsatomic.Residue(r.FS, r.target)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	r.plan.Leftovers = residue.Leftovers
	if err := r.describe(ctx); err != nil {
		return err
	}
	if err := r.know(); err != nil {
		return err
	}
	r.state.settle(r.plan.Installed)
	return nil
}

// already ends a run that found the file installed. While its bytes were compared it must
// not have been changed.
func (r *run) already() error {
	now, err := fsatomic.Lookup(r.FS, r.target.Path)
	if err == nil && !now.File.Unchanged(r.target.File) {
		err = fmt.Errorf("%s: %w", r.target.Path, fsatomic.ErrChanged)
	}
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if !r.outcome.DryRun {
		r.outcome.Result = ResultAlready
	}
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
	return len(r.request.Expect) == 0 || slices.Contains(r.request.Expect, found.file.Release)
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
	return r.know()
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
	if problems := r.problems(); len(problems) > 0 {
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
		if err := r.target.Try(r.FS, executable(wanted)); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// executable are attributes by which the owner may execute the file.
func executable(attributes fsatomic.Attributes) fsatomic.Attributes {
	attributes.Mode |= 0o100
	return attributes
}

// lookup finds out what stands at the target.
func (r *run) lookup() error {
	target, err := fsatomic.Lookup(r.FS, r.request.Target)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if !utf8.ValidString(target.Path) {
		return fmt.Errorf("plan: %q: %w", target.Path, ErrNotUTF8)
	}
	r.target, r.plan.Target, r.record.Target = target, target, target.Path
	r.plan.Action, r.installed = ActionCreate, nil
	if target.Exists {
		r.plan.Action = ActionReplace
	}
	r.plan.Attributes = r.attributes()
	return nil
}

// describe reads the file at the target, if there is one.
func (r *run) describe(ctx context.Context) error {
	if !r.target.Exists {
		return nil
	}
	found, err := describePath(ctx, r.FS, r.target.Path)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	r.installed = &found
	r.plan.Installed = &r.installed.file
	return nil
}

// attributes are the replaced file's, with what was asked for instead. A file
// that its owner may not execute becomes executable: a replica refuses it otherwise.
func (r *run) attributes() fsatomic.Attributes {
	attributes := fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: ModeDefault}
	if r.target.Exists {
		attributes = r.target.Attributes
	}
	if r.plan.Operation == OperationRollback {
		return fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: ModeDefault} // nothing is set
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
	return attributes
}

// takeLock locks the target, completes what interrupted runs left open, and
// looks again: before the lock somebody else may have been at it.
func (r *run) takeLock(ctx context.Context) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// acquire locks the target and clears away what interrupted runs left.
func (r *run) acquire(ctx context.Context) error {
	r.observe(StepLock)
	lock, err := fsatomic.Acquire(ctx, r.FS, r.target, fsatomic.LockOptions{Command: r.Command, Wait: r.request.Wait})
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	r.lock = lock
	recovery, err := fsatomic.Recover(lock)
	r.plan.Leftovers = recovery.Leftovers
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

// known asks whether the installed file is what would be fetched. If so, it is the new file.
func (r *run) known(ctx context.Context, draft *draft) (bool, error) {
	if r.request.Known == nil || draft.installed == nil {
		return false, nil
	}
	var from *Origin
	if noted := r.state.Installed; noted != nil && noted.SHA256 == r.installed.file.SHA256 {
		from = noted.Origin
	}
	origin, known, err := r.request.Known(ctx, r.installed.file, from)
	if err != nil || !known {
		return false, err
	}
	origin.ExecutableSHA256 = r.installed.file.SHA256
	r.from(origin)
	draft.Take()
	return true, nil
}

// from notes where the new file comes from.
func (r *run) from(origin Origin) {
	if origin.Source == "" {
		return
	}
	r.plan.Origin = origin
	r.record.Source, r.record.Trust = clip(origin.Source), origin.Trust
}

// fetch fills the draft.
func (r *run) fetch(ctx context.Context, draft *draft, fetch Fetch) error {
	r.observe(StepFetch)
	origin, err := fetch(ctx, draft)
	r.from(origin)
	if err != nil {
		return err
	}
	return ctx.Err()
}

// judge verifies the draft through its descriptor, and whether it fits.
func (r *run) judge(ctx context.Context, draft *draft) error {
	r.observe(StepVerify)
	sum := r.plan.Origin.ExecutableSHA256
	if draft.Whole() {
		sum = r.installed.file.SHA256
	}
	mode := fs.FileMode(r.plan.Attributes.Mode&0o777 | 0o100) // that it will have
	report, err := verify.File(ctx, draft, draft.Size(), verify.Options{SHA256: sum == "", Checksum: true, Mode: &mode})
	if err != nil {
		return err
	}
	r.checksum = report.Checksum
	if sum == "" {
		sum = report.SHA256
	}
	r.plan.Verified = &report
	r.plan.New = &File{Size: draft.Size(), SHA256: sum}
	var stranger inspect.Kind
	if report.Binary != nil {
		r.plan.New.fill(report.Binary)
	} else if stranger = inspect.Describe(draft, draft.Size()); stranger.Name != inspect.NameDamaged {
		r.plan.New.Kind = stranger.Text
	}
	r.record.New, r.record.Verified = r.plan.New, heldChecks(report)
	if !report.Ok {
		return &RejectedError{Source: r.plan.Origin.Source, Reason: report.Diagnosis, Kind: stranger, Report: &report}
	}
	if err := r.expected(report.Binary); err != nil {
		return err
	}
	r.observe(StepJudge)
	if r.installed != nil && r.installed.file.SHA256 == sum {
		r.same()
		return r.stillFits(ctx, report.Binary)
	}
	return r.fits(ctx, report.Binary)
}

// stillFits judges a file that is installed already: that it is there does not mean
// that what runs, or the data, can go on with it.
func (r *run) stillFits(ctx context.Context, binary *multiversion.Binary) error {
	err := r.fits(ctx, binary)
	var refused *RefusedError
	if errors.As(err, &refused) {
		refused.Reason = "this file is installed already, and nothing was touched, but it does not fit: " + refused.Reason
	}
	return err
}

// expected compares the new file with what was asked for.
func (r *run) expected(binary *multiversion.Binary) error {
	if len(r.request.Expect) == 0 {
		return nil
	}
	for _, release := range r.request.Expect {
		if release == binary.Current() {
			return nil
		}
	}
	reason := expectation{want: r.request.Expect, found: binary.Current()}.reason()
	return &RejectedError{Source: r.plan.Origin.Source, Reason: reason, Expected: true, Report: r.plan.Verified}
}

// same is the plan for a file that is installed already.
func (r *run) same() {
	r.plan.Action = ActionNone
	there, wanted := r.target.Attributes, r.plan.Attributes
	if r.request.Mode != nil && there.Mode != wanted.Mode {
		r.warn("the file at the target has mode %s, not %s: it is the same file, so nothing was touched", there.Mode, wanted.Mode)
	}
	if there.Mode&0o100 == 0 {
		r.warn("the file at the target is not executable by its owner: a replica refuses it, until chmod u+x")
	}
	if wanted.UID != fsatomic.OwnerUnchanged && there.UID != wanted.UID || wanted.GID != fsatomic.OwnerUnchanged && there.GID != wanted.GID {
		r.warn("the file at the target belongs to %d:%d, not %d:%d: it is the same file, so nothing was touched", there.UID, there.GID, wanted.UID, wanted.GID)
	}
}

// apply makes the plan true. From the intent on, every way out leaves an
// outcome beside the target; only a crash does not.
func (r *run) apply(ctx context.Context, staged *fsatomic.Staged) error {
	r.observe(StepCommit)
	r.becomeExecutable()
	if err := staged.SetAttributes(r.plan.Attributes); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := staged.Sync(); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.writeIntent(); err != nil {
		return err
	}
	if err := r.guard(ctx); err != nil {
		return err
	}
	if err := r.stillVerified(ctx, staged); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	committed, err := staged.Commit(ctx, fsatomic.CommitOptions{DropOld: r.request.DropOld})
	if err != nil {
		var unknown *fsatomic.UnknownStateError
		r.outcome.Changed = errors.As(err, &unknown) && unknown.Visible
		return fmt.Errorf("install: %w", err)
	}
	r.outcome.Changed, r.outcome.Committed, r.outcome.Result = true, &committed, ResultInstalled
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
	r.outcome.ReadBack = want
	return nil
}

// heldChecks names the checks that held, each once.
func heldChecks(report verify.Report) []string {
	var names []string
	seen := make(map[verify.Check]bool)
	for _, finding := range report.Findings {
		if finding.Status == verify.Held && !seen[finding.Name] {
			seen[finding.Name] = true
			names = append(names, string(finding.Name))
		}
	}
	return names
}
