package install

import (
	"time"

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

// clip bounds a text from outside.
func clip(text string) string {
	if len(text) > recordTextMax {
		return text[:recordTextMax] + "…"
	}
	return text
}
