package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/tbctl/tbctl/fsatomic"
)

// writeIntent records what is about to be done. Without it nothing is done.
func (r *run) writeIntent(ctx context.Context) error {
	r.observe(StepRecord)
	record := r.record
	record.Phase, record.Time = PhaseIntent, time.Now().UTC()
	record.Old, record.New = r.plan.Installed, r.plan.New
	if err := r.Journal.append(ctx, record); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	r.intent = true
	return nil
}

// end records the outcome and returns it. The error is the operation's; one of
// the record is added to it, unless nothing was to be changed.
func (r *run) end(ctx context.Context, err error) (*Outcome, error) {
	r.outcome.Duration = time.Since(r.started)
	if r.outcome.Result == "" || err != nil {
		r.outcome.Result = resultOf(ctx, err)
	}
	if r.outcome.Result == ResultAlready || r.lock == nil {
		return r.outcome, err // nothing was touched, not even the journal
	}
	record := r.record
	record.Phase, record.Time = PhaseOutcome, time.Now().UTC()
	record.Old, record.New = r.plan.Installed, r.plan.New
	record.Result, record.DurationMS = r.outcome.Result, r.outcome.Duration.Milliseconds()
	if err != nil {
		record.Error = clip(err.Error())
	}
	recordErr := r.Journal.append(ctx, record)
	switch {
	case recordErr == nil:
	case r.outcome.Changed && err == nil:
		err = r.unrecorded(recordErr)
	case r.outcome.Changed:
		err = errors.Join(err, recordErr)
	case r.intent:
		r.warn("%v", recordErr)
	}
	return r.outcome, err
}

// unrecorded is the error of an operation that is done but for its record. It must
// not look like one that changed nothing.
func (r *run) unrecorded(cause error) error {
	return &fsatomic.UnknownStateError{
		Path: r.target.Path, Step: "record it", Visible: true, Durable: true, Previous: r.outcome.Committed.Old, Err: cause,
	}
}

// resultOf names the result of a failed operation.
func resultOf(ctx context.Context, err error) Result {
	var unknown *fsatomic.UnknownStateError
	var readBack *ReadBackError
	var rejected *RejectedError
	var refused *RefusedError
	var guard *guardError
	switch {
	case errors.As(err, &unknown), errors.As(err, &readBack):
		return ResultUnknown
	case errors.As(err, &rejected):
		return ResultRejected
	case errors.As(err, &refused):
		return ResultRefused
	case errors.As(err, &guard), ctx.Err() != nil:
		return ResultInterrupted
	}
	return ResultFailed
}

// completeRecords writes an outcome for every intent of this target that has
// none, and returns those outcomes: we hold the lock, so a crash ended them. What is on the
// disk is the truth.
func (r *run) completeRecords(ctx context.Context) ([]Record, error) {
	history, err := r.Journal.Read(r.target.Path)
	if err != nil {
		return nil, err
	}
	var completed []Record
	for _, intent := range history.Open() {
		outcome := intent
		outcome.Phase, outcome.Time = PhaseOutcome, time.Now().UTC()
		var there *File
		if r.installed != nil {
			there = &r.installed.file
		}
		outcome.Result = found(intent, there)
		outcome.Error = fmt.Sprintf("interrupted; completed by process %d from what is on the disk", r.record.PID)
		if err := r.Journal.append(ctx, outcome); err != nil {
			return completed, err
		}
		completed = append(completed, outcome)
	}
	return completed, nil
}

// found says which of the two files of an intent stands at the target.
func found(intent Record, there *File) Result {
	switch {
	case there == nil && intent.Old == nil:
		return ResultFoundOld
	case there == nil:
		return ResultFoundNone
	case there.SHA256 == "":
		return ResultFoundOther
	case intent.New != nil && there.SHA256 == intent.New.SHA256:
		return ResultFoundNew
	case intent.Old != nil && there.SHA256 == intent.Old.SHA256:
		return ResultFoundOld
	}
	return ResultFoundOther
}

// Interrupted is an operation that a crash ended, and what is at its target now.
type Interrupted struct {
	Intent Record `json:"intent"`
	Found  Result `json:"found"`
	Busy   bool   `json:"busy"` // somebody holds the target's lock: it may still be under way

	// Completed is whether its record was completed now with what was found.
	Completed bool `json:"completed"`
}

// Reconcile looks for operations that a crash ended, of one target (a real path)
// or of all for "". It takes each target's lock to complete the record; where that
// cannot be had, or the journal cannot be written, it only says what it found. The
// error joins those of the targets that could not be looked at.
func (in *Installer) Reconcile(ctx context.Context, target string) ([]Interrupted, error) {
	history, err := in.Journal.Read(target)
	if err != nil {
		return nil, err
	}
	var result []Interrupted
	var failed []error
	seen := make(map[string]bool)
	for _, intent := range history.Open() {
		if seen[intent.Target] {
			continue
		}
		seen[intent.Target] = true
		r := in.begin(intent.Operation, Request{Target: intent.Target})
		found, err := r.reconcile(ctx, history)
		r.close()
		if ctx.Err() != nil {
			return result, err
		}
		failed = append(failed, err)
		result = append(result, found...)
	}
	return result, errors.Join(failed...)
}

// reconcile does it for one target. It needs no more than the lock: a full disk,
// say, hinders an installation but not its record.
func (r *run) reconcile(ctx context.Context, history History) ([]Interrupted, error) {
	err := r.lookup()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsatomic.ErrNoDirectory) {
		return r.describeOpen(history, false), nil
	}
	if err != nil {
		return nil, err
	}
	locked := r.acquire(ctx)
	if locked == nil {
		err = r.lookup() // recovery does not change the target, but others did before the lock
	}
	if err == nil {
		err = r.describe(ctx)
	}
	if err != nil {
		return nil, err
	}
	if locked != nil {
		return r.describeOpen(history, errors.Is(locked, fsatomic.ErrBusy)), nil
	}
	open := r.describeOpen(history, false)
	completed, err := r.completeRecords(ctx)
	if ctx.Err() != nil {
		return open, err
	}
	for index := range open { // a journal that cannot be written is the next operation's to tell
		open[index].Completed = slices.ContainsFunc(completed, func(record Record) bool { return record.ID == open[index].Intent.ID })
	}
	return open, nil
}

// describeOpen says what is on the disk without writing it down.
func (r *run) describeOpen(history History, busy bool) []Interrupted {
	var result []Interrupted
	for _, intent := range history.Open() {
		if intent.Target != r.request.Target {
			continue
		}
		var there *File
		if r.installed != nil {
			there = &r.installed.file
		}
		result = append(result, Interrupted{Intent: intent, Found: found(intent, there), Busy: busy})
	}
	return result
}
