package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
)

// A replica that is killed anywhere between the swap and the last release starts
// again from the target, at the release of its data file, and gets there.
func TestLiveReplicaDies(t *testing.T) {
	t.Parallel()
	steps := []string{
		"0.17.6:armed", "0.17.6:superblock-0", "0.17.6:superblock-1", "0.17.6:superblock-2", "0.17.6:superblock-3", "0.17.6:checkpointed",
		"0.17.6:execute-current", "0.17.8:execute-past", "0.17.7:listening", "0.17.7:superblock-1", "0.17.7:superblock-3",
		"0.17.7:checkpointed", "0.17.7:execute-current", "0.17.8:listening",
	}
	for index, step := range steps {
		if !testbin.Full() && index%3 != 0 {
			continue
		}
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			next := l.binary("0.17.8", "0.17.6", "0.17.7v")
			p := l.start(standin.Options{Upgrade: "now", Die: step})
			l.tbctl("install", next, l.target).ends(0).prints("installed: 0.17.8")
			if code := p.Exit(); code != -1 || !strings.Contains(p.Log(), "dies at") {
				t.Fatalf("exit code %d, log:\n%s", code, p.Log())
			}
			l.tbctl("status", l.target).ends(0).prints("No process runs from this binary.")
			durable := l.durable()

			p = l.start(standin.Options{})
			p.Must(durable + ": listening")
			l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:").prints("already")
			l.allow("")
			l.runs("0.17.8")
			l.statusJSON(p, stands{"0.17.8", "0.17.8", "0.17.8", "0.17.6, 0.17.7, 0.17.8", "0.17.8", "stays at 0.17.8"})
		})
	}
}

// tbctl killed at the n-th change in the target's directory, for every n: one of
// the two files is at the target, whole, the replica starts from it, and running
// tbctl again finishes.
func TestLiveInstallKilled(t *testing.T) {
	t.Parallel()
	const changes = 15 // that an installation makes; the last of them come too late to kill it
	for n := 1; n <= changes; n++ {
		if !testbin.Full() && n%5 != 1 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			next := l.binary("0.17.8", "0.17.6", "0.17.7v")
			p := l.start(standin.Options{})
			before, after := l.read(l.target), l.read(next)
			code := l.killAt(n, fsnotify.Create|fsnotify.Rename|fsnotify.Remove|fsnotify.Chmod, "install", next, l.target)

			found := l.read(l.target)
			if !bytes.Equal(found, before) && !bytes.Equal(found, after) {
				t.Fatalf("exit code %d: the target has %d bytes that are neither file", code, len(found))
			}
			if code == 0 && !bytes.Equal(found, after) {
				t.Error("success, but the old file is at the target")
			}
			l.tbctl("status", l.target, "--json").ends(0)
			if n%2 == 0 { // whatever it has seen, it starts again
				p.Kill()
				l.start(standin.Options{}).Must("0.17.6: listening")
			}

			l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:")
			if !bytes.Equal(l.read(l.target), after) || !bytes.Equal(l.read(l.target+"-old"), before) {
				t.Error("the files are not in their places")
			}
			l.only("tigerbeetle", "tigerbeetle-old", filepath.Base(l.data), filepath.Base(next), "state")
			l.allow("")
			l.until("running=0.17.8")
		})
	}
}

// Killed while it waits for the replica: the file is installed, and the next run says so.
func TestLiveWaitKilled(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	p := l.start(standin.Options{Poll: time.Hour}) // it never looks
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		command := exec.Command("tbctl", "install", next, l.target, "--wait-armed", "1m")
		command.Env = l.env()
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := output.Read(make([]byte, 1)); err != nil { // it says that it is installed, and then waits
			t.Fatal(err)
		}
		_ = command.Process.Signal(signal)
		_ = command.Wait() // the exit code says it
		if code := command.ProcessState.ExitCode(); signal == syscall.SIGKILL && code != -1 || signal == syscall.SIGINT && code != 130 {
			t.Errorf("%v: exit code %d", signal, code)
		}
	}
	l.status(p, stands{"0.17.8", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", "it takes the file within seconds, and then upgrades to 0.17.7"})
	l.tbctl("install", next, l.target, "--wait-armed", "1ms").ends(1, "the file is installed, but not every replica has taken it", "tbctl status "+l.target)

	p.Kill()
	l.start(standin.Options{}).Must("releases_bundled: [0.17.6 0.17.7]")
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:").prints("already")
}

// read reads a file, or nothing where there is none.
func (l *live) read(path string) []byte {
	l.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.t.Fatal(err)
	}
	return data
}

// only requires that the target's directory has these files, locks and states alone.
func (l *live) only(names ...string) {
	l.t.Helper()
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") &&
			!strings.HasSuffix(name, ".tbctl-lock") && !strings.HasSuffix(name, ".tbctl-state") {
			l.t.Errorf("%s is left", name)
		}
	}
}

// killAt runs tbctl and kills it at the n-th thing of these that happens in the target's or
// the history's directory. It returns the exit code, -1 if it was killed.
func (l *live) killAt(n int, these fsnotify.Op, args ...string) int {
	l.t.Helper()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		l.t.Fatal(err)
	}
	defer watcher.Close()
	state := filepath.Join(l.dir, "state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		l.t.Fatal(err)
	}
	for _, dir := range []string{l.dir, state} {
		if err := watcher.Add(dir); err != nil {
			l.t.Fatal(err)
		}
	}
	command := exec.Command("tbctl", args...)
	command.Env = l.env()
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // the exit code says it
		close(ended)
	}()
	deadline := time.After(liveMax)
	var seen []string
	for {
		select {
		case event := <-watcher.Events:
			if event.Op&these == 0 {
				continue
			}
			if seen = append(seen, event.String()); len(seen) == n {
				_ = command.Process.Kill()
			}
		case <-ended:
			l.t.Logf("exit code %d after\n%s\n%s", command.ProcessState.ExitCode(), strings.Join(seen, "\n"), output.String())
			return command.ProcessState.ExitCode()
		case <-deadline:
			_ = command.Process.Kill()
			l.t.Fatalf("tbctl does not end: %s", output.String())
		}
	}
}
