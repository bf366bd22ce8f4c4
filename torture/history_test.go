//go:build linux

package torture

import (
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/install"
)

// TestStatusAfterKill kills just before and just after the swap and asks the
// program what happened, as a user who may only read and as root: both get the truth, and
// asking changes nothing. The next installation completes the record.
func TestStatusAfterKill(t *testing.T) {
	t.Parallel()
	needRoot(t)
	o := operations()[0]
	p := newPlace(t, diskDir(t))
	p.reset(t, o.target, o.old)
	swap := 0
	for index, call := range o.traced(t, p, disturbance{}).Calls {
		if call.Name == "renameat2" {
			swap = index + 1
		}
	}
	for want, what := range map[install.Result]disturbance{
		install.ResultFoundOld: {At: swap, Signal: syscall.SIGKILL},
		install.ResultFoundNew: {At: swap, SignalAfter: syscall.SIGKILL},
	} {
		p.reset(t, o.target, o.old)
		if got := o.traced(t, p, what); got.Signal != syscall.SIGKILL {
			t.Fatalf("%s: exit %d: %s", what, got.Code, got.stderr)
		}
		must(t, "chmod", "0755", p.target) // for everybody to read
		before := p.held()
		for _, reader := range []string{"nobody", "root", "root"} {
			args := p.args("status", p.target, "--json")
			if reader == "nobody" {
				args = asNobody(t, args)
			}
			command := exec.CommandContext(t.Context(), args[0], args[1:]...)
			command.Env = p.env
			got := finish(t, command)
			var document struct {
				Result struct {
					Interrupted []install.Interrupted `json:"interrupted"`
				} `json:"result"`
			}
			if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || got.code != 0 {
				t.Fatalf("%s: exit %d, %v: %s", reader, got.code, err, got.stderr)
			}
			if open := document.Result.Interrupted; len(open) != 1 || open[0].Found != want || open[0].Busy {
				t.Errorf("%s, %s: interrupted: %+v, want %s", reader, what, open, want)
			}
		}
		if after := p.held(); after != before {
			t.Errorf("%s: asking changed\n%s\nto\n%s", what, before, after)
		}
		p.unreadable(t, what.String())
		must(t, "chmod", "0751", p.target)
		p.install(t, binaryNext)
		if records := p.history(t, what.String()); len(records) != 2 || records[0].Result != want || records[1].Result != install.ResultInstalled {
			t.Errorf("%s: records: %+v", what, records)
		}
		tried("histories after a kill", 1)
	}
}

// held lists the target's directory, with everything but the times of reading.
func (p *place) held() string {
	text, _ := exec.Command("ls", "-la", "--time-style=full-iso", p.dir).CombinedOutput()
	return string(text)
}

// unreadable requires that a user who may not read the files is told what may be seen, and what
// not.
func (p *place) unreadable(t *testing.T, what string) {
	t.Helper()
	must(t, "chmod", "0700", p.target)
	args := asNobody(t, p.args("status", p.target, "--json"))
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Env = p.env
	got := finish(t, command)
	var document struct {
		Result struct {
			Installed    *install.File         `json:"installed"`
			Hidden       []string              `json:"hidden"`
			LockObserved bool                  `json:"lock_observed"`
			Interrupted  []install.Interrupted `json:"interrupted"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || got.code != 1 {
		t.Fatalf("%s: exit %d, %v: %s", what, got.code, err, got.stderr)
	}
	result := document.Result
	if result.Installed != nil || len(result.Hidden) == 0 || result.Hidden[0] != p.target || result.LockObserved ||
		len(result.Interrupted) != 1 || result.Interrupted[0].Found != install.ResultUnknown {
		t.Errorf("%s: %+v", what, result)
	}
}
