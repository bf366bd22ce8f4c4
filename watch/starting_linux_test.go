package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/watch"
)

// impatient gives up when nothing has happened for some looks.
var impatient = watch.Options{Interval: 5 * time.Millisecond, Patience: 50 * time.Millisecond}

// unmet waits without patience for what does not happen, and returns the events meanwhile.
func unmet(t *testing.T, path, condition string, texts ...string) string {
	t.Helper()
	parsed, err := watch.ParseCondition(condition)
	if err != nil {
		t.Fatal(err)
	}
	var events strings.Builder
	outcome, err := watch.Until(t.Context(), path, parsed, impatient, func(event watch.Event) {
		fmt.Fprintf(&events, "%s ", event.Kind)
	})
	if !errors.Is(err, watch.ErrNoProgress) || outcome.Met {
		t.Fatalf("%s: %+v, %v, want no progress", condition, outcome, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q lacks %q", condition, err, text)
		}
	}
	return events.String()
}

// However long a replica takes to start, it is not told to run what it executes on the way.
func TestWatchStarting(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v"))
	hold := t.TempDir()
	steps := []string{"0.17.8:started", "0.17.8:execute-past", "0.17.6:started", "0.17.6:opening"}
	var releases []func()
	for _, step := range steps {
		releases = append(releases, standin.Hold(t, hold, step))
	}
	p := standin.Run(t, binary, standin.Options{Hold: hold}, "start", "--addresses="+standin.Addresses(1), dataFile)
	for index, step := range steps {
		release, name, _ := strings.Cut(step, ":")
		p.Must(release + ": held at " + name)
		for _, condition := range []string{"running=0.17.8", "running=0.17.6", "serving", "armed=0.17.8", "offered=0.17.6"} {
			events := unmet(t, binary, condition, condition+" is not met: no progress for 50ms", fmt.Sprintf("process %d is starting", p.PID()), ", on 0.17.6")
			if events != "binary replica " {
				t.Errorf("at %s: events %s", step, events)
			}
		}
		if _, err := until(t, binary, "durable=0.17.6", nil); err != nil {
			t.Errorf("at %s: %v", step, err)
		}
		releases[index]()
	}
	for _, condition := range []string{"armed=0.17.8", "running=0.17.6", "serving=0.17.6", "serving"} {
		outcome, err := until(t, binary, condition, nil)
		if err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(condition, "serving") && (len(outcome.Answers) != 1 || *outcome.Answers[0].Pong != replica.Pong{Release: testbin.Release("0.17.6")}) {
			t.Errorf("%s: %+v", condition, outcome.Answers)
		}
	}
}

// What is followed through a restart at a stop: one event when it starts, one when it runs.
func TestWatchRestart(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	hold, permit := t.TempDir(), dataFile+".go"
	p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: permit, Hold: hold})
	newest, opens := standin.Hold(t, hold, "0.17.7:started"), standin.Hold(t, hold, "0.17.7:opening")
	var kinds []string
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for event, err := range watch.Watch(ctx, binary, quick) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, string(event.Kind))
		switch event.Kind {
		case watch.KindReplica:
			if err := os.WriteFile(permit, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		case watch.KindReplicaStarting:
			if event.Process.Settles() != testbin.Release("0.17.7") {
				t.Errorf("starts %+v", event.Process)
			}
			p.Must("0.17.7: held at started")
			unmet(t, binary, "running=0.17.7", "is starting")
			newest()
			p.Must("0.17.7: held at opening")
			unmet(t, binary, "running=0.17.7", "is starting")
			opens()
		case watch.KindReplicaRunning:
			if event.Process.Running.Release != testbin.Release("0.17.7") || event.Process.State != replica.StateRunning {
				t.Errorf("runs %+v", event.Process)
			}
			p.Kill()
		case watch.KindReplicaEnded: // armed with the same file, it offers the same: that is no event
			if got := strings.Join(kinds, " "); got != "binary replica replica_starting replica_running replica_ended" {
				t.Errorf("events %s", got)
			}
			return
		}
	}
}

