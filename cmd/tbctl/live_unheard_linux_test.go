package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
)

// TestLiveWatchUnheard: watch ends when its reader is gone, as every command does, and not only with the next event.
func TestLiveWatchUnheard(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	for _, args := range [][]string{nil, {"--json"}, {"--until", "running"}, {"--until", "armed=0.17.9", "--json"}} {
		e := pipeEnds(t)
		defer e.write.Close()
		command := exec.CommandContext(t.Context(), "tbctl", append([]string{"watch", l.target}, args...)...)
		command.Env, command.Stdout = l.env(), e.write
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		e.lose(t)
		_ = command.Wait() // the exit code says it
		if code := command.ProcessState.ExitCode(); code != 130 {
			t.Errorf("watch %q: exit code %d, want 130", args, code)
		}
	}
}

// TestLiveWaitUnheard: an installation that waits for another tbctl ends when nobody reads it, before anything is changed.
func TestLiveWaitUnheard(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	before := l.read(l.target)
	lock, err := os.OpenFile(filepath.Join(filepath.Dir(l.target), "."+filepath.Base(l.target)+".tbctl-lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	e := pipeEnds(t)
	defer e.write.Close()
	command := exec.CommandContext(t.Context(), "tbctl", "install", next, l.target, "--wait", "10m")
	command.Env, command.Stdout = l.env(), e.write
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	e.lose(t)
	_ = command.Wait() // the exit code says it
	if code := command.ProcessState.ExitCode(); code != 130 || !bytes.Equal(l.read(l.target), before) {
		t.Errorf("exit code %d, want 130", code)
	}
}

// TestLiveWaitArmedUnheard: an installation that waits for the replicas ends when nobody reads it. The file is installed by then.
func TestLiveWaitArmedUnheard(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	l.start(standin.Options{Poll: time.Hour})
	e := pipeEnds(t)
	defer e.write.Close()
	command := exec.CommandContext(t.Context(), "tbctl", "install", next, l.target, "--wait-armed", "10m")
	var log bytes.Buffer
	command.Env, command.Stdout, command.Stderr = l.env(), e.write, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.read.Read(make([]byte, 1)); err != nil { // it is installed
		t.Fatal(err)
	}
	e.lose(t)
	_ = command.Wait() // the exit code says it
	if code := command.ProcessState.ExitCode(); code != 130 || !strings.Contains(log.String(), "the file is installed, but whether every replica takes it is not waited for any more: standard output: its reader is gone") {
		t.Errorf("exit code %d, want 130: %s", code, log.String())
	}
	if !bytes.Equal(l.read(l.target), l.read(next)) {
		t.Error("it is not installed")
	}
}
