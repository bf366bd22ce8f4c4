//go:build linux

package torture

import (
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/install"
)

// TestHistoryAfterKill kills just before and just after the swap and asks the
// program what happened: first as a user who may only read, who gets the truth too,
// then as one who may complete the record.
func TestHistoryAfterKill(t *testing.T) {
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
		for _, reader := range []string{"nobody", "root"} {
			args := p.args("history", "--json")
			if reader == "nobody" {
				args = asNobody(t, args)
			}
			command := exec.CommandContext(t.Context(), args[0], args[1:]...)
			command.Env = p.env
			got := finish(t, command)
			var document struct {
				Result struct {
					Records     []install.Record      `json:"records"`
					Interrupted []install.Interrupted `json:"interrupted"`
				} `json:"result"`
			}
			if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || got.code != 0 {
				t.Fatalf("%s: exit %d, %v: %s", reader, got.code, err, got.stderr)
			}
			records, open := document.Result.Records, document.Result.Interrupted
			if len(open) != 1 || open[0].Found != want || open[0].Busy {
				t.Errorf("%s, %s: interrupted: %+v, want %s", reader, what, open, want)
			}
			if completed := len(records) == 2 && records[1].Result == want; completed != (reader == "root") {
				t.Errorf("%s, %s: records: %+v", reader, what, records)
			}
		}
		tried("histories after a kill", 1)
	}
}
