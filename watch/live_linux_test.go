package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/watch"
)

var quick = watch.Options{Interval: 10 * time.Millisecond}

func until(t *testing.T, path, condition string, report func(watch.Event)) (watch.Outcome, error) {
	t.Helper()
	parsed, err := watch.ParseCondition(condition)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return watch.Until(ctx, path, parsed, quick, report)
}

// An upgrade over a release to be visited, followed from outside from the
// rename until the last release runs.
func TestUntilThroughUpgrade(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	permit := dataFile + ".go"
	p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: permit})
	if outcome, err := until(t, binary, "running=0.17.6", nil); err != nil || !outcome.Met || len(outcome.Processes) != 1 {
		t.Fatalf("outcome %+v, %v", outcome, err)
	}

	next := standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v")
	standin.Replace(t, binary, next)
	installed, err := multiversion.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer installed.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	armed := watch.Condition{What: watch.ConditionArmed, Checksum: installed.Images[0].Header.ChecksumBinary}
	if _, err := watch.Until(ctx, binary, armed, quick, nil); err != nil {
		t.Fatal(err)
	}
	for _, condition := range []string{"armed=0.17.8", "offered=0.17.7", "running=0.17.6"} {
		if _, err := until(t, binary, condition, nil); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
	}

	if err := os.WriteFile(permit, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	outcome, err := until(t, binary, "running=0.17.8", func(event watch.Event) {
		fmt.Fprintf(&said, "%s %s", event.Kind, event.Verdict)
		if event.Process != nil {
			fmt.Fprintf(&said, " %d %s", event.Process.PID, event.Process.Running.Release)
		}
		said.WriteString("\n")
	})
	if err != nil || outcome.Processes[0].PID != p.PID() || outcome.Binary.Verdict != watch.VerdictAccepted {
		t.Fatalf("outcome %+v, %v", outcome, err)
	}
	for _, want := range []string{"binary accepted\n", fmt.Sprintf("replica  %d 0.17.", p.PID()), fmt.Sprintf("replica_running  %d 0.17.8\n", p.PID())} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("no event %q in:\n%s", want, said.String())
		}
	}
}

// A replica that refuses the file never arms, and the error says why.
func TestUntilRefused(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	standin.Replace(t, binary, standin.Binary(t, "0.17.9", "0.17.8"))
	p.Must("error.RunningVersionNotIncluded")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	condition := watch.Condition{What: watch.ConditionArmed, Release: testbin.Release("0.17.9")}
	outcome, err := watch.Until(ctx, binary, condition, quick, func(event watch.Event) {
		if event.Kind == watch.KindReplica {
			cancel()
		}
	})
	failure, ok := errors.AsType[*watch.UntilError](err)
	if !ok || !errors.Is(err, context.Canceled) || outcome.Met || failure.Outcome.Met || outcome.Binary == nil {
		t.Fatalf("outcome %+v, %v", outcome, err)
	}
	for _, want := range []string{"armed=0.17.9 is not met", fmt.Sprintf("process %d runs 0.17.6", p.PID()), "RunningVersionNotIncluded", "offers [0.17.5 0.17.6]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	judged := outcome.Binary.Replicas
	if len(judged) != 1 || judged[0].PID != p.PID() || judged[0].Verdict != watch.VerdictRunningMissing || judged[0].Running != testbin.Release("0.17.6") {
		t.Errorf("judgements %+v", judged)
	}
}

// armed starts a replica of 0.17.6 from base, and has it offer 0.17.7.
func armed(t *testing.T) (base []byte, binary, dataFile string, p *standin.Process) {
	t.Helper()
	base = standin.Binary(t, "0.17.6", "0.17.5")
	binary, dataFile = standin.Install(t, base)
	p = standin.Start(t, binary, dataFile, standin.Options{})
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	if _, err := until(t, binary, "offered=0.17.7", nil); err != nil {
		t.Fatal(err)
	}
	return base, binary, dataFile, p
}

// Undoing only the file is seen for what it is: the replica keeps what it is armed with.
func TestUntilRollbackOfFileAlone(t *testing.T) {
	t.Parallel()
	base, binary, dataFile, p := armed(t)
	standin.Replace(t, binary, base)
	p.Must("error.NotSuperset")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for event, err := range watch.Watch(ctx, binary, quick) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind == watch.KindBinary {
			if event.Verdict != watch.VerdictNotSuperset || len(event.Replicas) != 1 || event.Replicas[0].Verdict != watch.VerdictNotSuperset {
				t.Errorf("event %+v", event)
			}
			break
		}
	}

	// The way back: restart the replica on the old file, and it is disarmed.
	p.Kill()
	standin.Start(t, binary, dataFile, standin.Options{})
	outcome, err := until(t, binary, "running=0.17.6", nil)
	if err != nil || outcome.Processes[0].Armed.Newest() != testbin.Release("0.17.6") {
		t.Errorf("outcome %+v, %v", outcome, err)
	}
}

