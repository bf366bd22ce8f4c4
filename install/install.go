package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
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
	StepIntent   Step = "intent"
	StepReadBack Step = "read-back"
)

// Installer replaces files on one file system and keeps one journal. FS is
// required.
type Installer struct {
	FS      vfs.FS
	Journal *Journal // nil: nothing is recorded

	Command  string // for the lock and the record
	User     string // for the record
	SudoUser string // for the record

	// Observe is told of each step before it is taken. It may be nil.
	Observe func(Step)
	// Advise is told before the swap what is known of the file that is to be swapped in. It may be nil.
	Advise func([]advisory.Notice)
	// Advisories are what is known of releases; nil: what is built in.
	Advisories *advisory.List
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

	checksum multiversion.Checksum // of the new file, when it was verified
	target   fsatomic.Target
	hindered *PlanError // what hinders a change, in the place; nil: nothing does

	madeExecutable bool // the new file gets from us that its owner may execute it

	lock         *fsatomic.Lock
	installed    *present // nil: nothing is there
	state        *State
	stateRead    bool
	stateProblem *StateError // why it was not, though it is there; nil: it was, or there is none
	stateOurs    bool        // it was read, and only root and this user can have written it

	historyTold int // the number of the warning that it could not be read or written, from 1; 0: there is none

	stateWriters vfs.Writers // who else can have written the state
	oldWriters   vfs.Writers // of a rollback: who else can have written the previous file
	oldKnown     bool        // and something is recorded of the time when it was the target
	fresh        bool        // a copy of the previous file is put back, see checkBack
	onlyCopy     bool        // and nothing but a copy may be
}

// Install replaces the file at the target with what fetch writes. On nil the new
// file is at the target, whole, with its attributes and durably, and was read back;
// or Result is [ResultAlready] and nothing was touched.
//
// On error the outcome holds the plan as far as it was made. [*PlanError],
// [*RejectedError], [*RefusedError], [*durable.BusyError], fetch's errors and the
// context's leave the target untouched and nothing beside it. A
// [*fsatomic.UnknownStateError] or a [*ReadBackError] comes after the swap. A
// [*durable.SyncError] says which. A [*StateError] comes before the swap. A record that
// cannot be written after it is a warning of the plan, and so is a journal that cannot be
// written at all.
func (in *Installer) Install(ctx context.Context, request Request, fetch Fetch) (*Outcome, error) {
	return in.afterRollout(ctx, request, func() (*Outcome, error) {
		r := in.begin(OperationInstall, request)
		defer r.close()
		defer r.advise()
		return r.recordOutcome(ctx, r.install(ctx, fetch))
	})
}

// Plan makes the plan that Install would apply, and changes nothing: no lock is
// taken, and what is fetched is kept in the target's file system only until it is judged,
// without a name where there is such a thing. Errors are those of Install, up to the swap.
func (in *Installer) Plan(ctx context.Context, request Request, fetch Fetch) (*Outcome, error) {
	return in.afterRollout(ctx, request, func() (*Outcome, error) {
		r := in.begin(OperationInstall, request)
		r.outcome.DryRun = true
		defer r.advise()
		return r.foreseen(r.install(ctx, fetch))
	})
}

func (in *Installer) begin(operation Operation, request Request) *run {
	if request.DespiteRollout && request.Fence == nil && request.Wait == 0 {
		request.Wait = despiteWait
	}
	plan := &Plan{Operation: operation, Platform: request.Host, Host: request.Host, DropOld: request.DropOld, Origin: Origin{Source: request.Source}}
	r := &run{Installer: in, request: request, started: time.Now(), plan: plan, outcome: &Outcome{Plan: plan}}
	host, _ := os.Hostname()
	r.record = Record{
		Version: recordVersion, ID: newID(), Operation: operation, Target: request.Target, Command: clip(in.Command), User: in.User, SudoUser: in.SudoUser,
		Host: host, PID: os.Getpid(), Source: clip(request.Source),
	}
	return r
}

// foreseen is the outcome of a dry run, and its error.
func (r *run) foreseen(err error) (*Outcome, error) {
	r.outcome.WouldChange = err == nil && r.plan.Action != "" && r.plan.Action != ActionNone
	return r.outcome, err
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
	defer func() { r.left(draft.close()) }()
	if err != nil {
		return r.inOperation(err)
	}
	taken, err := r.takeInstalled(ctx, draft)
	if err == nil && !taken && r.hindered != nil && !r.request.Near && len(r.request.Expect) == 0 {
		return r.hindered // nothing says that it may be the installed file
	}
	if err == nil && !taken {
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
	}
	if err := r.mayPassFence(r.state.Fence); err != nil {
		return err
	}
	r.warnStateProblem()
	switch {
	case draft.Store() == nil: // it is the beginning of the installed file
		return r.inOperation(draft.Err())
	case r.outcome.DryRun:
		r.foresee()
		return nil
	}
	return r.apply(ctx, draft.staged())
}

// foresee warns in a dry run of what the real run would have to warn of.
func (r *run) foresee() {
	if err := r.Journal.check(); err != nil {
		r.warnUnrecorded(err)
	}
	r.warnMadeExecutable()
	r.carriesNothing()
}

