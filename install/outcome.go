package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// writeIntent records beside the target what is about to be done. Without it nothing is
// done. It is durable with the directory, which is synced before the swap.
func (r *run) writeIntent() error {
	r.observe(StepRecord)
	record := r.record
	record.Phase, record.Time = PhaseIntent, time.Now().UTC()
	record.Old, record.New = r.plan.Installed, r.plan.New
	r.state.forget(r.request.Forget)
	r.remember(r.request.withNamed())
	r.state.Next = &Next{record, r.next()}
	r.intent = true
	if err := r.writeState(); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return nil
}

// end records the outcome and returns it with the operation's error. What could not
// be recorded is a warning: the next command finds out by what is on the disk.
func (r *run) end(ctx context.Context, err error) (*Outcome, error) {
	r.outcome.Duration = time.Since(r.started)
	if r.outcome.Result == "" || err != nil {
		r.outcome.Result = resultOf(err)
	}
	r.keepSeen(context.WithoutCancel(ctx), err != nil)
	if r.outcome.Result == ResultAlready || r.lock == nil {
		return r.outcome, err // the files were not touched, nor the journal
	}
	record := r.record
	record.Phase, record.Time = PhaseOutcome, time.Now().UTC()
	record.Old, record.New = r.plan.Installed, r.plan.New
	if r.outcome.Changed && r.target.Exists {
		record.OldRights = rightsOf(r.target.Attributes)
	}
	record.Result, record.DurationMS = r.outcome.Result, r.outcome.Duration.Milliseconds()
	if err != nil {
		record.Error = clip(err.Error())
	}
	if r.intent {
		r.conclude(record, err)
	}
	r.log(ctx, record)
	return r.outcome, err
}

// conclude writes the outcome into the target's state. One that is not known leaves the
// intent there.
func (r *run) conclude(record Record, err error) {
	switch {
	case err == nil:
		r.state.Last, r.state.Files, r.state.Next = &record, r.state.Next.Files, nil
		if r.request.DespiteRollout && (r.unread != nil || fleet.Free(r.state.Fence) != nil) {
			r.state.Despite = &record
		}
		if r.request.Fence != nil && r.request.Phase != "" {
			fence := *r.state.Fence
			fence.Phase = r.request.Phase
			r.state.Fence = &fence
		}
		if r.overruled() { // from now on what this run saw counts
			r.state.Reached = nil
			r.state.remember(Seen{Reached: r.request.withNamed().Reached})
		}
	case record.Result == ResultUnknown:
		r.state.Next.Operation = record
	default:
		r.state.Next = nil
	}
	if err := r.storeState(); err != nil && r.outcome.Changed {
		r.warn("%v: the outcome could not be recorded, and the next command finds out from what is on the disk", err)
	}
}

// Refuse records in the history that an operation on the target of request.At was refused before it began, because of what is
// known of the cluster. The error is that of the history.
func (in *Installer) Refuse(ctx context.Context, operation Operation, request Request, reason error) error {
	r := in.begin(operation, request)
	record := r.record
	record.Target, record.Phase, record.Time = request.At.Path, PhaseOutcome, time.Now().UTC()
	record.Result, record.Error = resultOf(reason), clip(reason.Error())
	return in.Journal.append(ctx, record)
}

// log adds a record to the journal. Nothing depends on it.
func (r *run) log(ctx context.Context, record Record) {
	if err := r.Journal.append(ctx, record); err != nil {
		r.warnHistory(err)
	}
}

// warnHistory tells of a history that could not be read or written: once, as what keeps it from the one keeps it from the other.
func (r *run) warnHistory(err error) {
	if !r.historyTold {
		r.warn("%v", err)
	}
	r.historyTold = true
}

// resultOf names the result of a failed operation.
func resultOf(err error) Result {
	switch fault.Of(err) {
	case fault.Unknown:
		return ResultUnknown
	case fault.Rejected:
		return ResultRejected
	case fault.Refused:
		return ResultRefused
	case fault.Busy:
		return ResultBusy
	case fault.Fenced:
		return ResultFenced
	case fault.Interrupted:
		return ResultInterrupted
	}
	return ResultFailed
}

