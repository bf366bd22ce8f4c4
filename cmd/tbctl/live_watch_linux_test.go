package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/watch"
)

// follower is a tbctl watch that runs beside the test.
type follower struct {
	l       *live
	command *exec.Cmd
	lines   chan string // closed at the end of the output
	errors  *bytes.Buffer
	said    []string // lines read so far
}

// follow starts tbctl watch.
func (l *live) follow(args ...string) *follower {
	l.t.Helper()
	f := &follower{l: l, command: exec.Command("tbctl", append([]string{"watch", "--interval", "20ms"}, args...)...), lines: make(chan string, 1000), errors: new(bytes.Buffer)}
	f.command.Env, f.command.Stderr = l.env(), f.errors
	output, err := f.command.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := f.command.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		defer close(f.lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			f.lines <- scanner.Text()
		}
	}()
	l.t.Cleanup(func() { _ = f.command.Process.Kill() })
	return f
}

// line returns the next line, and false at the end of the output.
func (f *follower) line() (string, bool) {
	f.l.t.Helper()
	select {
	case line, open := <-f.lines:
		f.said = append(f.said, line)
		return line, open
	case <-time.After(liveMax):
		f.l.t.Fatalf("no line after\n%s", strings.Join(f.said, "\n"))
		return "", false
	}
}

// ends waits for the end and returns the lines that were not read and the exit code.
func (f *follower) ends() ([]string, int) {
	f.l.t.Helper()
	var rest []string
	for line, open := f.line(); open; line, open = f.line() {
		rest = append(rest, line)
	}
	_ = f.command.Wait() // the exit code says it
	return rest, f.command.ProcessState.ExitCode()
}

// until reads events until one is as told, and returns them in short.
func (f *follower) until(want string) []string {
	f.l.t.Helper()
	var seen []string
	for {
		line, open := f.line()
		if !open {
			f.l.t.Fatalf("it ended without %q: %q\n%s", want, seen, f.errors)
		}
		var document struct {
			Version int         `json:"version"`
			Command string      `json:"command"`
			Event   watch.Event `json:"event"`
		}
		if err := json.Unmarshal([]byte(line), &document); err != nil || document.Version != 1 || document.Command != "watch" {
			f.l.t.Fatalf("line %q: %v", line, err)
		}
		seen = append(seen, short(&document.Event))
		if seen[len(seen)-1] == want {
			return seen
		}
	}
}

// short is an event in a few words: what is the same in every run.
func short(event *watch.Event) string {
	text := string(event.Kind)
	switch event.Kind {
	case watch.KindBinary:
		text += " " + string(event.Verdict)
		if event.Verdict == watch.VerdictAccepted {
			text += fmt.Sprintf(" %s %v", event.Current, event.New)
		}
	case watch.KindReplicaArmed:
		text += fmt.Sprintf(" %v", event.Process.Armed.Newest())
	case watch.KindReplicaStarting:
		text += " " + event.Process.Settles().String()
	case watch.KindReplica, watch.KindReplicaRunning:
		text += " " + event.Process.Running.Release.String()
	}
	return text
}

// Every event of a live upgrade and of what goes wrong around it, as scripts read it.
func TestLiveWatchEvents(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	p := l.start(standin.Options{})
	f := l.follow(l.target, "--json")
	if seen := f.until("replica 0.17.6"); strings.Join(seen, "; ") != "binary accepted 0.17.6 [0.17.5 0.17.6]; replica 0.17.6" {
		t.Errorf("at the start: %q", seen)
	}

	// What others drop in by plain mv: cut, damaged, not executable.
	data := l.read(next)
	drop := func(data []byte, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(l.dir, "dropped")
		standin.Replace(t, path, data)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command("mv", path, l.target).CombinedOutput(); err != nil {
			t.Fatalf("mv: %v\n%s", err, output)
		}
	}
	drop(flip(data, len(data)/2), 0o755)
	f.until("binary ChecksumMismatch")
	p.Must("error.ChecksumMismatch")
	drop(data, 0o644)
	f.until("binary BinaryNotMarkedExecutable")
	p.Must("error.BinaryNotMarkedExecutable")
	drop(data[:len(data)-1000], 0o755)
	f.until("binary InvalidELF")
	drop(standin.Binary(t, "0.17.9", "0.17.8"), 0o755)
	f.until("binary RunningVersionNotIncluded")
	p.Must("error.RunningVersionNotIncluded")
	if err := os.Remove(l.target); err != nil {
		t.Fatal(err)
	}
	f.until("binary FileNotFound")

	// tbctl mends it, and the upgrade goes its way.
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:")
	f.until("binary accepted 0.17.8 [0.17.6 0.17.7]")
	f.until("replica_armed 0.17.7")
	l.allow("0.17.7")
	f.until("replica_running 0.17.7")
	l.allow("")
	f.until("replica_running 0.17.8")
	p.Kill()
	f.until("replica_ended")

	_ = f.command.Process.Signal(syscall.SIGINT)
	rest, code := f.ends()
	var document liveDocument
	if len(rest) == 0 {
		t.Fatalf("no document at the end, exit code %d", code)
	}
	said{t: t, line: "the last line", out: rest[len(rest)-1]}.decode(&document)
	if code != 130 || document.OK || document.ExitCode != 130 || document.Error == nil || document.Error.Kind != "interrupted" {
		t.Errorf("exit code %d, document %+v", code, document)
	}
}

