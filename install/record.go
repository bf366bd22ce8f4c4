package install

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
)

// Phase says which half of an operation a record is.
type Phase string

// The phases. In the [Journal] every operation has an outcome, and a restart an intent before it: one without an
// outcome was begun, and how it ended is not known. Other intents stand there from an earlier tbctl alone. In a target's state an
// operation whose outcome is not known has an intent.
const (
	PhaseIntent  Phase = "intent"
	PhaseOutcome Phase = "outcome"
)

// Result says how an operation ended.
type Result string

// The results.
const (
	ResultInstalled   Result = "installed"   // the new file is at the target, durably, and was read back
	ResultAlready     Result = "already"     // the same bytes were there; nothing was touched
	ResultRolledBack  Result = "rolled-back" // the previous file is at the target again
	ResultRejected    Result = "rejected"    // the artifact is not whole or not trusted; nothing changed
	ResultRefused     Result = "refused"     // it does not fit; nothing changed
	ResultFenced      Result = "fenced"      // a rollout has the target; nothing was changed
	ResultBusy        Result = "busy"        // another process worked on the target, or changed it; nothing was changed
	ResultFailed      Result = "failed"      // nothing changed
	ResultRestarted   Result = "restarted"   // the command that restarts the replicas ended well; whether they are back, they show
	ResultInterrupted Result = "interrupted" // ended by a signal before anything changed
	ResultUnknown     Result = "unknown"     // the state on disk was not known; see Error
	ResultFoundNew    Result = "found-new"   // after a crash: the new file was found at the target
	ResultFoundOld    Result = "found-old"   // after a crash: the old file was found at the target
	ResultFoundOther  Result = "found-other" // after a crash: neither was found
	ResultFoundNone   Result = "found-none"  // after a crash: nothing was found at the target
	recordVersion            = 1
	recordTextMax            = 4 << 10 // bytes of a text from outside in a record
)

// Operation names what was done.
type Operation string

// The operations.
const (
	OperationInstall  Operation = "install"
	OperationRollback Operation = "rollback"
	OperationRestart  Operation = "restart" // of the replicas, for a rollout that aborts; the files stay as they are
)

// Record is one line of the journal.
type Record struct {
	Version   int       `json:"version"` // of the record: 1
	ID        string    `json:"id"`      // the same in an intent and its outcome
	Phase     Phase     `json:"phase"`
	Time      time.Time `json:"time"`
	Operation Operation `json:"operation"`
	Target    string    `json:"target"`
	Command   string    `json:"command,omitempty"`
	User      string    `json:"user,omitempty"`
	SudoUser  string    `json:"sudo_user,omitempty"`
	Host      string    `json:"host,omitempty"`
	PID       int       `json:"pid,omitempty"`

	// Rollout is the run of a rollout that did it and had the target; nil: it was done on this host.
	Rollout *Rollout `json:"rollout,omitempty"`

	// Restarted is what a restart runs, and on whom; nil: it had not got that far.
	Restarted *Restarted `json:"restarted,omitempty"`

	Again  bool   `json:"again,omitempty"`        // of a rollback: forward again, after one
	Named  string `json:"named_sha256,omitempty"` // of a rollback: the SHA-256 by which the operator named the previous file
	Source string `json:"source,omitempty"`
	Old    *File  `json:"old,omitempty"` // nil: there was no file
	New    *File  `json:"new,omitempty"`

	// OldRights are the owner, mode and capabilities that the old file had at the target.
	OldRights *fsatomic.Attributes `json:"old_rights,omitempty"`

	Verified []string `json:"verified,omitempty"` // the checks that held
	Trust    []Trust  `json:"trust,omitempty"`

	Result Result          `json:"result,omitempty"`
	Method fsatomic.Method `json:"method,omitempty"`
	Error  string          `json:"error,omitempty"`

	// Hearsay says that it was completed after a crash from a state that others can have written. Which files it was about,
	// and whether it was a rollback, is what they say; who did it, how and from what is left out.
	Hearsay bool `json:"hearsay,omitempty"`

	DurationMS int64 `json:"duration_ms,omitempty"`
}

// Rollout is one run of a plan.
type Rollout struct {
	Plan       string       `json:"plan"` // sha256:HEX
	Generation uint64       `json:"generation"`
	Epoch      uint64       `json:"epoch"`
	Holder     fleet.Holder `json:"holder"`
}

// Restarted is how the replicas of a target are restarted.
type Restarted struct {
	Command []string `json:"command"` // of this host
	PIDs    []int    `json:"pids"`    // of the replicas that ran before

	// Skipped says of processes that run from the target too why they are not restarted.
	Skipped []string `json:"skipped,omitempty"`
}

// File says what one binary is.
type File struct {
	Path     string                 `json:"path,omitempty"`
	Size     int64                  `json:"size"`   // in bytes
	SHA256   string                 `json:"sha256"` // empty for a file larger than any binary
	Platform multiversion.Platform  `json:"platform,omitempty"`
	Release  multiversion.Release   `json:"release,omitzero"` // the current one; 0 for a plain executable
	Releases []multiversion.Release `json:"releases,omitempty"`
	Debug    bool                   `json:"debug,omitempty"`

	// Damaged says what is wrong with a binary that is not whole.
	Damaged string `json:"damaged,omitempty"`

	// Kind describes a file that is no multiversion binary.
	Kind string `json:"kind,omitempty"`
}

// changed reports whether the target changed, or may have.
func (r *Record) changed() bool {
	if r.Operation == OperationRestart {
		return false
	}
	switch r.Result {
	case ResultInstalled, ResultRolledBack, ResultFoundNew, ResultFoundOther, ResultFoundNone, ResultUnknown:
		return r.Phase == PhaseOutcome
	}
	return false
}

// inVain reports whether it is of a rollout's request that changed nothing.
func (r *Record) inVain() bool {
	return r.Rollout != nil && r.Phase == PhaseOutcome && r.Operation != OperationRestart && !r.changed()
}

// clip bounds a text from outside.
func clip(text string) string {
	if len(text) > recordTextMax {
		return strings.ToValidUTF8(text[:recordTextMax], "") + "…"
	}
	return text
}

// writeIntent records beside the target what is about to be done. Without it nothing is
// done, and nothing is once the context has ended. It is durable with the directory, which is synced before the swap.
func (r *run) writeIntent(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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
	if record = r.request.byRollout(record); !r.Journal.hasLike(record) {
		r.log(ctx, record)
	}
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
	if record = request.byRollout(record); in.Journal.hasLike(record) {
		return nil
	}
	return in.Journal.append(ctx, record)
}

// byRollout is a record with the run that asked for what it is about, which had the target then.
func (r *Request) byRollout(record Record) Record {
	if r.Fence != nil && record.Result != ResultFenced {
		record.Rollout = rolloutOf(r.Fence)
	}
	return record
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