// Who follows the whole of it is not told that a good file is refused: the replica that
// was armed with more is gone.
func TestWatchThroughRestart(t *testing.T) {
	t.Parallel()
	base, binary, dataFile, p := armed(t)
	stage := 0
	for event, err := range watch.Watch(t.Context(), binary, quick) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Kind != watch.KindBinary {
			continue
		}
		switch stage++; stage {
		case 1:
			standin.Replace(t, binary, base)
		case 2:
			if event.Verdict != watch.VerdictNotSuperset {
				t.Fatalf("the file put back: %+v", event)
			}
			p.Kill()
			standin.Start(t, binary, dataFile, standin.Options{})
			standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.6"))
		case 3:
			if event.Verdict != watch.VerdictAccepted || len(event.Replicas) != 1 || event.Replicas[0].Verdict != watch.VerdictAccepted {
				t.Fatalf("a good file for the new process: %+v", event)
			}
			return
		}
	}
}

func TestUntilNever(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Start(t, binary, dataFile, standin.Options{Args: []string{"--development", "--addresses=" + standin.Addresses(1)}})
	_, err := until(t, binary, "armed=0.17.7", nil)
	if !errors.Is(err, watch.ErrNeverArms) || !strings.Contains(err.Error(), "--development") {
		t.Errorf("error %v, want ErrNeverArms", err)
	}
	if _, err := until(t, binary, "running=0.17.6", nil); err != nil {
		t.Errorf("what it runs: %v", err)
	}
}

func TestUntilNobody(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	condition := watch.Condition{What: watch.ConditionRunning, Release: 1}
	_, err := watch.Until(ctx, t.TempDir()+"/tigerbeetle", condition, quick, func(watch.Event) { cancel() })
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no replica runs") || !strings.Contains(err.Error(), "FileNotFound") {
		t.Errorf("error %v", err)
	}
}

func TestUntilDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	condition := watch.Condition{What: watch.ConditionRunning, Release: 1}
	outcome, err := watch.Until(ctx, t.TempDir()+"/tigerbeetle", condition, quick, nil)
	if _, ok := errors.AsType[*watch.UntilError](err); !ok || !errors.Is(err, context.DeadlineExceeded) || outcome.Met {
		t.Errorf("outcome %+v, %v", outcome, err)
	}
}

// A replica that starts and ends is seen.
func TestWatchReplicas(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var p *standin.Process
	for event, err := range watch.Watch(ctx, binary, quick) {
		if err != nil {
			t.Fatal(err)
		}
		switch event.Kind {
		case watch.KindBinary:
			p = standin.Start(t, binary, dataFile, standin.Options{})
		case watch.KindReplica:
			if event.Process.PID != p.PID() || event.Process.Running.Source != replica.SourceExecutable {
				t.Errorf("event %+v", event.Process)
			}
			p.Kill()
		case watch.KindReplicaEnded:
			if event.Process.PID != p.PID() {
				t.Errorf("event %+v", event.Process)
			}
			return
		}
	}
}
