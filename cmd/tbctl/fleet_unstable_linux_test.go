package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/report"
)

// wholeFleet says that tests of fleets take all where they take a sample otherwise.
func wholeFleet() bool { return testbin.Full() || os.Getenv("TORTURE") == "fleet" }

// unrest is a state of an armed cluster in which it must not be promoted.
type unrest struct {
	name   string
	host   string // that is named for it; "": of several any
	reason fleet.ProblemReason
	words  string                // of the message
	also   []fleet.ProblemReason // why it is not stable either, where a look falls into another moment
	begin  func(f *liveFleet, h *testhost.Host) (end func())
}

// unrests are made on the host tb1, whose replica is neither the primary nor the one that is swapped last.
var unrests = []unrest{
	{"stopped", "tb1", fleet.ProblemNotServing, "replica 1 does not serve: it is stopped", nil, func(_ *liveFleet, h *testhost.Host) func() {
		h.Run("sh", "-c", "kill -STOP $(cat /var/lib/tigerbeetle/pid)")
		return func() { h.Run("sh", "-c", "kill -CONT $(cat /var/lib/tigerbeetle/pid)") }
	}},
	{"crashing", "tb1", fleet.ProblemStarted, "replica 1 was started again", []fleet.ProblemReason{fleet.ProblemNotServing, fleet.ProblemPeers}, func(f *liveFleet, h *testhost.Host) func() {
		h.Run("touch", "/run/crashing")
		manager := h.Command("sh", "-c", "while [ -e /run/crashing ]; do "+restart+"; sleep 0.5; done") // as one of services waits before it starts it again
		if err := manager.Start(); err != nil {
			f.t.Fatal(err)
		}
		return func() {
			h.Run("rm", "/run/crashing")
			if err := manager.Wait(); err != nil {
				f.t.Error(err)
			}
		}
	}},
	{"lagging", "tb1", fleet.ProblemBehind, "replica 1 is at the checkpoint of operation 960, and others are at 4800", nil, func(f *liveFleet, h *testhost.Host) func() {
		for _, each := range f.Hosts {
			op := "5000"
			if each == h {
				op = "1000"
			}
			each.WriteFile("/var/lib/tigerbeetle/commits", []byte(op), 0o644)
		}
		return func() { h.WriteFile("/var/lib/tigerbeetle/commits", []byte("5000"), 0o644) }
	}},
	{"churning", "", fleet.ProblemView, "view", nil, func(_ *liveFleet, h *testhost.Host) func() {
		h.Run("touch", "/var/lib/tigerbeetle/churn")
		return func() { h.Run("rm", "/var/lib/tigerbeetle/churn") }
	}},
	{"partitioned", "tb1", fleet.ProblemPeers, "replica 1 has 0 connections with others, and there are 2 others", nil, func(f *liveFleet, h *testhost.Host) func() {
		route := func(what string) {
			for _, peer := range f.Hosts {
				if peer != h { // and the controller reaches it
					h.Run("ip", "route", what, "blackhole", peer.Address)
				}
			}
		}
		route("add")
		return func() { route("delete") }
	}},
}

// An armed cluster in which a replica is stopped, is started again and again, lags, is cut off from the others, or in which the view changes
// all the while, is not promoted, and the reason names it. When that is over it is promoted, or the abort leaves all alive and none armed, and
// then the same plan can be carried out to its end.
func TestFleetUnstable(t *testing.T) {
	t.Parallel()
	for index, each := range unrests {
		for _, abort := range []bool{false, true} {
			if !wholeFleet() && (index != 1 || abort) {
				continue
			}
			t.Run(fmt.Sprintf("%s/abort=%v", each.name, abort), func(t *testing.T) {
				f := newLiveFleet(t, 3)
				file := f.planned()
				f.restartable()
				if result, code := f.carry("run", file, "--until", "armed"); code != 0 || result.Clusters[0].Armed != 2 {
					t.Fatalf("exit code %d: %+v", code, result)
				}
				end := each.begin(f, f.Host("tb1"))
				f.notPromoted(file, each)
				end()
				if abort {
					f.aborted(file)
				}
				if result, code := f.carry("run", file, "--yes", "--stable", "1s"); code != 0 || result.Clusters[0].Upgraded != 3 {
					t.Fatalf("when it is over: exit code %d: %+v", code, result)
				}
				if releases, installed := f.runs(); count(releases, "0.17.8") != 3 || count(installed, "0.17.8") != 3 {
					t.Errorf("they run %q, installed is %q", releases, installed)
				}
			})
		}
	}
}