// A replica that has ended and was started again, as in a loop of crashes, runs when it has done so for a while.
func TestUntilCalm(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	for calm, met := range map[time.Duration]bool{time.Millisecond: true, time.Hour: false} {
		p := standin.Start(t, binary, dataFile, standin.Options{})
		if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil { // so that it does not run at the first look
			t.Fatal(err)
		}
		condition, err := watch.ParseCondition("running=0.17.6")
		if err != nil {
			t.Fatal(err)
		}
		options := quick
		options.Calm = calm
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		first, done := make(chan struct{}), make(chan error, 1)
		go func() {
			looks, ended := 0, false
			outcome, err := watch.Until(ctx, binary, condition, options, func(event watch.Event) {
				if looks++; looks == 1 {
					close(first)
				}
				ended = ended || event.Kind == watch.KindReplicaEnded
				if runs := event.Process != nil && event.Process.State == replica.StateRunning; ended && runs && !met {
					cancel() // after this look
				}
			})
			if outcome.Met != (err == nil) {
				t.Errorf("%s: met is %v, and the error %v", calm, outcome.Met, err)
			}
			done <- err
		}()
		<-first
		p.Kill()
		again := standin.Start(t, binary, dataFile, standin.Options{})
		if err := <-done; met != (err == nil) || !met && !strings.Contains(err.Error(), "it is so, but a replica ended a moment before") {
			t.Errorf("%s: %v", calm, err)
		}
		cancel()
		again.Kill()
	}
}

// A replica that listens and does not answer does not serve.
func TestUntilServing(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	hold := t.TempDir()
	answers := standin.Hold(t, hold, "0.17.6:pong")
	p := standin.Start(t, binary, dataFile, standin.Options{Hold: hold})
	unmet(t, binary, "serving=0.17.6", fmt.Sprintf("process %d runs 0.17.6", p.PID()), "does not serve: ask 127.", "no answer within a second")
	unmet(t, binary, "serving=0.17.7", fmt.Sprintf("process %d runs 0.17.6", p.PID()))
	if strings.Contains(p.Log(), "too new") {
		t.Errorf("it was asked by a client that is newer:\n%s", p.Log())
	}
	answers()
	if outcome, err := until(t, binary, "serving=0.17.6", nil); err != nil || !outcome.Met {
		t.Errorf("%+v, %v", outcome, err)
	}
}

// Whether a standby serves cannot be seen, and it is not waited for.
func TestUntilServingStandby(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standby := filepath.Join(filepath.Dir(dataFile), "0_3.tigerbeetle")
	if output, err := exec.Command(binary, "format", "--cluster=7", "--replica=3", "--replica-count=3", standby).CombinedOutput(); err != nil {
		t.Fatalf("format: %v\n%s", err, output)
	}
	p := standin.Start(t, binary, standby, standin.Options{})
	outcome, err := until(t, binary, "serving=0.17.6", nil)
	if failure, ok := errors.AsType[*replica.CannotAskError](err); !ok || failure.PID != p.PID() || outcome.Met {
		t.Errorf("%+v, %v", outcome, err)
	}
	if _, err := until(t, binary, "running=0.17.6", nil); err != nil {
		t.Error(err)
	}
}

// The data is at the next release before anybody runs it.
func TestUntilDurable(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	hold := t.TempDir()
	standin.Hold(t, hold, "0.17.6:execute-current")
	standin.Start(t, binary, dataFile, standin.Options{Upgrade: "now", Hold: hold})
	if _, err := until(t, binary, "durable=0.17.7", nil); err != nil {
		t.Error(err)
	}
	unmet(t, binary, "running=0.17.6", "is starting", "on 0.17.7")
	unmet(t, binary, "durable=0.17.8", "durable=0.17.8 is not met")
}

// Patience starts again when a replica comes further.
func TestUntilPatience(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	hold, permit := t.TempDir(), dataFile+".go"
	standin.Hold(t, hold, "0.17.7:opening")
	p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: permit, Hold: hold})
	condition, err := watch.ParseCondition("serving=0.17.7")
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := watch.Until(t.Context(), binary, condition, impatient, func(event watch.Event) {
		if event.Kind != watch.KindReplica {
			return
		}
		if err := os.WriteFile(permit, nil, 0o600); err != nil {
			t.Error(err)
		}
		p.Must("0.17.7: held at opening") // however long it takes, the next look finds progress
	})
	if !errors.Is(err, watch.ErrNoProgress) || outcome.Progress == nil || outcome.Progress.What != fmt.Sprintf("process %d starts on 0.17.7", p.PID()) {
		t.Fatalf("%+v, %v", outcome.Progress, err)
	}
	if !strings.Contains(err.Error(), "is starting since") || !strings.Contains(err.Error(), "; last progress ") || !strings.Contains(err.Error(), "before: process") {
		t.Errorf("%v", err)
	}
}
