package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// What a condition is about. But for ConditionDurable, a replica that starts or is stopped is not so.
const (
	ConditionOffered = "offered" // every replica offers the release
	ConditionArmed   = "armed"   // every replica holds a binary with the release, or the binary itself, in memory
	ConditionRunning = "running" // every replica runs the release, for certain, and listens
	ConditionServing = "serving" // every replica runs the release, and answered a ping just now
	ConditionDurable = "durable" // every replica's data file was last checkpointed with the release
)

// Conditions returns what a condition may be about, in the order in which a replica comes to be so.
func Conditions() []string {
	return []string{ConditionArmed, ConditionOffered, ConditionDurable, ConditionRunning, ConditionServing}
}

// ErrCondition is matched by every error of [ParseCondition].
var ErrCondition = errors.New("not a condition")

// Condition is what [Until] waits for. It is met when there is a replica that counts, and every one
// that counts is so: see [replica.Process.Counts].
type Condition struct {
	What string `json:"what"`

	// Release may be 0 with ConditionRunning and ConditionServing: then it is the one that each replica runs.
	Release multiversion.Release `json:"release,omitzero"`

	// Checksum asks for one binary, whatever its releases: the header's checksum of the
	// file. It goes with ConditionArmed alone. Zero stands for any.
	Checksum multiversion.Checksum `json:"checksum_binary_without_header,omitzero"`
}

// ParseCondition parses offered=RELEASE, armed=RELEASE, running=RELEASE, serving=RELEASE,
// durable=RELEASE, and running and serving for any release. The error matches ErrCondition.
func ParseCondition(text string) (Condition, error) {
	what, value, ok := strings.Cut(text, "=")
	if !ok && !anyRelease(what) {
		return Condition{}, fmt.Errorf("%w: %.60q, want %s=RELEASE, running or serving", ErrCondition, text, strings.Join(Conditions(), "=RELEASE, "))
	}
	condition := Condition{What: what}
	if ok {
		var err error
		if condition.Release, err = multiversion.ParseRelease(value); err != nil {
			return Condition{}, fmt.Errorf("%w: %.60q: %w", ErrCondition, text, err)
		}
		if condition.Release == 0 {
			return Condition{}, fmt.Errorf("%w: %.60q: no release has this number", ErrCondition, text)
		}
	}
	return condition, condition.check()
}

// anyRelease reports whether a condition need not name a release.
func anyRelease(what string) bool { return what == ConditionRunning || what == ConditionServing }

func (c Condition) check() error {
	switch {
	case !slices.Contains(Conditions(), c.What):
		return fmt.Errorf("%w: %.40q, want one of %s", ErrCondition, c.What, strings.Join(Conditions(), ", "))
	case c.Checksum != multiversion.Checksum{} && c.What != ConditionArmed:
		return fmt.Errorf("%w: a checksum with %s", ErrCondition, c.What)
	case c.Release == 0 && c.Checksum == multiversion.Checksum{} && !anyRelease(c.What):
		return fmt.Errorf("%w: %s what", ErrCondition, c.What)
	}
	return nil
}

// String returns the form that ParseCondition takes, or the checksum instead of the release.
func (c Condition) String() string {
	switch {
	case c.Release != 0:
		return c.What + "=" + c.Release.String()
	case c.Checksum != multiversion.Checksum{}:
		return c.What + "=" + c.Checksum.String()
	}
	return c.What
}

// runs reports whether a replica runs the release, or any if the condition names none.
func (c Condition) runs(process *replica.Process) bool {
	return process.State == replica.StateRunning && process.Running.Certain && (c.Release == 0 || process.Running.Release == c.Release)
}

// metBy reports whether one replica is so. Answer is its last one, nil if it was not asked.
func (c Condition) metBy(process *replica.Process, answer *Answer) bool {
	switch {
	case c.What == ConditionDurable:
		return process.Superblock != nil && process.Superblock.Release == c.Release
	case c.What == ConditionRunning:
		return c.runs(process)
	case c.What == ConditionServing:
		return c.runs(process) && answer != nil && answer.Pong != nil && answer.Pong.Release == process.Running.Release
	case process.State == replica.StateStarting || process.State == replica.StateStopped || process.Armed == nil:
		return false
	case c.What == ConditionOffered:
		return slices.Contains(process.Armed.Offered, c.Release)
	}
	return (c.Release == 0 || slices.Contains(process.Armed.Releases, c.Release)) &&
		(c.Checksum == multiversion.Checksum{} || c.Checksum == process.Armed.Checksum)
}

// met reports whether the replicas that count meet the condition. The error is ErrNeverArms, ErrNeverSees, ErrHidden or a
// [*replica.CannotAskError] if it can't be, or can't be seen, while the processes live.
func (c Condition) met(processes []replica.Process, answers []Answer) (bool, error) {
	replicas, met := 0, 0
	for index := range processes {
		process := &processes[index]
		if !process.Counts() {
			continue
		}
		replicas++
		answer := answerOf(answers, process.PID)
		if c.metBy(process, answer) {
			met++
		} else if err := c.hopeless(process, answer); err != nil {
			return false, err
		}
	}
	return replicas > 0 && met == replicas, nil
}

// NeverTakes returns why a replica will not take the file at the target by itself, nil if it may. The error is a
// [*NeverSeesError] or matches ErrNeverArms.
func NeverTakes(process *replica.Process) error {
	if hindrance, why := process.Hindrance(); hindrance == replica.HindranceOtherFile {
		return &NeverSeesError{Process: *process, why: why}
	}
	if !process.Polls {
		return fmt.Errorf("%w: process %d has %s", ErrNeverArms, process.PID, process.NoPolling)
	}
	return nil
}

// hopeless returns why a replica will never be so, or never be seen to be, and nil if it may.
func (c Condition) hopeless(process *replica.Process, answer *Answer) error {
	var needs []string
	switch c.What {
	case ConditionArmed, ConditionOffered:
		if err := NeverTakes(process); err != nil && (process.State != replica.StateStarting || !errors.Is(err, ErrNeverArms)) {
			return err
		}
		needs = []string{"fd"}
	case ConditionDurable:
		needs = []string{replica.UnreadableDataFile}
	default:
		needs = []string{"exe", "fd", replica.UnreadableSockets}
		if !process.Running.Certain {
			needs = append(needs, replica.UnreadableDataFile)
		}
	}
	for _, unreadable := range process.Unreadable {
		if slices.Contains(needs, unreadable.What) && errors.Is(unreadable.Err, fs.ErrPermission) {
			return fmt.Errorf("%w: process %d: %w", ErrHidden, process.PID, unreadable.Err)
		}
	}
	if answer != nil {
		if failure, ok := errors.AsType[*replica.CannotAskError](answer.Err); ok {
			return failure
		}
	}
	return nil
}