// notPromoted has the cluster promoted for several times as long as it would have to be stable: it is not, and nothing has changed.
func (f *liveFleet) notPromoted(file string, is unrest) {
	f.t.Helper()
	before := f.targets()
	output, errs, code := f.tbctl("fleet", "promote", file, "ledger", "--yes", "--stable", "3s", "--timeout", "9s", "--json")
	names := func(cluster, host string, reason fleet.ProblemReason, message string) bool {
		said := reason == is.reason && strings.Contains(message, is.words) || slices.Contains(is.also, reason)
		return cluster == "ledger" && (is.host == "" || host == is.host) && said
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	told := slices.ContainsFunc(lines, func(line string) bool {
		var change report.RolloutLine
		if err := json.Unmarshal([]byte(line), &change); err != nil {
			f.t.Fatalf("%v: %s", err, line)
		}
		said := change.Rollout
		return (said.What == "miss" || said.What == "waits") && names(said.Cluster, said.Host, fleet.ProblemReason(said.Reason), said.Message)
	})
	var document report.Document[report.Rollout]
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &document); err != nil {
		f.t.Fatalf("%v: %s%s", err, output, errs)
	}
	cluster := document.Result.Clusters[0]
	if code != 1 || !told || cluster.Step != fleet.StepArmed && (len(is.also) == 0 || cluster.Step != fleet.StepArming) || cluster.Upgraded != 0 || reasons(cluster.Problems) != "deadline" ||
		!slices.ContainsFunc(cluster.Misses, func(p fleet.Problem) bool { return strings.Contains(cluster.Problems[0].Message, p.Message) }) {
		f.t.Errorf("%s: exit code %d, told %v:\n%s%s", is.name, code, told, output, errs)
	}
	if after := f.targets(); !slices.Equal(after, before) {
		f.t.Errorf("%s: the targets are %q, and were %q", is.name, after, before)
	}
	for _, h := range f.Hosts {
		if log := h.Run("cat", "/var/lib/tigerbeetle/log"); strings.Contains(log, "upgrade:") {
			f.t.Errorf("%s: %s upgrades:\n%s", is.name, h.Name, log)
		}
	}
}

// targets are the files at the targets of all hosts.
func (f *liveFleet) targets() (identities []string) {
	f.t.Helper()
	for _, h := range f.Hosts {
		identities = append(identities, identity(f.t, h))
	}
	return identities
}

// aborted has what was armed taken back: every replica serves, and none holds or runs the newer release.
func (f *liveFleet) aborted(file string) {
	f.t.Helper()
	if result, code := f.carry("abort", file); code != 0 || result.Clusters[0].Step != fleet.StepAborted || result.Clusters[0].Armed != 0 || result.Clusters[0].Serving != 3 {
		f.t.Fatalf("abort: exit code %d: %+v", code, result)
	}
	f.shows("none is armed, and all serve", func(_ *report.FleetHost, replica *host.Replica) bool {
		return replica.Answer != nil && replica.Armed != nil && replica.Armed.Newest() == testbin.Release("0.17.7")
	})
	if releases, installed := f.runs(); count(releases, "0.17.7") != 3 || count(installed, "0.17.7") != 3 {
		f.t.Errorf("aborted: they run %q, installed is %q", releases, installed)
	}
}

// An abort that kills a replica, and does not bring it back, stops there: no other host is touched. When it was started by hand, the same
// command goes on to its end.
func TestFleetNotBack(t *testing.T) {
	t.Parallel()
	if !wholeFleet() {
		t.Skip("skipped: that it does not come back is known after minutes (TORTURE=full)")
	}
	f := newLiveFleet(t, 3)
	file := f.planned()
	if result, code := f.carry("run", file, "--until", "armed"); code != 0 || result.Clusters[0].Armed != 2 {
		t.Fatalf("exit code %d: %+v", code, result)
	}
	f.restartable()
	f.Host("tb1").WriteFile("/etc/tbctl/config.toml", []byte(`restart = ["sh", "-c", "kill -9 $(cat /var/lib/tigerbeetle/pid) || true"]`), 0o644)
	before := f.targets()
	result, code := f.carry("abort", file)
	cluster := result.Clusters[0]
	if code != 1 || reasons(cluster.Problems) != "tb1 not-back" || cluster.Step != fleet.StepAborting || cluster.Serving != 2 {
		t.Errorf("exit code %d: %+v", code, cluster)
	}
	if after := f.targets(); after[0] != before[0] || after[1] == before[1] || after[2] != before[2] {
		t.Errorf("the targets are %q, and were %q", after, before)
	}
	f.restartable()
	f.Host("tb1").Run(restart)
	f.aborted(file)
}
