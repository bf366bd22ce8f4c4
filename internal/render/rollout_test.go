package render_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

// armedRollout is a cluster of two, of which one is armed.
func armedRollout() *report.Rollout {
	const old, next = multiversion.Release(17<<8 | 7), multiversion.Release(17<<8 | 8)
	return &report.Rollout{
		Plan: "plan.json", Generation: 4, Release: next, Sent: 2 << 20,
		Clusters: []report.RolloutCluster{{
			ClusterState: fleet.ClusterState{
				Name: "ledger-eu", Step: fleet.StepArmed, Hosts: 2, Reachable: 2, Staged: 2, Checked: 2, Replicas: 2, Armed: 1,
				Stable: 12500 * time.Millisecond, StableFor: time.Minute, Misses: []fleet.Problem{{Host: "tb1", Replica: 1, Reason: fleet.ProblemView, Message: "the view is 13, and was 12"}},
			},
			Epoch: 1, Holder: "ana@bastion\x1b[31m", WayBack: "tbctl fleet abort plan.json ledger-eu", WayOn: "tbctl fleet promote plan.json ledger-eu",
			Waits:    []fleet.Problem{{Cluster: "ledger-eu", Replica: -1, Reason: fleet.ProblemNotStable, Message: "it is to be stable"}},
			Problems: []fleet.Problem{{Cluster: "ledger-eu", Host: "tb1", Replica: -1, Reason: fleet.ProblemDrift, Message: "evil\r\nname", Hint: "look"}},
			Rows: []report.RolloutHost{
				{Name: "tb0", Seen: true, Staged: true, Checked: true, Sent: 1 << 20, Runs: true, Armed: next, Running: old, View: 12, Peers: 1},
				{Name: "tb1", Replica: 1, Seen: true, Holdback: true, Staged: true, Runs: true, Running: old, View: 12, Peers: 1, Unanswered: []string{"boot: no memory file"}, Checked: true},
			},
		}},
	}
}

// The table says of each replica where it is; the ways back and on are the last lines; and nothing from outside acts on a terminal.
func TestRollout(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	render.Rollout(term.New(&buffer, term.ColorNever, nil), armedRollout())
	text := buffer.String()
	for _, want := range []string{"tb0   0 *", "tb1   1  ", "tb1: not checked: boot", "ledger-eu   generation 4, epoch 1, held by ana@bastion", "✓ 0.17.8", "held back", "1/1", "stable for 12s of 1m0s", "tb1: the view is 13", "boot: no memory file", "drift: evil", "hint: look"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-2:]; !strings.HasPrefix(last[0], "way back:") || !strings.HasPrefix(last[1], "way on:") {
		t.Errorf("the last lines are %q", last)
	}
	if strings.ContainsAny(text, "\x1b\r") {
		t.Errorf("a terminal acts on %q", text)
	}
}

// Of a replica that does not run, the table says so where its release would be.
func TestRolloutStates(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{"running": "0.17.7", "unknown": "0.17.7", "stopped": "stopped", "starting": "starting", report.StateNone: "none"} {
		shown := armedRollout()
		row := &shown.Clusters[0].Rows[1]
		row.State, row.Runs = state, state != report.StateNone
		var buffer bytes.Buffer
		render.Rollout(term.New(&buffer, term.ColorNever, nil), shown)
		line := strings.Split(buffer.String(), "\n")[3]
		if fields := strings.Fields(line); !strings.HasPrefix(line, "tb1 ") || !slices.Contains(fields, want) || want != "0.17.7" && slices.Contains(fields, "0.17.7") {
			t.Errorf("%s: %q", state, line)
		}
	}
}

