package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// Answer is what a replica said to the last ping: a pong, or why there is none.
type Answer struct {
	PID    int           `json:"pid"`
	Pong   *replica.Pong `json:"pong,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Err    error         `json:"-"`
}

func answerOf(answers []Answer, pid int) *Answer {
	index := slices.IndexFunc(answers, func(answer Answer) bool { return answer.PID == pid })
	if index < 0 {
		return nil
	}
	return &answers[index]
}

// Outcome is how things stood when [Until] returned.
type Outcome struct {
	Condition Condition         `json:"condition"`
	Met       bool              `json:"met"`
	Processes []replica.Process `json:"processes"`          // nil: they were not looked at
	Unseen    []replica.Unseen  `json:"unseen,omitempty"`   // why there may be replicas besides
	Answers   []Answer          `json:"answers,omitempty"`  // of ConditionServing, by those that run the release
	Progress  *Progress         `json:"progress,omitempty"` // nil: none since the first look
	Binary    *Event            `json:"binary,omitempty"`   // the last event of KindBinary

	crashed      bool // it was so, a moment after a replica had ended
	byName       bool // of other users' processes only the names are seen
	looks        int
	began, ended time.Time
}

// UntilError says that a condition was not met, and how things stood. It matches its cause: the
// context's error, ErrNoProgress, ErrNeverArms, ErrHidden, ErrUnseen, a
// [*StrangersError], a [*replica.CannotAskError] or replica.ErrNotSupported.
type UntilError struct {
	Outcome Outcome
	Err     error
}

var (
	// ErrNeverArms says that a replica does not look for new binaries, so that
	// it takes one only when it is started again.
	ErrNeverArms = errors.New("a replica does not look for new binaries")

	// ErrNeverSees says that a replica finds another file at the path of its binary than the one
	// at the target, as where the file alone is mounted or it was started by another name of the file, so that it never takes it.
	ErrNeverSees = errors.New("a replica does not see the file at the target")

	// ErrHidden says that this process may not see what a replica runs or holds, so
	// that no wait for it ends well.
	ErrHidden = errors.New("a replica may not be looked into")

	// ErrUnseen says that every replica that is seen is so, but that there may be others, as
	// Outcome.Unseen tells.
	ErrUnseen = errors.New("there may be replicas that are not seen")

	// ErrNoProgress says that no replica came any further for as long as Options.Patience.
	ErrNoProgress = errors.New("no progress")
)

// NeverSeesError is a replica that does not see the file at the target. It matches ErrNeverSees.
type NeverSeesError struct {
	Process replica.Process
	why     string
}

// Error names the replica and says why.
func (e *NeverSeesError) Error() string {
	return fmt.Sprintf("%v: process %d: %s", ErrNeverSees, e.Process.PID, e.why)
}

// Unwrap returns ErrNeverSees.
func (e *NeverSeesError) Unwrap() error { return ErrNeverSees }

// Error says what each replica was at, and when one came further for the last time.
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
		if process.Counts() {
			replicas++
			text += "; " + standing(process, answerOf(e.Outcome.Answers, process.PID))
		}
	}
	strangers := Strangers(e.Outcome.Processes)
	_, said := errors.AsType[*StrangersError](e.Err)
	if len(strangers) > 0 && !said {
		text += "; " + (&StrangersError{strangers}).Error()
	}
	if !errors.Is(e.Err, ErrUnseen) {
		for _, unseen := range e.Outcome.Unseen {
			text += "; " + unseen.Reason
		}
	}
	switch {
	case replicas > 0, said:
	case e.Outcome.Processes == nil:
		text += "; the processes could not be looked at"
	case len(e.Outcome.Unseen) > 0:
		text += "; no replica is seen to run from the binary"
	case e.Outcome.byName:
		text += "; no replica of this user runs from the binary, and what other users' processes execute cannot be seen"
	case len(strangers) == 0:
		text += "; no replica runs from the binary"
	}
	if e.Outcome.crashed {
		text += "; it is so, but a replica ended a moment before"
	}
	if last := e.Outcome.Binary; last != nil && last.Verdict != VerdictAccepted {
		text += fmt.Sprintf("; the binary: %s: %s", last.Verdict, last.Reason)
	}
	if last := e.Outcome.Progress; last != nil {
		text += fmt.Sprintf("; last progress %s before: %s", rounded(e.Outcome.ended.Sub(last.Time)), last.What)
	} else if replicas > 0 && e.Outcome.looks > 1 && !errors.Is(e.Err, ErrNoProgress) {
		text += fmt.Sprintf("; no progress in %s", rounded(e.Outcome.ended.Sub(e.Outcome.began)))
	}
	return text
}

func rounded(duration time.Duration) time.Duration {
	if duration < time.Second {
		return duration.Round(time.Millisecond)
	}
	return duration.Round(time.Second)
}

// StrangersError says that replicas run from the binary, but none that counts, and that the wait would
// have no end by itself. With an end it goes on, since one that counts may come.
type StrangersError struct{ Processes []replica.Process }

// strangersMax is how many replicas that do not count are named.
const strangersMax = 3

// Error names the processes and their users.
func (e *StrangersError) Error() string {
	var names []string
	for index := range e.Processes[:min(len(e.Processes), strangersMax)] {
		names = append(names, fmt.Sprintf("%s, which executes %q", e.Processes[index].Who(), e.Processes[index].Exe))
	}
	text := "a replica of a user who is not known to run any for this binary does not count: " + strings.Join(names, "; ")
	if more := len(e.Processes) - strangersMax; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// Strangers are those of the processes that are replicas and do not count.
func Strangers(processes []replica.Process) []replica.Process {
	var strangers []replica.Process
	for _, process := range processes {
		if process.Replica && !process.Counts() {
			strangers = append(strangers, process)
		}
	}
	return strangers
}

// OnlyStrangers returns the strangers among the processes if no other replica is there.
func OnlyStrangers(processes []replica.Process) []replica.Process {
	if slices.ContainsFunc(processes, func(process replica.Process) bool { return process.Counts() }) {
		return nil
	}
	return Strangers(processes)
}

// Unwrap returns the cause.
func (e *UntilError) Unwrap() error { return e.Err }

// standing says what a replica is at.
func standing(process *replica.Process, answer *Answer) string {
	who := process.Who()
	if process.State == replica.StateStarting {
		text := who + " is starting"
		if !process.StartingSince.IsZero() {
			text += " since " + process.StartingSince.Local().Format(time.TimeOnly)
		}
		if release := process.Settles(); release != 0 {
			text += ", on " + release.String()
		}
		return text
	}
	text := who + " runs " + nameOf(process.Running.Release)
	if process.State == replica.StateStopped {
		text = who + " is " + process.StoppedText() + ", with " + nameOf(process.Running.Release)
	}
	if !process.Running.Certain {
		text += " (not certain: " + process.Running.Note + ")"
	}
	if process.State == replica.StateUnknown {
		text += ", and whether it listens cannot be seen"
	}
	if process.Armed != nil {
		text += fmt.Sprintf(", armed with %s, offers %v", process.Armed.Current, process.Armed.Offered)
	}
	if !process.Polls {
		text += ", " + process.NoPolling
	}
	if answer != nil && answer.Pong == nil {
		text += ", does not serve: " + answer.Reason
	}
	return text
}

func nameOf(release multiversion.Release) string {
	if release == 0 {
		return "an unknown release"
	}
	return release.String()
}

// Until follows the binary at path and its replicas until the condition is met. The
// context's deadline bounds the wait, and so does Options.Patience. Once a replica has ended it must hold for Options.Calm. It calls report, unless nil, with every
// event. Replicas that do not count neither meet nor hinder the condition; where there is no other
// and the wait would have no end, the error is a [*StrangersError]. The error is ErrCondition or a [*UntilError] whenever the condition is not met, as the
// Outcome says too. For ConditionServing it asks those replicas that run the release, at every look.
func Until(ctx context.Context, path string, condition Condition, options Options, report func(Event)) (Outcome, error) {
	outcome := Outcome{Condition: condition}
	if err := condition.check(); err != nil {
		return outcome, err
	}
	w, err := newWatcher(path, options)
	if err != nil {
		return outcome, err
	}
	defer w.close()
	var progress progress
	patience := newPatience(options.Patience)
	defer patience.stop()
	outcome.began = time.Now()
	var lastEnd time.Time // of a replica; zero: none was seen to end
	for {
		events, err := w.step(ctx)
		for index := range events {
			switch event := &events[index]; {
			case event.Kind == KindBinary:
				outcome.Binary = event
			case event.Kind == KindReplicaEnded && event.Process.Counts():
				lastEnd = time.Now()
			}
			if report != nil {
				report(events[index])
			}
		}
		outcome.Processes, outcome.Unseen, outcome.byName = w.processes, w.unseen, w.byName
		outcome.looks++
		if err == nil && w.finder == nil {
			err = replica.ErrNotSupported
		}
		if err == nil {
			outcome.Answers = condition.ask(ctx, w.processes)
			outcome.ended = time.Now()
			if progress.note(outcome.ended, w.processes, outcome.Answers) {
				last := progress.last
				outcome.Progress = &last
				patience.start()
			}
			outcome.Met, err = condition.met(w.processes, outcome.Answers)
		}
		if err == nil {
			outcome.Met, err = w.allSeen(outcome.Met)
		}
		if err == nil {
			outcome.crashed = outcome.Met && !lastEnd.IsZero() && time.Since(lastEnd) < options.calm()
			outcome.Met = outcome.Met && !outcome.crashed
		}
		if outcome.Met {
			return outcome, nil
		}
		if _, ends := ctx.Deadline(); err == nil && !ends && options.Patience == 0 {
			if strangers := OnlyStrangers(outcome.Processes); len(strangers) > 0 {
				err = &StrangersError{strangers}
			}
		}
		if err == nil && patience.over {
			err = fmt.Errorf("%w for %s", ErrNoProgress, options.Patience)
		}
		if err == nil {
			err = w.wait(ctx, &patience)
		}
		if err != nil {
			outcome.ended = time.Now()
			return outcome, &UntilError{Outcome: outcome, Err: err}
		}
	}
}

// allSeen does not let a condition be met by the replicas that are seen where there may be
// others. Those that only did not answer in time may do so at the next look; otherwise the
// error is ErrUnseen when there is nothing more to wait for.
func (w *watcher) allSeen(met bool) (bool, error) {
	if len(w.unseen) == 0 {
		return met, nil
	}
	waiting := !met && slices.ContainsFunc(w.processes, func(process replica.Process) bool { return process.Counts() })
	var reasons []string
	for _, unseen := range w.unseen {
		if unseen.Kind != replica.UnseenNoAnswer {
			reasons = append(reasons, unseen.Reason)
		}
	}
	if waiting || len(reasons) == 0 {
		return false, nil
	}
	return false, fmt.Errorf("%w: %s", ErrUnseen, strings.Join(reasons, "; "))
}

// ask asks the replicas that run the release, all at the same time.
func (c Condition) ask(ctx context.Context, processes []replica.Process) []Answer {
	if c.What != ConditionServing {
		return nil
	}
	var answers []Answer
	for index := range processes {
		if process := &processes[index]; process.Counts() && c.runs(process) {
			answers = append(answers, Answer{PID: process.PID})
		}
	}
	var asked sync.WaitGroup
	for index := range answers {
		answer := &answers[index]
		process := processes[slices.IndexFunc(processes, func(process replica.Process) bool { return process.PID == answer.PID })]
		asked.Go(func() {
			pong, err := process.Ask(ctx)
			if err != nil {
				answer.Err, answer.Reason = err, err.Error()
				return
			}
			answer.Pong = &pong
		})
	}
	asked.Wait()
	return answers
}
