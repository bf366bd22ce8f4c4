//go:build linux

package torture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var signals = slices.DeleteFunc([]syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}, func(s syscall.Signal) bool {
	return signal.Ignored(s) // as SIGHUP is under nohup, by what is started from here, too
})

// TestSignals sends a signal before each call that changes something. Before the swap
// it ends the operation and nothing is left of it; from then on nothing stops it.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, o := range operations() {
		if !full() && o.name != "upgrade" {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, quickDir(t))
			p.reset(t, o.target, o.old)
			count := len(o.traced(t, p, disturbance{}).Calls)
			for index, signal := range signals {
				for number := 1 + index%sample(12, 1); number <= count; number += sample(12, 1) {
					p.reset(t, o.target, o.old)
					got := o.traced(t, p, disturbance{At: number, Signal: signal})
					tried("signals before a call", 1)
					text := fmt.Sprintf("%s: %s before call %d of %d: exit %d: %s", o.name, signal, number, count, got.Code, got.stderr)
					now := p.see(t, text)
					want := map[int]string{0: o.after, 130: o.target}[got.Code]
					if now.target != want || len(now.residue) > 0 {
						t.Fatalf("%s: the target is %s, left over: %q", text, now.target, now.residue)
					}
					o.settle(t, p, text, now)
				}
			}
		})
	}
}

// TestStall ends a run whose source says no more.
func TestStall(t *testing.T) {
	t.Parallel()
	data := binaries(t)[binaryNew].data
	for _, size := range []int{0, 1, len(data) / 2, len(data) - 1} {
		for _, source := range []string{"stdin", "server"} {
			for _, signal := range append(signals, syscall.SIGKILL) {
				if !full() && (size != len(data)/2 || signal == syscall.SIGHUP) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%s", source, size, signal), func(t *testing.T) {
					t.Parallel()
					p := newPlace(t, quickDir(t))
					p.reset(t, binaryOld, binaryOlder)
					got := p.stall(t, source, data[:size], signal)
					tried("stalled sources", 1)
					text := fmt.Sprintf("exit %d: %s", got.code, got.stderr)
					now := p.see(t, text)
					if now.target != binaryOld || now.old != binaryOlder {
						t.Errorf("%s: %+v", text, now)
					}
					if signal != syscall.SIGKILL && (got.code != 130 || len(now.residue) > 0) {
						t.Errorf("%s: left over: %q", text, now.residue)
					}
					p.install(t, binaryNew)
					p.clean(t, "then again", binaryNew, binaryOld)
					p.history(t, "then again")
				})
			}
		}
	}
}

// stall runs an installation from a source that sends a part and then nothing, and
// sends the signal.
func (p *place) stall(t *testing.T, source string, part []byte, signal syscall.Signal) ran {
	t.Helper()
	args := p.args("install", "-", p.target)
	sent := make(chan bool, 1)
	if source == "server" {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(part)+1000))
			_, _ = w.Write(part)
			_ = http.NewResponseController(w).Flush()
			sent <- true
			<-r.Context().Done()
		}))
		defer server.Close()
		args = p.args("install", server.URL+"/tigerbeetle", p.target)
	}
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Env = p.env
	stdin, err := command.StdinPipe()
	check(t, err)
	stderr, err := command.StderrPipe()
	check(t, err)
	check(t, command.Start())
	// It says so when it begins to fetch: then it has its lock and its staged file.
	reader := bufio.NewReader(stderr)
	said, err := reader.ReadString('\n')
	if err != nil || !strings.Contains(said, "fetching") && !strings.Contains(said, "reading") {
		t.Fatalf("it said %q, %v", said, err)
	}
	if source == "server" {
		<-sent
	} else if _, err := stdin.Write(part); err != nil {
		t.Fatal(err)
	}
	check(t, command.Process.Signal(signal))
	rest, err := io.ReadAll(reader)
	check(t, err)
	if err := command.Wait(); err == nil {
		t.Fatal("it succeeded")
	}
	return ran{code: command.ProcessState.ExitCode(), stderr: said + string(rest)}
}

// TestEndsEarly requires that a source which ends early is told as one that failed, whatever of it came.
func TestEndsEarly(t *testing.T) {
	t.Parallel()
	p := newPlace(t, quickDir(t))
	p.reset(t, binaryOld, binaryOlder)
	data := binaries(t)[binaryNew].data
	for size := 0; size < len(data); size += len(data) / sample(3, 40) {
		args := p.args("install", "-", p.target)
		command := exec.CommandContext(t.Context(), args[0], args[1:]...)
		command.Env, command.Stdin = p.env, bytes.NewReader(data[:size])
		got := finish(t, command)
		tried("sources that end early", 1)
		if got.code != 1 {
			t.Errorf("%d bytes: exit %d, want 1: %s", size, got.code, got.stderr)
		}
		p.clean(t, got.stderr, binaryOld, binaryOlder)
	}
}

// TestClosedPipes closes the ends that nobody reads any more: nothing is changed then. With
// descriptors that are closed from the start nobody was to read anything, and it goes on.
func TestClosedPipes(t *testing.T) {
	t.Parallel()
	for _, closed := range []string{"stdout", "stderr", "both", "descriptors"} {
		t.Run(closed, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, quickDir(t))
			p.reset(t, binaryOld, binaryOlder)
			args := p.args("install", p.source(binaryNew), p.target)
			if closed == "descriptors" {
				args = []string{"sh", "-c", `exec "$0" "$@" <&- >&- 2>&-`, args[0], args[1], args[2], args[3], args[4], args[5]}
			}
			command := exec.CommandContext(t.Context(), args[0], args[1:]...)
			command.Env = p.env
			reader, writer, err := os.Pipe()
			check(t, err)
			reader.Close()
			if closed == "stdout" || closed == "both" {
				command.Stdout = writer
			}
			if closed == "stderr" || closed == "both" {
				command.Stderr = writer
			}
			err = command.Run()
			writer.Close()
			tried("closed pipes", 1)
			now := p.see(t, closed)
			text := fmt.Sprintf("%s closed: %v: %+v", closed, err, now)
			code, target := 130, binaryOld
			if closed == "descriptors" {
				code, target = 0, binaryNew
			}
			if command.ProcessState.ExitCode() != code || now.target != target || len(now.residue) > 0 {
				t.Error(text)
			}
			p.install(t, binaryNew)
			p.clean(t, text, binaryNew, binaryOld)
			p.history(t, text)
		})
	}
}

// TestKilledAtRandom kills at moments that no system call marks.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	p := newPlace(t, quickDir(t))
	start := time.Now()
	p.reset(t, binaryOld, binaryOlder)
	p.install(t, binaryNew)
	whole := time.Since(start)
	o := operations()[0]
	random := rand.New(rand.NewPCG(1, 2))
	found := map[string]int{}
	for range sample(10, 300) {
		p.reset(t, o.target, o.old)
		args := p.args(o.args(p)...)
		command := exec.Command(args[0], args[1:]...)
		command.Env = p.env
		check(t, command.Start())
		timer := time.AfterFunc(time.Duration(random.Int64N(int64(whole))), func() { _ = command.Process.Kill() })
		err := command.Wait()
		timer.Stop()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		now := p.see(t, "killed")
		if now.target != o.target && now.target != o.after || err == nil && now.target != o.after {
			t.Fatalf("%v: %+v", err, now)
		}
		found[now.target]++
		o.settle(t, p, "killed", now)
		tried("killed at random", 1)
	}
	remarked("killed at random", "the target was old %d times, new %d times", found[o.target], found[o.after])
}