// carriesNothing says that the file which the target had is gone, and with it what would be carried over.
func (r *run) carriesNothing() {
	last := r.state.Last
	if r.target.Exists || last == nil {
		return
	}
	before := "what the file there had was not recorded"
	if rights := last.OldRights; rights != nil {
		before = fmt.Sprintf("on %s a file there had mode %s, user %d, group %d", last.Time.UTC().Format(time.DateOnly), rights.Mode, rights.UID, rights.GID)
		if rights.Xattrs[fsatomic.XattrCapability] != nil {
			before += " and capabilities"
		}
	}
	r.warn("nothing is at %s any more, so that no owner, mode, ACL, label and capabilities are carried over: %s; set them before a replica is started", r.target.Path, before)
}

// warnMadeExecutable says that the owner gets the right to execute the file.
func (r *run) warnMadeExecutable() {
	if r.madeExecutable {
		r.warn("the mode becomes %s: a replica refuses a binary that its owner may not execute", r.plan.Attributes.Mode)
	}
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
	if r.hindered != nil && (!r.target.Exists || errors.Is(r.hindered, fsatomic.ErrSystem)) {
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
	if err := r.mayPassFence(r.state.Fence); err != nil {
		return err
	}
	return r.areBinaries()
}

// already ends a run that found the file installed. While its bytes were compared it must
// not have been changed.
func (r *run) already() error {
	if r.request.Fence != nil { // a run that has lost the target, or whose plan has another file, is to hear of it
		if err := r.mayPassFence(r.state.Fence); err != nil {
			return err
		}
	}
	now, err := openPath(r.FS, r.target.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%s: %w", r.target.Path, fsatomic.ErrChanged)
	case err == nil:
		defer now.Close()
		err = r.isTarget(now)
	}
	if err != nil {
		return err
	}
	if err := r.notePhase(); err != nil {
		return err
	}
	if err := r.noteAnyPlan(); err != nil {
		return fmt.Errorf("go through a rollout: %w", err)
	}
	r.adopt()
	r.warnStateProblem()
	if !r.outcome.DryRun {
		r.outcome.Result = ResultAlready
	}
	return nil
}

// adopt records the file that is installed already, and was asked for now, where another program put it there after tbctl did: from now on
// it is the one that is known. Nothing depends on it.
func (r *run) adopt() {
	known := r.state.Installed
	if r.lock == nil || !r.stateRead || known == nil || known.SHA256 == r.installed.file.SHA256 || fleet.Free(r.state.Fence) != nil {
		return
	}
	origin := r.plan.Origin
	r.state.Installed = &Recorded{File: *r.plan.Installed, Origin: &origin}
	if err := r.storeState(); err != nil {
		r.state.Installed = known
		r.warn("%v: that another file is at %s than tbctl put there last stays recorded", err, r.target.Path)
		return
	}
	r.warn("%s was put there by another program: it is recorded as the installed file now, instead of %s", r.target.Path, known.SHA256)
}

// takeInstalled takes the installed file as the new one if it is known to be what would be fetched.
func (r *run) takeInstalled(ctx context.Context, draft *draft) (bool, error) {
	if r.request.AlreadyInstalled == nil || draft.installed == nil {
		return false, nil
	}
	var from *Origin
	if noted := r.state.Installed; r.stateOurs && noted != nil && noted.SHA256 == r.installed.file.SHA256 {
		if from = noted.Origin; from != nil && from.ExecutableSHA256 != "" && from.ExecutableSHA256 != noted.SHA256 { // it is about another file
			from = nil
		}
	}
	origin, already, err := r.request.AlreadyInstalled(ctx, r.installed.file, from)
	if err != nil || !already {
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
	mode := fs.FileMode(r.plan.Attributes.Mode & 0o777)
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
	if err := report.Binary.Current().OneOf(r.request.Expect); err != nil {
		return &RejectedError{Source: r.plan.Origin.Source, Reason: err.Error(), Report: &report, Err: err}
	}
	r.observe(StepJudge)
	if r.installed != nil && r.installed.file.SHA256 == sum {
		r.same()
		return r.stillFits(ctx, report.Binary)
	}
	return r.judgeFit(ctx, report.Binary)
}

// stillFits judges a file that is installed already: that it is there does not mean
// that what runs, or the data, can go on with it.
func (r *run) stillFits(ctx context.Context, binary *multiversion.Binary) error {
	err := r.judgeFit(ctx, binary)
	var refused *RefusedError
	if errors.As(err, &refused) {
		refused.Reason = "this file is installed already, and nothing was touched, but it does not fit: " + refused.Reason
	}
	return err
}

// same is the plan for a file that is installed already.
func (r *run) same() {
	r.plan.Action = ActionNone
	r.warnNoExec()
	there, wanted := r.target.Attributes, r.plan.Attributes
	if asked := r.request.Mode; asked != nil && there.Mode != *asked {
		r.warn("the file at the target has mode %s, not %s: it is the same file, so nothing was touched", there.Mode, *asked)
	}
	if there.Mode&0o100 == 0 {
		r.warn("the file at the target is not executable by its owner: a replica refuses it, until chmod u+x")
	}
	if wanted.UID != fsatomic.OwnerUnchanged && there.UID != wanted.UID || wanted.GID != fsatomic.OwnerUnchanged && there.GID != wanted.GID {
		r.warn("the file at the target belongs to %d:%d, not %d:%d: it is the same file, so nothing was touched", there.UID, there.GID, wanted.UID, wanted.GID)
	}
}

// warnNoExec warns of a file that stays where it is and cannot be executed there.
func (r *run) warnNoExec() {
	if r.target.Volume.NoExec {
		r.warn("nothing can be executed at %s, whose file system is mounted noexec: no replica can be started from it", r.target.Path)
	}
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
