package install

import (
	"context"
	"fmt"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
)

// writeIntent records beside the target what is about to be done. Without it nothing is
// done. It is durable with the directory, which is synced before the swap.
func (r *run) writeIntent() error {
	r.observe(StepIntent)
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

// recordOutcome records the outcome and returns it with the operation's error. What could not
// be recorded is a warning: the next command finds out by what is on the disk.
func (r *run) recordOutcome(ctx context.Context, err error) (*Outcome, error) {
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
		if r.request.DespiteRollout && (r.stateProblem != nil || fleet.Free(r.state.Fence) != nil) {
			r.state.Despite = &record
		}
		if r.request.Fence != nil && r.request.Phase != "" {
			fence := r.state.Fence.Changed(r.request.Phase)
			r.state.Fence = &fence
		}
		r.letAnyPlan()
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
	err := r.Journal.append(ctx, record)
	if err == nil {
		return
	}
	r.warnHistory(err)
	if r.outcome.Changed && record.ID == r.record.ID {
		r.warnUnrecorded(err)
	}
}

// warnUnrecorded says in place of what was told of the history that the operation gets no record; a dry run says the same.
func (r *run) warnUnrecorded(err error) {
	r.warnHistory(err)
	r.plan.Warnings[r.historyTold-1] = fmt.Sprintf("this %s gets no record in the history: %v", r.plan.Operation, err)
}

// warnHistory tells of a history that could not be read or written: once, as what keeps it from the one keeps it from the other.
func (r *run) warnHistory(err error) {
	if r.historyTold == 0 {
		r.warn("%v", err)
		r.historyTold = len(r.plan.Warnings)
	}
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