// readState reads the target's state. One that is there and cannot be read or believed is kept in unread: the target is not
// changed then, see mayPassFence. One that says it is a newer tbctl's is left to that, unless others can have written it.
func (r *run) readState() error {
	var there *File
	if r.installed != nil {
		there = &r.installed.file
	}
	state, readErr := r.ReadState(r.target, there)
	r.state, r.believed, r.unread = state, readErr == nil, nil
	r.stateWriters = state.writers
	switch {
	case errors.Is(readErr, ErrStateVersion) && r.stateWriters.None():
		return readErr
	case errors.As(readErr, &r.unread):
	case readErr != nil:
		r.warnHistory(readErr)
	}
	for _, name := range r.request.Forget {
		known := slices.Contains(r.state.DataFiles, name) || r.state.Reached != nil && r.state.Reached.With([]string{name})
		text := fmt.Sprintf("the data file %q is not remembered with this target: there is nothing to forget", name)
		if !known && !slices.Contains(r.plan.Warnings, text) {
			r.plan.Warnings = append(r.plan.Warnings, text)
		}
	}
	r.alone = r.believed && r.stateWriters.None()
	if r.state.hearsay { // it is no reason to say that something was done already
		r.state.Last = nil
	}
	return nil
}

// settle completes the record of an operation that was interrupted: we hold the lock,
// so it is not under way. What is on the disk is the truth.
func (r *run) settle(ctx context.Context) error {
	record := r.state.settle(r.plan.Installed)
	if record == nil {
		return nil
	}
	record.Time = time.Now().UTC()
	record.Target = r.target.Path
	record.Error = fmt.Sprintf("interrupted; completed by process %d from what is on the disk", r.record.PID)
	if !r.alone {
		record.leaveOut(r.plan.Installed)
		record.Error += fmt.Sprintf(", and from what is recorded there, although %s: who began it, how and from what is left out", r.stateWriters)
	}
	if record.Result == ResultFoundNew {
		r.lowerOld()
	}
	if err := r.storeState(); err != nil {
		return fmt.Errorf("complete the record of an interrupted %s: %w", record.Operation, err)
	}
	r.outcome.Recovered = []Record{*record}
	r.log(ctx, *record)
	if record.Result == ResultFoundNew { // the previous file is another than the plan saw
		return r.look(ctx)
	}
	return nil
}

// Interrupted is an operation whose outcome nobody recorded, and what is at its target now.
type Interrupted struct {
	Intent Record `json:"intent"`
	Found  Result `json:"found"`
	Busy   bool   `json:"busy"` // the target's lock is held: it may still be under way

	// Completed is always false: the next command that changes the target completes it.
	Completed bool `json:"completed"`
}

// Interrupted returns the operation whose outcome is not known, or nil. there is the file
// at the target, nil for nothing; busy says that the lock is held.
func (s *State) Interrupted(there *File, busy bool) *Interrupted {
	if s.Next == nil {
		return nil
	}
	return &Interrupted{Intent: s.Next.Operation, Found: s.Found(there), Busy: busy}
}

// Interrupted looks at a target for an operation whose outcome is not known, changing
// nothing; nil where there is none. It is returned also with an error that says that this user
// cannot see whether the lock is held.
func (in *Installer) Interrupted(ctx context.Context, name string) (*Interrupted, error) {
	target, err := fsatomic.Lookup(in.FS, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, vfs.ErrNoDirectory) {
		return nil, nil // and with it all that was known of it
	}
	if err != nil {
		return nil, err
	}
	// Before the file is read, since most often there is nothing to compare it with.
	state, err := in.ReadState(target, nil)
	if err != nil || state.Next == nil {
		return nil, err
	}
	var there *File
	if target.Exists {
		found, err := DescribeSeen(ctx, in.FS, target.Path, target.File)
		if err != nil {
			return nil, err
		}
		there = &found.File
	}
	_, held, err := fsatomic.HeldBy(in.FS, target)
	return state.Interrupted(there, held), err
}
