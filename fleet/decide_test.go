package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// testPlan is a plan for clusters of so many replicas, one on a host, and what the hosts show. The first is in wave 1, and
// so on.
func testPlan(t testing.TB, replicas ...int) (*Plan, []Observation) {
	t.Helper()
	var inventory Inventory
	var observations []Observation
	for i, count := range replicas {
		one, seen := testFleet(string(rune('a'+i)), count, "0.17.2")
		one.Clusters[0].Wave = i + 1
		inventory.Clusters = append(inventory.Clusters, one.Clusters...)
		observations = append(observations, seen...)
	}
	plan, problems := Draft(inventory, observations, testArtifact(), testOptions())
	if plan == nil {
		t.Fatal(problems)
	}
	return plan, observations
}

// testInput is a run of the plan.
func testInput(plan *Plan, observations []Observation, goal Goal) Input {
	epochs := map[string]uint64{}
	for _, c := range plan.Clusters {
		epochs[c.Name] = 2
	}
	return Input{
		Plan: plan, PlanID: digestOf("e"), Goal: goal, Holder: Holder{ID: "ana", Who: "ana@laptop", Since: time.Unix(1, 0).UTC()}, Epochs: epochs,
		Observations: observations,
	}
}

// said is a decision in one line: its actions, the reasons why it waits, after ! why clusters are blocked, and = the class it
// ends with.
func said(d Decision) string {
	var texts []string
	for _, a := range d.Actions {
		text := string(a.Kind) + " " + a.Host
		if a.From != "" {
			text += " from " + a.From
		}
		if a.Phase != "" {
			text += " " + string(a.Phase)
		}
		if a.Promotes {
			text += " promotes"
		}
		texts = append(texts, text)
	}
	text := strings.Join(texts, ", ")
	if d.Deferred > 0 {
		text += fmt.Sprintf(" +%d", d.Deferred)
	}
	if waits := reasonsOf(d.Waits); waits != "" {
		text += " (" + waits + ")"
	}
	if blocked := reasonsOf(d.Blocked); blocked != "" {
		text += " !" + blocked
	}
	if d.Done {
		text += " ="
		if d.Class != fault.None {
			text += string(d.Class)
		}
	}
	return strings.TrimSpace(text)
}

// TestDecideFair holds that places are given to clusters in turn, to hosts that failed last, and that no cluster has all of them while another is on
// its way.
func TestDecideFair(t *testing.T) {
	t.Parallel()
	stage := func(host string) Action { return Action{Kind: ActionStage, Host: host, Target: "/opt/tb/tigerbeetle"} }
	failed := &Problem{Replica: -1, Reason: "lost", Message: "lost"}
	fail := func(in *Input, hosts ...string) {
		for _, host := range hosts {
			in.Outcomes = append(in.Outcomes, Outcome{stage(host), failed, fault.Failed})
		}
	}
	for name, test := range map[string]struct {
		change func(in *Input)
		want   string
	}{
		"in turn":                  {func(in *Input) {}, "stage a0, stage b0, stage a1, stage b1 +5 (parallel staging)"},
		"who has fewest":           {func(in *Input) { in.Running = []Action{stage("a0"), stage("a1"), stage("a2")} }, "stage b0 +5 (parallel staging)"},
		"who failed comes last":    {func(in *Input) { fail(in, "a0", "a1") }, "stage a2, stage b0, stage a3, stage b1 +5 (parallel staging)"},
		"also where all failed":    {func(in *Input) { fail(in, "a0", "a1", "a2", "a3", "a4", "a5") }, "stage b0, stage b1, stage b2, stage a0 +5 (parallel staging)"},
		"one place is left":        {func(in *Input) { in.Observations = in.Observations[:6] }, "stage a0, stage a1, stage a2 +3 (parallel staging unreachable)"},
		"with one place it is not": {func(in *Input) { in.Observations, in.Options.Parallel = in.Observations[:6], 1 }, "stage a0 +5 (parallel staging unreachable)"},
		"all for who is alone": {func(in *Input) {
			for i := range in.Observations[6:] {
				in.Observations[6+i].Stored = true
			}
		}, "stage a0, stage a1, stage a2, stage a3 +2 (parallel staging)"},
	} {
		plan, observations := testPlan(t, 6, 3)
		in := testInput(plan, observations, GoalStage)
		in.Options.Parallel = 4
		test.change(&in)
		if got := said(Decide(in)); got != test.want {
			t.Errorf("%s: %s\nwant %s", name, got, test.want)
		}
	}
}

