package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/testbin"
)

// A file system that does not answer keeps no command from ending at a signal, with the exit code and the words of
// every other interruption.
func TestLiveHangs(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.7", "0.17.5", "0.17.6")
	place, server := l.hanging("0.17.6", "0.17.5")
	target := filepath.Join(place, "tigerbeetle")
	l.tbctl("status", target).ends(0)
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for !stopped(server.Pid) { // what it has begun to answer nothing can end, not even SIGKILL
		<-time.After(time.Millisecond)
	}
	for _, args := range [][]string{
		{"status", target}, {"status", target, "--json"}, {"install", next, target}, {"install", next, target, "--dry-run"}, {"install", target, l.target},
		{"rollback", target}, {"verify", target}, {"verify", next, "--against", target}, {"inspect", target}, {"watch", target}, {"watch", target, "--until", "running"},
		{"fleet", "status", "--json", "--fleet", filepath.Join(place, "fleet.toml")},
		{"extract", target, "0.17.5", "-o", filepath.Join(l.dir, "out")}, {"pack", target, "--release", "0.17.6", "--commit", strings.Repeat("1", 40), "--client-min", "0.16.4", "--past", next, "-o", filepath.Join(l.dir, "out")},
	} {
		t.Run(strings.Join(args[:1], " "), func(t *testing.T) {
			t.Parallel()
			command := exec.Command("tbctl", args...)
			command.Dir, command.Env = l.dir, l.env()
			var out, says bytes.Buffer
			command.Stdout, command.Stderr = &out, &says
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { command.Wait(); close(ended) }()
			defer command.Process.Kill()
			for !waitsForFUSE(command.Process.Pid) {
				select {
				case <-ended:
					t.Fatalf("it ended without waiting for the mount: %s%s", out.String(), says.String())
				case <-time.After(10 * time.Millisecond):
				}
			}
			if taskWaitsForFUSE(fmt.Sprintf("/proc/%[1]d/task/%[1]d", command.Process.Pid)) {
				t.Error("it waits in its first thread, to which the kernel gives a signal")
			}
			if err := command.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(time.Minute):
				t.Fatal("it does not end")
			}
			want := "interrupted by signal interrupt: tbctl was waiting for something that does not answer, such as a file system"
			if code := command.ProcessState.ExitCode(); code != 130 || !strings.Contains(out.String()+says.String(), want) {
				t.Errorf("exit code %d: %s%s", code, out.String(), says.String())
			}
			var document struct {
				Command string `json:"command"`
				Code    int    `json:"exit_code"`
			}
			if strings.Contains(strings.Join(args, " "), "--json") {
				if err := json.Unmarshal(out.Bytes(), &document); err != nil || !strings.HasPrefix(strings.Join(args, " "), document.Command+" ") || document.Command == "" || document.Code != 130 {
					t.Errorf("%v: %s", err, out.String())
				}
			}
		})
	}
}

// hanging is a directory with an installed binary, in a file system that a process serves which the test may stop.
func (l *live) hanging(current string, past ...string) (string, *os.Process) {
	l.t.Helper()
	if os.Geteuid() != 0 {
		l.t.Skip("skipped: mounting needs root")
	}
	bindfs, err := exec.LookPath("bindfs")
	if err != nil {
		l.t.Skipf("skipped: %v", err)
	}
	source, place := l.t.TempDir(), l.t.TempDir()
	testbin.WriteFile(l.t, filepath.Join(source, "tigerbeetle"), l.read(l.binary(current, past...)))
	server := exec.Command(bindfs, "-f", "-o", "attr_timeout=0,entry_timeout=0", source, place)
	if err := server.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	l.t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGCONT)
		_ = syscall.Unmount(place, syscall.MNT_DETACH)
		_ = server.Process.Kill()
		<-ended
	})
	for {
		if _, err := os.Stat(filepath.Join(place, "tigerbeetle")); err == nil {
			return place, server.Process
		}
		select {
		case err := <-ended:
			ended <- err
			l.t.Skipf("skipped: bindfs cannot mount here: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stopped reports whether every thread of a process is stopped.
func stopped(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil || !bytes.HasPrefix(text[bytes.LastIndexByte(text, ')')+1:], []byte(" T ")) {
			return false
		}
	}
	return len(tasks) > 0
}

// waitsForFUSE reports whether a thread of a process waits for a server of a file system.
func waitsForFUSE(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	return slices.ContainsFunc(tasks, taskWaitsForFUSE)
}

func taskWaitsForFUSE(task string) bool {
	where, err := os.ReadFile(filepath.Join(task, "wchan"))
	return err == nil && (bytes.Contains(where, []byte("fuse")) || bytes.Contains(where, []byte("request_wait_answer")))
}
