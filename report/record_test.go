package report

import (
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// A report counts what the plan has, by what was seen of it: a replica that is stopped, starting or not there runs nothing, and what could not be
// looked at as a whole is not said to have been.
func TestTally(t *testing.T) {
	t.Parallel()
	older, newer := multiversion.NewRelease(0, 17, 7), multiversion.NewRelease(0, 17, 8)
	digest := strings.Repeat("2", 64)
	for name, test := range map[string]struct {
		change         func(h *ReportedHost)
		seen, done     int
		replicas, fail string
	}{
		"all runs":             {func(*ReportedHost) {}, 2, 2, "2 of 2 run 0.17.8", ""},
		"one is stopped":       {func(h *ReportedHost) { h.Status.Replicas[0].State = replica.StateStopped }, 2, 1, "1 of 2 run 0.17.8; 1 stopped", ""},
		"one is starting":      {func(h *ReportedHost) { h.Status.Replicas[0].State = replica.StateStarting }, 2, 1, "1 of 2 run 0.17.8; 1 starting", ""},
		"one is not there":     {func(h *ReportedHost) { h.Status.Replicas = nil }, 2, 1, "1 of 2 run 0.17.8; 1 not there", ""},
		"one may be there":     {func(h *ReportedHost) { h.Status.Replicas, h.Status.Observed = nil, false }, 2, 1, "1 of 2 run 0.17.8; 1 not seen", ""},
		"whose is not known":   {func(h *ReportedHost) { h.Status.Replicas[0].Superblock = nil }, 2, 1, "1 of 2 run 0.17.8; 1 not seen", ""},
		"another is there":     {func(h *ReportedHost) { h.Status.Replicas[0].Superblock.ReplicaIndex = 5 }, 2, 1, "1 of 2 run 0.17.8; 1 not there", ""},
		"a stranger's process": {func(h *ReportedHost) { h.Status.Replicas[0].Stranger = true }, 2, 1, "1 of 2 run 0.17.8; 1 not there", ""},
		"one runs the old one": {func(h *ReportedHost) { h.Status.Replicas[0].Running.Release = older }, 2, 1, "1 of 2 run 0.17.8", ""},
		"the old file":         {func(h *ReportedHost) { h.Status.Installed.SHA256 = strings.Repeat("1", 64) }, 2, 1, "2 of 2 run 0.17.8", ""},
		"its state is damaged": {func(h *ReportedHost) { h.Status.StateProblem = "it is cut short" }, 1, 2, "2 of 2 run 0.17.8", "1 of 2 targets could not be looked at as a whole"},
		"not all of it is seen": {func(h *ReportedHost) { h.Problem = &FleetProblem{Message: "another file is there now"} }, 1, 2, "2 of 2 run 0.17.8",
			"1 of 2 targets could not be looked at as a whole"},
		"it was not asked": {func(h *ReportedHost) { h.Status, h.Problem = nil, &FleetProblem{Message: "no route"} }, 1, 1, "1 of 2 run 0.17.8; 1 not seen",
			"1 of 2 targets could not be looked at as a whole"},
	} {
		r := &FleetReport{Plan: &fleet.Plan{Artifact: fleet.Artifact{SHA256: "sha256:" + digest, Release: newer}, Clusters: []fleet.PlannedCluster{{ID: strings.Repeat("0", 32)}}}}
		for index, host := range []string{"tb0", "tb1"} {
			cluster := &r.Plan.Clusters[0]
			cluster.Hosts = append(cluster.Hosts, fleet.PlannedHost{Name: host, Target: "/t", Replicas: []fleet.PlannedReplica{{Index: index}}})
			r.Hosts = append(r.Hosts, ReportedHost{Name: host, Target: "/t", Status: runs(index, digest, newer)})
		}
		test.change(&r.Hosts[1])
		tally := r.Tally()
		if got := tally.ReplicasText("0.17.8"); tally.Targets != 2 || tally.Seen != test.seen || tally.Done != test.done || got != test.replicas {
			t.Errorf("%s: %+v: %s, want %d seen, %d done: %s", name, tally, got, test.seen, test.done, test.replicas)
		}
		if err := r.Err(); (err == nil) != (test.fail == "") || err != nil && err.Error() != test.fail {
			t.Errorf("%s: %v, want %q", name, err, test.fail)
		}
		r.Offline = true
		if err := r.Err(); err != nil {
			t.Errorf("%s: %v, and none was asked", name, err)
		}
	}
}

// runs is a target with a replica that runs a release.
func runs(index int, installed string, release multiversion.Release) *Status {
	r := host.Replica{}
	r.Replica, r.State, r.Running.Release = true, replica.StateRunning, release
	r.Superblock = &datafile.Superblock{ReplicaIndex: index, ReplicaCount: 2, Release: release}
	return &Status{Observed: true, StateObserved: true, Installed: &install.File{SHA256: installed, Release: release}, Replicas: []host.Replica{r}}
}
