//go:build linux

package torture

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// disturbances are what happens to each call in turn. The first ones are enough
// for a quick run.
func disturbances() []disturbance {
	few := []disturbance{{Errno: syscall.EIO}, {SignalAfter: syscall.SIGKILL}}
	if !full() {
		return few
	}
	all := append(few,
		disturbance{Signal: syscall.SIGKILL},
		disturbance{Errno: syscall.EIO, Late: true},
		disturbance{Errno: syscall.EIO, Onward: true},
		disturbance{Errno: syscall.ENOSPC, Onward: true},
		disturbance{Half: true},
	)
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EXDEV, syscall.EINTR} {
		all = append(all, disturbance{Errno: errno})
	}
	return all
}

// TestFaults disturbs every call that changes something, of every operation.
func TestFaults(t *testing.T) {
	t.Parallel()
	for index, o := range operations() {
		if !full() && o.name != "upgrade" && o.name != "no exchange" {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, quickDir(t))
			p.reset(t, o.target, o.old)
			undisturbed := o.traced(t, p, disturbance{})
			if undisturbed.Code != 0 {
				t.Fatalf("undisturbed: exit %d: %s", undisturbed.Code, undisturbed.stderr)
			}
			o.lowered(t, p, "undisturbed")
			o.settle(t, p, "undisturbed", p.see(t, "undisturbed"))
			count := len(undisturbed.Calls)
			for _, what := range disturbances() {
				for number := 1 + index%sample(8, 1); number <= count; number += sample(8, 1) {
					what.At = number
					t.Run(fmt.Sprintf("%d %s", number, what), func(t *testing.T) { o.disturb(t, p, what) })
				}
			}
			remarked("calls disturbed: "+o.name, "%d calls an operation", count)
		})
	}
}

func (o operation) traced(t *testing.T, p *place, what disturbance) traced {
	t.Helper()
	what.NoExchange = o.noExchange
	return trace(t, what, func(command *exec.Cmd) { command.Env = append(p.env, command.Env[len(command.Env)-1]) }, nil, p.args(o.args(p)...)...)
}

// disturb makes one run with one disturbance, and requires what is promised.
func (o operation) disturb(t *testing.T, p *place, what disturbance) {
	t.Helper()
	p.reset(t, o.target, o.old)
	got := o.traced(t, p, what)
	if len(got.Calls) < what.At {
		t.Logf("call %d was not reached", what.At)
		return
	}
	tried("calls disturbed: "+o.name, 1)
	hit := got.Calls[what.At-1]
	text := fmt.Sprintf("%s: call %d, %s: %s: exit %d, signal %d: %s", o.name, what.At, hit, what, got.Code, got.Signal, got.stderr)
	now := p.see(t, text)
	if now.target != o.target && now.target != o.after {
		t.Fatalf("%s: the target is %s", text, now.target)
	}
	killed := what.Signal == syscall.SIGKILL || what.SignalAfter == syscall.SIGKILL
	if killed != (got.Signal == syscall.SIGKILL) {
		t.Fatalf("%s: killed: %v", text, killed)
	}
	o.judgeExit(t, p, got, hit, what, now, text)
	o.settle(t, p, text, now)
}

// judgeExit compares the exit code with what is on the disk.
func (o operation) judgeExit(t *testing.T, p *place, got traced, hit call, what disturbance, now sight, text string) {
	t.Helper()
	switch got.Code {
	case -1, 6: // killed, or unknown
	case 0:
		if now.target != o.after || len(now.residue) > 0 {
			t.Fatalf("%s: the target is %s, left over: %q", text, now.target, now.residue)
		}
	case 130:
	case 1, 2, 3, 4, 5:
		if now.target != o.target {
			t.Fatalf("%s: the target is %s", text, now.target)
		}
	default:
		t.Fatalf("%s: another exit code", text)
	}
	if state := p.known(t, text); got.Code == 0 && state.Next != nil && !strings.Contains(got.stderr, "could not be recorded") {
		t.Fatalf("%s: the state beside the target has no outcome, and nobody said so: %+v", text, state)
	}
	ours := strings.HasPrefix(hit.Object, ".tigerbeetle") || hit.Object == filepath.Base(p.dir) // not the journal's
	// The state is written once more, into another file, where the first found no room. The file that is
	// installed is synced before it.
	first := slices.IndexFunc(got.Calls, func(c call) bool { return c.Name == "fsync" && c.Object == hit.Object })
	again := what.Errno == syscall.ENOSPC && got.Code == 0 && what.At-1 != first
	if hit.Name == "fsync" && ours && !again && what.Errno != 0 && what.Errno != syscall.EINTR && got.Code != 1 && got.Code != 6 && !strings.Contains(got.stderr, "could not be recorded") {
		t.Fatalf("%s: a failed fsync was not told as such", text)
	}
}
