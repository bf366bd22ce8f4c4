package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/replica"
)

// A stranger's replica is named wherever a condition is not met, and is neither told of as the operator's nor
// by more lines than one.
func TestStrangersAreNamed(t *testing.T) {
	t.Parallel()
	var strangers []replica.Process
	for pid := range 5 {
		process := at(replica.StateRunning, 6, 6)
		process.PID, process.Stranger, process.UID, process.Exe = 20530+pid, true, 45551, "/opt/tb"
		strangers = append(strangers, process)
	}
	const names = `a replica of a user who is not known to run any for this binary does not count: ` +
		`process 20530 of user 45551, which executes "/opt/tb"; process 20531 of user 45551, which executes "/opt/tb"; process 20532 of user 45551, which executes "/opt/tb"; and 2 more`
	own := at(replica.StateStopped, 6, 6)
	for _, test := range []struct {
		outcome Outcome
		err     error
		want    string
	}{
		{Outcome{Processes: strangers}, &StrangersError{strangers}, "running is not met: " + names},
		{Outcome{Processes: strangers}, context.DeadlineExceeded, "running is not met in time; " + names},
		{Outcome{Processes: append([]replica.Process{own}, strangers[:1]...), looks: 1}, context.DeadlineExceeded,
			"running is not met in time; process 1 is stopped by a signal, with 0.0.6; a replica of a user who is not known to run any for this binary does not count: process 20530 of user 45551, which executes \"/opt/tb\""},
	} {
		test.outcome.Condition = Condition{What: ConditionRunning}
		if got := (&UntilError{test.outcome, test.err}).Error(); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
	if got := OnlyStrangers(append(strangers, own)); got != nil {
		t.Errorf("with one that counts: %v", got)
	}
}

// What was seen once does not stand for a time, and what came further is named once.
func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	began := time.Unix(1000, 0)
	outcome := Outcome{Condition: Condition{What: ConditionRunning}, Processes: []replica.Process{at(replica.StateStarting, 8, 6)}, looks: 1, began: began, ended: began.Add(5 * time.Millisecond)}
	if text := (&UntilError{outcome, context.DeadlineExceeded}).Error(); strings.Contains(text, "progress") {
		t.Errorf("after one look: %s", text)
	}
	outcome.looks, outcome.ended = 3, began.Add(2*time.Second)
	if text := (&UntilError{outcome, context.DeadlineExceeded}).Error(); !strings.HasSuffix(text, "; no progress in 2s") {
		t.Errorf("after more: %s", text)
	}
	outcome.Progress = &Progress{Time: began, What: "process 1 runs 0.0.6"}
	if text := (&UntilError{outcome, fmt.Errorf("%w for 1s", ErrNoProgress)}).Error(); !strings.HasSuffix(text, "; last progress 2s before: process 1 runs 0.0.6") {
		t.Errorf("after progress: %s", text)
	}
	outcome.Progress, outcome.Processes, outcome.byName = nil, []replica.Process{}, true
	if text := (&UntilError{outcome, errors.New("x")}).Error(); !strings.HasSuffix(text, "no replica of this user runs from the binary, and what other users' processes execute cannot be seen") {
		t.Errorf("where only names are seen: %s", text)
	}
}