// A change is told once: what lasts, and for how long, is none.
func TestRolloutChanges(t *testing.T) {
	t.Parallel()
	before, now := armedRollout(), armedRollout()
	now.Clusters[0].Stable = time.Minute
	now.Clusters[0].Waits[0].Message = "it is to be stable for longer"
	if changes := now.Changes(before, time.Time{}); len(changes) != 0 {
		t.Errorf("%+v", changes)
	}
	cluster := &now.Clusters[0]
	cluster.Step = fleet.StepPromoting
	cluster.Rows[0].Running, cluster.Rows[1].Armed, cluster.Rows[0].Seen = cluster.Rows[0].Armed, cluster.Rows[0].Armed, false
	cluster.Problems = append(cluster.Problems, fleet.Problem{Host: "tb0", Replica: -1, Reason: fleet.ProblemUnreachable, Message: "gone"})
	var words []string
	out := term.New(&bytes.Buffer{}, term.ColorNever, nil)
	for _, change := range now.Changes(before, time.Time{}) {
		words = append(words, render.RolloutChange(out, &change))
		if problem := change.What == "problem"; problem != (change.Reason == string(fleet.ProblemUnreachable)) || !problem && change.Reason != "" {
			t.Errorf("the reason of %+v", change)
		}
	}
	text := strings.Join(words, "\n")
	for _, want := range []string{"ledger-eu tb0: lost:", "ledger-eu tb0: running: the replica runs 0.17.8, and ran 0.17.7", "ledger-eu tb1: armed:", "ledger-eu: step: promoting", "ledger-eu tb0: problem: gone"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if len(words) != 5 {
		t.Errorf("%q", words)
	}
}

// What was not checked on several hosts is said once.
func TestRolloutUnanswered(t *testing.T) {
	t.Parallel()
	shown := armedRollout()
	rows := shown.Clusters[0].Rows
	rows[0].Unanswered = rows[1].Unanswered
	for want, add := range map[string]report.RolloutHost{
		"all 2 hosts: not checked: boot: no memory file\n": rows[0],
		"tb0, tb1: not checked: boot: no memory file\n":    {Name: "tb2", Replica: 2, Checked: true},
	} {
		other := *shown
		other.Clusters = []report.RolloutCluster{shown.Clusters[0]}
		other.Clusters[0].Rows = append(rows[:2:2], add)
		var buffer bytes.Buffer
		render.Rollout(term.New(&buffer, term.ColorNever, nil), &other)
		if strings.Count(buffer.String(), "not checked:") != 1 || !strings.Contains(buffer.String(), want) {
			t.Errorf("no %q in\n%s", want, buffer.String())
		}
	}
}

// What is to be typed for several clusters is one command.
func TestRolloutWays(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	render.RolloutWays(term.New(&buffer, term.ColorNever, nil), &report.Rollout{Clusters: []report.RolloutCluster{
		{WayBack: "tbctl fleet abort plan.json a", WayOn: "tbctl fleet promote plan.json a"}, {},
		{WayBack: "tbctl fleet abort plan.json b", WayOn: "tbctl fleet arm plan.json b"}, {WayOn: "tbctl fleet promote plan.json c"},
	}})
	if want := "way back:  tbctl fleet abort plan.json a b\nway on:    tbctl fleet promote plan.json a c\nway on:    tbctl fleet arm plan.json b\n"; buffer.String() != want {
		t.Errorf("%s", buffer.String())
	}
}

// A fence that could not be read is not one that is not there.
func TestFleetFenceUnseen(t *testing.T) {
	t.Parallel()
	for observed, want := range map[bool]string{true: "-", false: "cannot be seen"} {
		status := &report.Status{StateObserved: observed, Observed: true}
		result := &report.Fleet{Hosts: []report.FleetHost{{Name: "tb0", Report: &report.Host{Targets: []report.HostTarget{{Path: "/a", Status: status}}}}}}
		var buffer bytes.Buffer
		render.Fleet(term.New(&buffer, term.ColorNever, nil), result)
		if lines := strings.Split(strings.TrimSpace(buffer.String()), "\n"); !strings.HasSuffix(strings.TrimSpace(lines[1]), "  "+want) {
			t.Errorf("%v: %q", observed, lines)
		}
	}
}

// Strangers' processes are no rows, which would look like the replica's own, but are counted.
func TestFleetStrangers(t *testing.T) {
	t.Parallel()
	true1 := host.Replica{Process: replica.Process{PID: 7, Replica: true, Superblock: &datafile.Superblock{ReplicaIndex: 0}}}
	stranger := true1
	stranger.Stranger, stranger.PID = true, 8
	tool := host.Replica{Process: replica.Process{PID: 9, Subcommand: "repl"}}
	status := &report.Status{StateObserved: true, Observed: true, Replicas: []host.Replica{true1, tool, stranger, stranger}, LeftOut: 31}
	result := &report.Fleet{Hosts: []report.FleetHost{{Name: "tb0", Report: &report.Host{Targets: []report.HostTarget{{Path: "/a", Status: status}}}}}}
	var buffer bytes.Buffer
	render.Fleet(term.New(&buffer, term.ColorNever, nil), result)
	text := strings.Join(strings.Fields(buffer.String()), " ")
	if strings.Count(text, "tb0 0 ") != 1 || strings.Count(text, "tb0 ") != 1 || !strings.Contains(text, "tb0: not counted: 33 processes of users who are not known to run replicas") {
		t.Errorf("%s", buffer.String())
	}
	status.Replicas, status.LeftOut = status.Replicas[2:], 0
	buffer.Reset()
	render.Fleet(term.New(&buffer, term.ColorNever, nil), result)
	if text := strings.Join(strings.Fields(buffer.String()), " "); !strings.Contains(text, "tb0 none ") || !strings.Contains(text, "not counted: 2 processes") {
		t.Errorf("%s", buffer.String())
	}
}
