package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// What a condition is about.
const (
	ConditionOffered = "offered" // every replica offers the release
	ConditionArmed   = "armed"   // every replica holds a binary with the release, or the binary itself, in memory
	ConditionRunning = "running" // every replica runs the release, for certain
)

// ErrCondition is matched by every error of [ParseCondition].
var ErrCondition = errors.New("not a condition")

// Condition is what [Until] waits for. It is met when there is a replica, and every replica is so.
type Condition struct {
	What    string               `json:"what"`
	Release multiversion.Release `json:"release,omitzero"`

	// Checksum asks for one binary, whatever its releases: the header's checksum of the
	// file. It goes with ConditionArmed alone. Zero stands for any.
	Checksum multiversion.Checksum `json:"checksum_binary_without_header,omitzero"`
}

// ParseCondition parses offered=RELEASE, armed=RELEASE or running=RELEASE. The
// error matches ErrCondition.
func ParseCondition(text string) (Condition, error) {
	what, value, ok := strings.Cut(text, "=")
	if !ok {
		return Condition{}, fmt.Errorf("%w: %.60q, want offered=RELEASE, armed=RELEASE or running=RELEASE", ErrCondition, text)
	}
	release, err := multiversion.ParseRelease(value)
	if err != nil {
		return Condition{}, fmt.Errorf("%w: %.60q: %w", ErrCondition, text, err)
	}
	condition := Condition{What: what, Release: release}
	return condition, condition.check()
}

func (c Condition) check() error {
	switch {
	case c.What != ConditionOffered && c.What != ConditionArmed && c.What != ConditionRunning:
		return fmt.Errorf("%w: %.40q, want offered, armed or running", ErrCondition, c.What)
	case c.Checksum != multiversion.Checksum{} && c.What != ConditionArmed:
		return fmt.Errorf("%w: a checksum with %s", ErrCondition, c.What)
	case c.Release == 0 && c.Checksum == multiversion.Checksum{}:
		return fmt.Errorf("%w: %s what", ErrCondition, c.What)
	}
	return nil
}

// String returns the form that ParseCondition takes, or the checksum instead of the release.
func (c Condition) String() string {
	if c.Release == 0 {
		return c.What + "=" + c.Checksum.String()
	}
	return c.What + "=" + c.Release.String()
}

// metBy reports whether one replica is so.
func (c Condition) metBy(process *replica.Process) bool {
	switch c.What {
	case ConditionRunning:
		return process.Running.Certain && process.Running.Release == c.Release
	case ConditionOffered:
		return process.Armed != nil && slices.Contains(process.Armed.Offered, c.Release)
	}
	return process.Armed != nil &&
		(c.Release == 0 || slices.Contains(process.Armed.Releases, c.Release)) &&
		(c.Checksum == multiversion.Checksum{} || c.Checksum == process.Armed.Checksum)
}

// Outcome is how things stood when [Until] returned.
type Outcome struct {
	Condition Condition         `json:"condition"`
	Met       bool              `json:"met"`
	Processes []replica.Process `json:"processes"`        // nil: they were not looked at
	Binary    *Event            `json:"binary,omitempty"` // the last event of KindBinary
}

// UntilError says that a condition was not met, and how things stood. It
// matches its cause: the context's error, ErrNeverArms, ErrHidden or replica.ErrNotSupported.
type UntilError struct {
	Outcome Outcome
	Err     error
}

// ErrNeverArms says that a replica does not look for new binaries, so that
// it takes one only when it is started again.
var ErrNeverArms = errors.New("a replica does not look for new binaries")

// ErrHidden says that this process may not see what a replica runs or holds, so
// that no wait for it ends well.
var ErrHidden = errors.New("a replica may not be looked into")

// Error says what each replica is at.
func (e *UntilError) Error() string {
	text := e.Outcome.Condition.String() + " is not met"
	switch {
	case errors.Is(e.Err, context.DeadlineExceeded):
		text += " in time"
	case !errors.Is(e.Err, context.Canceled):
		text += ": " + e.Err.Error()
	}
	replicas := 0
	for index := range e.Outcome.Processes {
		process := &e.Outcome.Processes[index]
		if !process.Replica {
			continue
		}
		replicas++
		text += fmt.Sprintf("; process %d runs %s", process.PID, nameOf(process.Running.Release))
		if !process.Running.Certain {
			text += fmt.Sprintf(" (not certain: %s)", process.Running.Note)
		}
		if process.Armed != nil {
			text += fmt.Sprintf(", armed with %s, offers %v", process.Armed.Current, process.Armed.Offered)
		}
		if !process.Polls {
			text += ", " + process.NoPolling
		}
	}
	switch {
	case replicas > 0:
	case e.Outcome.Processes == nil:
		text += "; the processes could not be looked at"
	default:
		text += "; no replica runs from the binary"
	}
	if last := e.Outcome.Binary; last != nil && last.Verdict != VerdictAccepted {
		text += fmt.Sprintf("; the binary: %s: %s", last.Verdict, last.Reason)
	}
	return text
}

// Unwrap returns the cause.
func (e *UntilError) Unwrap() error { return e.Err }

func nameOf(release multiversion.Release) string {
	if release == 0 {
		return "an unknown release"
	}
	return release.String()
}

// Until follows the binary at path and its replicas until the condition is met. The
// context's deadline bounds the wait. It calls report, unless nil, with every event. The
// error is ErrCondition or a [*UntilError] whenever the condition is not met, as the
// Outcome says too.
func Until(ctx context.Context, path string, condition Condition, options Options, report func(Event)) (Outcome, error) {
	outcome := Outcome{Condition: condition}
	if err := condition.check(); err != nil {
		return outcome, err
	}
	options.BinaryOnly = false
	w, err := newWatcher(path, options)
	if err != nil {
		return outcome, err
	}
	defer w.close()
	for {
		events, err := w.step(ctx)
		for index := range events {
			if events[index].Kind == KindBinary {
				outcome.Binary = &events[index]
			}
			if report != nil {
				report(events[index])
			}
		}
		outcome.Processes = w.processes
		if err == nil && w.finder == nil {
			err = replica.ErrNotSupported
		}
		if err == nil {
			outcome.Met, err = condition.met(w.processes)
		}
		if outcome.Met {
			return outcome, nil
		}
		if err == nil {
			err = w.wait(ctx)
		}
		if err != nil {
			return outcome, &UntilError{Outcome: outcome, Err: err}
		}
	}
}

// met reports whether the condition is met. The error is ErrNeverArms or ErrHidden if
// it can't be while the processes live.
func (c Condition) met(processes []replica.Process) (bool, error) {
	replicas := 0
	for index := range processes {
		process := &processes[index]
		if !process.Replica {
			continue
		}
		replicas++
		if !c.metBy(process) {
			if process.Replica && !process.Polls && c.What != ConditionRunning {
				return false, fmt.Errorf("%w: process %d has %s", ErrNeverArms, process.PID, process.NoPolling)
			}
			return false, c.hidden(process)
		}
	}
	return replicas > 0, nil
}

// hidden returns ErrHidden if the system forbids to see whether a replica is so.
func (c Condition) hidden(process *replica.Process) error {
	what := "fd"
	if c.What == ConditionRunning {
		what = "exe"
	}
	for _, unreadable := range process.Unreadable {
		if unreadable.What == what && errors.Is(unreadable.Err, fs.ErrPermission) {
			return fmt.Errorf("%w: process %d: %w", ErrHidden, process.PID, unreadable.Err)
		}
	}
	return nil
}