// Whoever is interrupted says so, whatever was waited for and by whichever signal.
func TestLiveWatchInterrupted(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	l.start(standin.Options{})
	for _, signal := range interrupting() {
		for _, args := range [][]string{{l.target}, {l.target, "--until", "running=0.17.9"}, {l.target, "--until", "running=0.17.9", "--timeout", "10m"}} {
			f := l.follow(args...)
			f.line() // the binary as it is
			_ = f.command.Process.Signal(signal)
			if _, code := f.ends(); code != 130 || !strings.Contains(f.errors.String(), "interrupted") {
				t.Errorf("%v, %v: exit code %d: %s", args, signal, code, f.errors)
			}
		}
	}
}

func TestLiveWatchUnmet(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	hint := "tbctl status " + l.target + " shows each replica"
	l.outOfTime([]string{"running=0.17.9 is not met in time",
		fmt.Sprintf("process %d runs 0.17.6, armed with 0.17.6, offers [0.17.5 0.17.6]; no progress in ", p.PID()), hint}, "watch", l.target, "--until", "running=0.17.9")
	l.tbctl("watch", l.target, "--until", "running=0.17.9", "--patience", "10ms", "--interval", "5ms").ends(1, "running=0.17.9 is not met: no progress for 10ms; process", hint)
	var document struct {
		liveDocument
		Result struct {
			Met bool `json:"met"`
		} `json:"result"`
	}
	unmet := l.tbctl("watch", l.target, "--until", "running=0.17.9", "--timeout", "2s", "--json").ends(1)
	unmet.out = unmet.out[strings.LastIndex(strings.TrimSpace(unmet.out), "\n")+1:]
	unmet.decode(&document)
	if document.OK || document.ExitCode != 1 || document.Result.Met || document.Error == nil || document.Error.Hint != hint {
		t.Errorf("document %+v", document)
	}
	l.tbctl("watch", l.target, "--timeout", "1ms").ends(0) // nothing was asked for
	for _, until := range []string{"durable", "running=new", "started=0.17.8", "="} {
		what := "armed"
		if found, _, _ := strings.Cut(until, "="); found == "running" || found == "durable" {
			what = found
		}
		l.tbctl("watch", l.target, "--until", until, "--timeout", "10m").ends(2, "tbctl watch "+l.target+" --until "+what+"=0.17.8 --timeout 10m")
	}
}

// A target that is not there yet is waited for in its directory; where that is not there either, nothing can come to be.
func TestLiveWatchLater(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	later := filepath.Join(l.dir, "opt", "tigerbeetle")
	l.tbctl("watch", later, "--until", "running=0.17.6", "--timeout", "1m").ends(2, "opt: directory does not exist", "check the name; what is not installed yet is waited for")
	if err := os.Mkdir(filepath.Dir(later), 0o755); err != nil {
		t.Fatal(err)
	}
	f := l.follow(later, "--until", "running=0.17.6", "--timeout", "1m", "--json")
	f.until("binary FileNotFound")
	l.tbctl("install", l.target, later).ends(0).prints("installed: 0.17.6")
	f.until("binary accepted 0.17.6 [0.17.5 0.17.6]")
	standin.Start(t, later, l.data, standin.Options{})
	rest, code := f.ends()
	if code != 0 || len(rest) == 0 || !strings.Contains(rest[len(rest)-1], `"met":true`) {
		t.Errorf("exit code %d, %q", code, rest)
	}
}
