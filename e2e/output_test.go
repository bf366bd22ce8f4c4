//go:build linux

package e2e

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is a pseudo terminal, and what was written to it.
type terminal struct {
	side    *os.File // what the program gets
	master  *os.File
	mu      sync.Mutex
	written strings.Builder
	done    chan struct{}
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipped: there are no pseudo terminals: %v", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipped: there are no pseudo terminals: %v", err)
	}
	terminal := &terminal{side: side, master: master, done: make(chan struct{})}
	go func() {
		defer close(terminal.done)
		buffer := make([]byte, 4<<10)
		for {
			n, err := master.Read(buffer)
			terminal.mu.Lock()
			terminal.written.Write(buffer[:n])
			terminal.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { side.Close(); master.Close() })
	return terminal
}

// text is all that was written, once the program has ended.
func (t *terminal) text() string {
	t.side.Close()
	<-t.done
	return t.written.String()
}

// TestProgress watches a download that takes some seconds.
func TestProgress(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	slow := func(t *testing.T) *host {
		return y.through(t, newLine(t, y.address, "bandwidth", `{"rate":300}`), strings.ReplaceAll(t.Name(), "/", "-"))
	}
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		h, screen := slow(t), newTerminal(t)
		cmd := h.command("install", "0.17.8", h.target)
		var stdout strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, screen.side
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		h.holds(y.next)
		text := screen.text()
		if draws := strings.Count(text, "\r"); draws < 20 || !strings.Contains(text, "%") {
			t.Errorf("no bar, %d times drawn: %q", draws, text)
		}
		lines := strings.Split(strings.TrimRight(text, " "), "\n")
		if last := lines[len(lines)-1]; strings.TrimSpace(shown(last)) != "" {
			t.Errorf("the bar stays: %q", last)
		}
		if strings.ContainsAny(stdout.String(), "\r\x1b") || !strings.Contains(stdout.String(), "installed:") {
			t.Errorf("standard output is no plain text: %q", stdout.String())
		}
	})
	t.Run("pipe", func(t *testing.T) {
		t.Parallel()
		h := slow(t)
		r := h.run("install", "0.17.8", h.target).want(0)
		h.holds(y.next)
		lines := strings.Count(r.stderr, "fetching: ")
		if most := int(r.took.Seconds()/5) + 1; lines < 1 || lines > most || strings.ContainsAny(r.stderr, "\r\x1b") {
			t.Errorf("%d lines in %v: %q", lines, r.took, r.stderr)
		}
	})
	t.Run("quiet", func(t *testing.T) {
		t.Parallel()
		h, screen := slow(t), newTerminal(t)
		cmd := h.command("install", "0.17.8", h.target, "--quiet")
		cmd.Stdout, cmd.Stderr = io.Discard, screen.side
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		// These tests run in a PID namespace of their own, as in a container: that is to be warned of.
		const warned = "replicas may run from the installed file that cannot be seen from here"
		text := screen.text()
		bars := strings.Count(text, "\r") - strings.Count(text, "\r\n")
		if bars > 0 || strings.Contains(text, "%") || strings.Count(text, "tbctl: ") != strings.Count(text, warned) {
			t.Errorf("it said %q", text)
		}
	})
	t.Run("json", func(t *testing.T) {
		t.Parallel()
		h := slow(t)
		r := h.run("install", "0.17.8", h.target, "--json").want(0)
		r.document()
		if r.stderr != "" {
			t.Errorf("it said %q", r.stderr)
		}
	})
}

// shown is what is left of a line on a terminal: what stands behind the last return,
// without escapes.
func shown(line string) string {
	line = strings.TrimSuffix(line, "\r")
	if at := strings.LastIndexByte(line, '\r'); at >= 0 {
		line = line[at+1:]
	}
	var text strings.Builder
	for rest := line; rest != ""; {
		before, after, found := strings.Cut(rest, "\x1b[")
		text.WriteString(before)
		if !found {
			break
		}
		rest = strings.TrimLeft(after, "0123456789;?")
		rest = rest[min(1, len(rest)):]
	}
	return text.String()
}

// TestClosedPipe reads nothing of what is said: nothing is installed then.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	h := newHost(t).install(b.old.data)
	archive := h.write("tigerbeetle.zip", b.next.zip)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	cmd := h.command("install", archive, h.target)
	cmd.Stdout, cmd.Stderr = write, write
	_ = cmd.Run()
	write.Close()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	h.untouched()
}
