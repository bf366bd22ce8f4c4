package replica_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/replica"
)

// TestFindServiceBesideStrangers holds that strangers who take all the time that they get hide nothing that counts, and that
// it is told how many of them were not looked into.
func TestFindServiceBesideStrangers(t *testing.T) { // not parallel: the limits are those of all tests
	defer replica.StarveStrangers()()
	target := installed(t)
	other := filepath.Join(t.TempDir(), "tigerbeetle")
	if err := os.WriteFile(other, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	tr := newTree(t)
	const strangers = 60
	for pid := 2; pid < 2+strangers; pid++ {
		tr.process(pid, other, "mnt:[1]", target, "start", "--addresses=3000", "/none")
		tr.write(fmt.Sprintf("%d/status", pid), "Name:\tx\nUid:\t1500\t0\t0\t0\n")
		tr.write(fmt.Sprintf("%d/cgroup", pid), "0::/\n")
		tr.write(fmt.Sprintf("%d/loginuid", pid), "4294967295")
	}
	const service = 100
	tr.process(service, other, "mnt:[1]", target, "start", "--addresses=3000", "/none")
	tr.write("100/status", "Name:\tx\nUid:\t1501\t0\t0\t0\n")
	tr.write("100/cgroup", "0::/system.slice/tigerbeetle.service\n")
	tr.write("100/loginuid", "4294967295")

	view, err := replica.Find(t.Context(), target, replica.Options{Proc: tr.root})
	if err != nil {
		t.Fatal(err)
	}
	if view.Skipped != strangers {
		t.Errorf("%d were skipped, want %d", view.Skipped, strangers)
	}
	for _, process := range view.Processes {
		if process.PID == service {
			return
		}
	}
	t.Errorf("the service's is not among %+v", view.Processes)
}
