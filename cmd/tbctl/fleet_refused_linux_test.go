package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/multiversion"
)

// replace starts another replica in place of a host's.
func replace(h *testhost.Host, member string) {
	h.Run("sh", "-c", fmt.Sprintf(`set -eu
cd /var/lib/tigerbeetle
pkill -9 -x tigerbeetle
while pgrep -x tigerbeetle; do sleep 0.01; done
rm -f 7.tigerbeetle log
/usr/local/bin/tigerbeetle format %s --replica-count=3 7.tigerbeetle
STANDIN_UPGRADE=cluster STANDIN_SECOND=20ms setsid /usr/local/bin/tigerbeetle start --addresses=3000,3001,3002 7.tigerbeetle >log 2>&1 </dev/null &
until grep -q listening log; do sleep 0.01; done`, member))
}

// What hinders a plan on real hosts is told by name, and nothing is written: of the inventory, the release, the clients, and the hosts.
func TestFleetPlanRefuses(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	f.serve(standin.Binary(t, "0.17.3", "0.17.2"))
	next := f.next("0.17.8", "0.17.2", "0.17.3")
	file := filepath.Join(t.TempDir(), "plan.json")
	refused := func(name, want string, args ...string) {
		t.Helper()
		wanted := 4
		if strings.Contains(want, "no-room") { // which another day may have
			wanted = 1
		}
		result, code := f.plan(append(args, "-o", file)...)
		if code != wanted || !strings.Contains(reasons(result.Problems), want) || result.Plan != nil {
			t.Errorf("%s: exit code %d, %s, want %d, %s: %+v", name, code, reasons(result.Problems), wanted, want, result.Problems)
		}
		if _, err := os.Stat(file); err == nil {
			t.Fatalf("%s: a plan was written", name)
		}
	}
	refused("a forgotten host", "missing-replica", next, "tb0", "tb1")
	refused("a release to skip", "skip", f.next("0.17.6", "0.17.2", "0.17.3"))
	refused("a release to skip on the way", "skip", f.next("0.17.9", "0.17.2", "0.17.3", "0.17.5v"))
	refused("a client that is too old", "client-too-old", next, "--clients", "0.1.0")
	spec := testbin.Spec{Platform: multiversion.PlatformAArch64Linux, Current: testbin.Release("0.17.8"), Past: testbin.PastOf("0.17.2", "0.17.3")}
	other := filepath.Join(t.TempDir(), "aarch64")
	testbin.WriteFile(t, other, testbin.Build(t, spec))
	refused("another processor", "tb0 platform", other)

	if output, err := f.Hosts[1].Command("mount", "-o", "remount,size=24m", "/usr/local").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	refused("a host without room", "tb1 no-room", next)
	f.Hosts[1].Run("mount", "-o", "remount,size=50%", "/usr/local")

	replace(f.Hosts[2], "--cluster=7 --replica=1")
	refused("two hosts with one replica", "replica-twice", next)
	replace(f.Hosts[2], "--cluster=8 --replica=2")
	refused("a host of another cluster", "foreign-cluster", next)

	text, err := os.ReadFile(f.inventory)
	if err == nil {
		err = os.WriteFile(f.inventory, append(text, "[[cluster]]\nname = \"other\"\nhosts = [\"tb0\", \"tb1\"]\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, code := f.tbctl("fleet", "plan", next, "-o", file); code != 2 || !strings.Contains(errs, "tb0") {
		t.Errorf("a target of two clusters: exit code %d: %s", code, errs)
	}
}
