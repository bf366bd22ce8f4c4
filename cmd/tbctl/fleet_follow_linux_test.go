package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
)

// following is a tbctl fleet status --follow.
type following struct {
	t       *testing.T
	command *exec.Cmd
	lines   *bufio.Reader
	heard   bytes.Buffer
	errs    bytes.Buffer
}

func (f *liveFleet) follow(args ...string) *following {
	f.t.Helper()
	c := &following{t: f.t, command: exec.Command(f.program, append([]string{"fleet", "status", "--follow", "--interval", "20ms", "--fleet", f.inventory}, args...)...)}
	output, err := c.command.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	c.command.Stderr = &c.errs
	c.lines = bufio.NewReader(io.TeeReader(output, &c.heard))
	if err := c.command.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.command.Process.Kill() })
	return c
}

// until reads changes until one is as asked for.
func (c *following) until(what string, is func(report.FleetHost) bool) report.FleetHost {
	c.t.Helper()
	for {
		text, err := c.lines.ReadString('\n')
		if err != nil {
			c.t.Fatalf("until %s: %v\n%s%s", what, err, &c.heard, &c.errs)
		}
		var line report.FleetLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			c.t.Fatalf("%v: %s", err, text)
		}
		if is(line.Change.Host) {
			return line.Change.Host
		}
	}
}

// end interrupts it, and returns what else it says.
func (c *following) end() string {
	c.t.Helper()
	if err := c.command.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	rest, err := io.ReadAll(c.lines)
	if err != nil {
		c.t.Fatal(err)
	}
	c.command.Wait() // its exit code says it
	if code := c.command.ProcessState.ExitCode(); code != int(exitInterrupted) {
		c.t.Errorf("exit code %d\n%s", code, &c.errs)
	}
	return string(rest)
}

// sessions are the processes of tbctl host on a host.
func sessions(h *testhost.Host) string {
	return strings.Join(strings.Fields(h.Run("sh", "-c", "pgrep -f '[t]bctl host$' || true")), " ")
}

// What changes on a host is told as it happens, over the same session; a host that is lost, or that hangs, is told, is tried
// again, and holds up nobody else's row.
func TestFleetFollow(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	f.serve(standin.Binary(t, "0.17.8", "0.17.7"))
	c := f.follow("--json")
	shown := map[string]bool{}
	c.until("every host has answered", func(h report.FleetHost) bool {
		shown[h.Name] = shown[h.Name] || h.Report != nil && h.Report.Targets[0].Status.Replicas[0].Answer != nil
		return shown["tb0"] && shown["tb1"] && shown["tb2"]
	})
	first, stopped := f.Hosts[0], f.Hosts[2]
	before := sessions(first)
	claim := func(session *remote.Session, epoch uint64) {
		t.Helper()
		claim := claimOf(fenceOf(4, epoch, "a", "ana"))
		claim.TakeOver = true
		if _, err := session.Claim(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
	}
	held := func(name string, epoch uint64) func(report.FleetHost) bool {
		return func(h report.FleetHost) bool {
			return h.Name == name && h.Report != nil && h.Report.Targets[0].Status.Fence != nil && h.Report.Targets[0].Status.Fence.Epoch == epoch
		}
	}
	ana := f.session("tb0")
	claim(ana, 1)
	c.until("the claim is seen", held("tb0", 1))
	if now := sessions(first); !strings.HasPrefix(now, before) {
		t.Errorf("the sessions are %s, and were %s", now, before)
	}

	// One that hangs, and the others' rows.
	stopped.Run("sh", "-c", "kill -STOP "+sessions(stopped))
	claim(ana, 2)
	c.until("the next claim is seen", held("tb0", 2))

	// One that is lost.
	f.Hosts[1].Run("sh", "-c", "kill -9 "+sessions(f.Hosts[1]))
	lost := c.until("it is lost", func(h report.FleetHost) bool { return h.Name == "tb1" && h.Problem != nil })
	if !lost.Problem.Again || lost.Problem.Reason != string(remote.ReasonLost) || lost.Report != nil {
		t.Errorf("%+v", lost.Problem)
	}
	c.until("it is back", func(h report.FleetHost) bool { return h.Name == "tb1" && h.Report != nil })
	stopped.Run("sh", "-c", "kill -CONT "+sessions(stopped))

	last := c.end()
	all := mustSchemas(t)
	if command, err := all.checkOutput(c.heard.Bytes()); err != nil || command != "fleet status" {
		t.Errorf("%s: %v", command, err)
	}
	var document report.Document[report.Fleet]
	lines := strings.Split(strings.TrimSpace(last), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &document); err != nil || document.ExitCode != int(exitInterrupted) || len(document.Result.Hosts) != 3 {
		t.Errorf("%v: %s", err, last)
	}
}

// In a pipe each change is a line, and what has not changed is not told again; at a terminal the table is drawn in its place.
func TestFleetFollowText(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	f.serve(standin.Binary(t, "0.17.8", "0.17.7"))
	c := f.follow()
	const row = " tb0: replica 0, installed 0.17.8, running 0.17.8, armed 0.17.8, durable 0.17.8, view 0, rollout "
	var rows []string             // without their times
	until := func(words string) { // a row has them; besides there is what cannot be seen in such a host
		t.Helper()
		for {
			text, err := c.lines.ReadString('\n')
			if err != nil {
				t.Fatalf("%v\n%s%s", err, &c.heard, &c.errs)
			}
			if at := strings.Index(text, " tb0: replica "); at > 0 {
				rows = append(rows, text[at:])
			}
			if strings.Contains(text, row+words) {
				return
			}
		}
	}
	until("-\n")
	if _, err := f.session("tb0").Claim(t.Context(), claimOf(fenceOf(4, 1, "a", "ana"))); err != nil {
		t.Fatal(err)
	}
	until("4.1 claimed, ana@bastion\n")
	rest := c.end()
	if len(slices.Compact(slices.Clone(rows))) != len(rows) || strings.Contains(rest, " tb0: replica ") || !strings.Contains(c.errs.String(), "interrupted by signal") {
		t.Errorf("%q, %q, %q", rows, rest, &c.errs)
	}

	control, terminal := newTerminal(t)
	command := exec.Command(f.program, "fleet", "status", "--follow", "--fleet", f.inventory)
	command.Env = append(os.Environ(), "TERM=xterm")
	command.Stdout = terminal
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	terminal.Close()
	var said strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(said.String(), "4.1 claimed") {
		count, err := control.Read(buffer)
		said.Write(buffer[:count])
		if err != nil {
			t.Fatalf("%v: %q", err, said.String())
		}
	}
	if text := said.String(); !strings.Contains(text, "being asked") || !strings.Contains(text, "A\r\x1b[J") {
		t.Errorf("%q", text)
	}
	command.Process.Signal(syscall.SIGINT)
	command.Wait() // its exit code says it
	if code := command.ProcessState.ExitCode(); code != int(exitInterrupted) {
		t.Errorf("exit code %d", code)
	}
}

// newTerminal is a terminal of 20 lines: what controls it, and the end that a program gets.
func newTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("skipped: no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { control.Close() })
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 120})
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return control, terminal
}