func TestDecideStage(t *testing.T) {
	t.Parallel()
	stage := func(host string) Action { return Action{Kind: ActionStage, Host: host, Target: "/opt/tb/tigerbeetle"} }
	failed := &Problem{Replica: -1, Reason: "no-connection", Message: "lost"}
	for name, test := range map[string]struct {
		change func(in *Input)
		want   string
	}{
		"all":                  {func(in *Input) {}, "stage a0, stage a1, stage a2 (staging)"},
		"two at a time":        {func(in *Input) { in.Options.Parallel = 2 }, "stage a0, stage a1 +1 (parallel staging)"},
		"one is under way":     {func(in *Input) { in.Options.Parallel, in.Running = 2, []Action{stage("a1")} }, "stage a0 +1 (parallel staging)"},
		"one has it":           {func(in *Input) { in.Observations[1].Stored = true }, "stage a0, stage a2 (staging)"},
		"a host is down":       {func(in *Input) { in.Observations[1].Problem = &Problem{Message: "no route"} }, "stage a0, stage a2 (staging unreachable)"},
		"a host was not asked": {func(in *Input) { in.Observations = in.Observations[1:] }, "stage a1, stage a2 (staging unreachable)"},
		"another machine":      {func(in *Input) { in.Observations[1].Machine = "m-x" }, "stage a0, stage a2 (staging) !reinstalled"},
		"another file":         {func(in *Input) { in.Observations[1].Installed.SHA256 = digestOf("c") }, "stage a0, stage a2 (staging) !drift"},
		"no room":              {func(in *Input) { in.Observations[1].StoreRoom = 1 }, "stage a0, stage a2 (staging) !no-room"},
		"depots, and nobody has it": {func(in *Input) {
			in.Plan.Clusters[0].Hosts[0].Depot = "10.0.0.1:1"
		}, "stage a0, stage a1 +1 (source staging)"},
		"depots, one copy to begin with": {func(in *Input) {
			in.Plan.Clusters[0].Hosts[0].Depot, in.Options.MinCopies = "10.0.0.1:1", 1
		}, "stage a0 +2 (source staging)"},
		"a depot has it": {func(in *Input) {
			in.Plan.Clusters[0].Hosts[0].Depot, in.Options.MinCopies, in.Observations[0].Stored = "10.0.0.1:1", 1, true
		}, "stage a1 from a0, stage a2 from a0 (staging)"},
		"two depots have it": {func(in *Input) {
			in.Plan.Clusters[0].Hosts[0].Depot, in.Plan.Clusters[0].Hosts[2].Depot = "10.0.0.1:1", "10.0.0.3:1"
			in.Observations[0].Stored, in.Observations[2].Stored, in.Running = true, true, []Action{{Kind: ActionStage, Host: "b0", From: "a0"}}
		}, "stage a1 from a2 (staging)"},
		"the depot failed": {func(in *Input) {
			in.Plan.Clusters[0].Hosts[0].Depot, in.Options.MinCopies, in.Observations[0].Stored = "10.0.0.1:1", 1, true
			a := stage("a1")
			a.From = "a0"
			in.Outcomes = []Outcome{{a, failed, fault.Rejected}}
		}, "stage a1, stage a2 (staging)"},
		"those who have it have no depot": {func(in *Input) {
			in.Plan.Clusters[0].Hosts[2].Depot, in.Observations[0].Stored, in.Observations[1].Stored = "10.0.0.1:1", true, true
		}, "stage a2 (staging)"},
		"it failed once":  {func(in *Input) { in.Outcomes = []Outcome{{stage("a0"), failed, fault.Failed}} }, "stage a1, stage a2, stage a0 (staging)"},
		"it failed often": {func(in *Input) { in.Outcomes = slices.Repeat([]Outcome{{stage("a0"), failed, fault.Failed}}, 3) }, "stage a1, stage a2 (staging) !no-connection"},
		"it is refused":   {func(in *Input) { in.Outcomes = []Outcome{{stage("a0"), failed, fault.Refused}} }, "stage a1, stage a2 (staging) !no-connection"},
		"busy, often":     {func(in *Input) { in.Outcomes = slices.Repeat([]Outcome{{stage("a0"), failed, fault.Busy}}, 9) }, "stage a0, stage a1, stage a2 (staging)"},
		"failed, and it is in": {func(in *Input) {
			in.Outcomes, in.Observations[0].Stored = slices.Repeat([]Outcome{{stage("a0"), failed, fault.Failed}}, 3), true
		}, "stage a1, stage a2 (staging)"},
		"a newer plan":  {func(in *Input) { in.Observations[2].Fence = new(fence(9, 1, "e", "bob")) }, "!generation =fenced"},
		"another plan":  {func(in *Input) { in.Observations[2].Fence = new(fence(1, 1, "d", "bob")) }, "!plan-differs =fenced"},
		"an older plan": {func(in *Input) { in.Plan.Generation = 3; in.Observations[2].Fence = new(fence(1, 1, "d", "bob")) }, "stage a0, stage a1, stage a2 (staging)"},
		"a later run":   {func(in *Input) { in.Observations[2].Fence = new(fence(1, 7, "e", "bob")) }, "stage a0, stage a1, stage a2 (staging)"},
		"all have it": {func(in *Input) {
			for i := range in.Observations {
				in.Observations[i].Stored = true
			}
		}, "="},
		"no such cluster":  {func(in *Input) { in.Clusters = []string{"z"} }, "!not-planned =usage"},
		"the time is over": {func(in *Input) { in.Deadline = true }, "!deadline =failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan, observations := testPlan(t, 3)
			in := testInput(plan, observations, GoalStage)
			test.change(&in)
			if got := said(Decide(in)); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}
