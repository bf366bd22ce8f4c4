package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// scene is a run in the middle of a rollout. Its methods change what the hosts show.
type scene struct {
	Input
	t testing.TB
}

func newScene(t testing.TB, goal Goal, replicas ...int) *scene {
	plan, observations := testPlan(t, replicas...)
	s := &scene{testInput(plan, observations, goal), t}
	for i := range observations {
		observations[i].Stored, observations[i].Checked = true, true
	}
	return s
}

func (s *scene) at(host string) *Observation {
	i := slices.IndexFunc(s.Observations, func(o Observation) bool { return o.Host == host })
	if i < 0 {
		s.t.Fatalf("no host %s", host)
	}
	return &s.Observations[i]
}

// run makes this another run of the plan, of an epoch.
func (s *scene) run(epoch uint64, id string) {
	for name := range s.Epochs {
		s.Epochs[name] = epoch
	}
	s.Holder.ID = id
}

// refuses has an action at a host end with a class.
func (s *scene) refuses(kind ActionKind, host string, class fault.Class) {
	cluster, target := s.Plan.Clusters[0].Name, s.at(host).Target
	s.Outcomes = append(s.Outcomes, Outcome{Action{Kind: kind, Cluster: cluster, Host: host, Target: target}, &Problem{Replica: -1, Reason: ProblemReason(kind), Message: "no"}, class})
}

// failsThrice has an action fail as often as it is tried.
func (s *scene) failsThrice(kind ActionKind, hosts ...string) {
	for _, host := range hosts {
		for range attemptsMax {
			s.refuses(kind, host, fault.Failed)
		}
	}
}

// ours makes this run the holder of hosts, or of all, at a look before this one.
func (s *scene) ours(hosts ...string) {
	for i := range s.Observations {
		o := &s.Observations[i]
		if len(hosts) == 0 || slices.Contains(hosts, o.Host) {
			o.Fence = &Fence{
				Generation: s.Plan.Generation, Epoch: s.Epochs[s.Plan.Clusters[0].Name], Plan: s.PlanID, Cluster: o.Replicas[0].Cluster, Holder: s.Holder, Proof: s.Secret.For(o.Host, o.Target).ID(), Phase: PhaseClaimed,
				Artifact: s.Plan.Artifact.SHA256, Previous: digestOf("b"),
			}
		}
	}
	if len(hosts) == 0 {
		s.Memory.Clusters = map[string]ClusterMemory{}
		for _, c := range s.Plan.Clusters {
			s.Memory.Clusters[c.Name] = ClusterMemory{Claimed: true}
		}
	}
}

// earlier makes another run of the plan, which has ended, the holder of all hosts.
func (s *scene) earlier() {
	s.ours()
	s.Memory.Clusters = nil
	for i := range s.Observations {
		s.Observations[i].Fence.Epoch = 1
	}
}

// swapped has the artifact at hosts, and armed also in memory.
func (s *scene) swapped(hosts ...string) {
	for _, host := range hosts {
		s.at(host).Installed.SHA256 = s.Plan.Artifact.SHA256
	}
}

func (s *scene) armed(hosts ...string) {
	s.swapped(hosts...)
	for _, host := range hosts {
		for i := range s.at(host).Replicas {
			s.at(host).Replicas[i].Armed, s.at(host).Replicas[i].ArmedRelease = &s.Plan.Artifact.Checksum, release("0.17.4")
		}
	}
}

// upgraded has hosts run the artifact's release.
func (s *scene) upgraded(hosts ...string) {
	s.armed(hosts...)
	for _, host := range hosts {
		for i := range s.at(host).Replicas {
			r := &s.at(host).Replicas[i]
			r.Running, r.Durable, r.ArmedRelease = s.Plan.Artifact.Release, s.Plan.Artifact.Release, s.Plan.Artifact.Release
		}
	}
}

func (s *scene) phase(phase Phase, hosts ...string) {
	for _, host := range hosts {
		s.at(host).Fence.Phase = phase
	}
}

// asked has the swap of a cluster's holdback asked for by this run.
func (s *scene) asked(cluster string) {
	s.Memory.Clusters[cluster] = ClusterMemory{Claimed: true, Promoted: true}
}

// replica is the first of a host.
func (s *scene) replica(host string) *Replica { return &s.at(host).Replicas[0] }

// dies takes the replicas of a host away.
func (s *scene) dies(host string) { s.at(host).Replicas = nil }

// gone makes a host one that cannot be looked at.
func (s *scene) gone(host string) { s.at(host).Problem = &Problem{Replica: -1, Message: "no route"} }

// after decides, and then again with the same sights so much later. It returns the second.
func (s *scene) after(later time.Duration) Decision {
	for d := time.Duration(0); d < later; d += 20 * time.Second {
		s.Memory = Decide(s.Input).Memory
		s.Elapsed += min(20*time.Second, later-d)
	}
	return Decide(s.Input)
}

// sceneCase is one row of the tables below. The view of testFleet is 3, so that replica 0 of three is the primary, 1 of two and
// 3 of five.
type sceneCase struct {
	change func(s *scene)
	want   string
}

func runScenes(t *testing.T, goal Goal, replicas int, later time.Duration, cases map[string]sceneCase) {
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, goal, replicas)
			test.change(s)
			if got := said(s.after(later)); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

func TestDecideClaims(t *testing.T) {
	t.Parallel()
	running := func(hosts ...string) []Action {
		var actions []Action
		for _, host := range hosts {
			actions = append(actions, Action{Kind: ActionClaim, Host: host, Target: "/opt/tb/tigerbeetle"})
		}
		return actions
	}
	runScenes(t, GoalArm, 3, 0, map[string]sceneCase{
		"the first alone":         {func(s *scene) {}, "claim a0 (claiming)"},
		"it is under way":         {func(s *scene) { s.Running = running("a0") }, "(claiming)"},
		"then all others":         {func(s *scene) { s.ours("a0") }, "claim a1, claim a2 (claiming)"},
		"one is left":             {func(s *scene) { s.ours("a0", "a2") }, "claim a1 (claiming)"},
		"the first is down":       {func(s *scene) { s.gone("a0") }, "(unreachable)"},
		"another is down":         {func(s *scene) { s.ours("a0"); s.gone("a1") }, "(unreachable)"},
		"all, seen for the first": {func(s *scene) { s.ours(); s.Memory.Clusters = nil }, "(claiming)"},
		"all, seen before":        {func(s *scene) { s.ours() }, "swap a0 armed (swapping)"},
		"one was lost since":      {func(s *scene) { s.ours(); s.at("a1").Fence.Epoch = 1 }, "claim a1 (claiming)"},
		"an earlier run, dead":    {func(s *scene) { s.ours(); s.at("a0").Fence.Epoch, s.at("a0").Fence.Holder.ID = 1, "bob" }, "claim a0 (claiming)"},
		"an earlier run, alive": {func(s *scene) {
			s.ours()
			s.at("a2").Fence.Epoch, s.at("a2").Fence.Holder.ID, s.at("a2").Alive = 1, "bob", true
		}, "!held =fenced"},
		"an earlier run, alive, taken": {func(s *scene) {
			s.ours()
			s.at("a2").Fence.Epoch, s.at("a2").Fence.Holder.ID, s.at("a2").Alive, s.Options.TakeOver = 1, "bob", true, true
		}, "claim a2 (claiming)"},
		"a later run":           {func(s *scene) { s.ours(); s.at("a2").Fence.Epoch = 3 }, "!epoch =fenced"},
		"another of this epoch": {func(s *scene) { s.ours(); s.at("a2").Fence.Holder.ID = "bob" }, "!epoch =fenced"},
		"another plan":          {func(s *scene) { s.ours(); s.at("a2").Fence.Plan = digestOf("d") }, "!plan-differs =fenced"},
		"a newer plan":          {func(s *scene) { s.ours(); s.at("a2").Fence.Generation++ }, "!generation =fenced"},
		"a host said so": {func(s *scene) {
			s.ours()
			s.Outcomes = []Outcome{{running("a1")[0], &Problem{Reason: "epoch", Message: "no"}, fault.Fenced}}
		}, "!epoch =fenced"},
		"not staged":               {func(s *scene) { s.at("a1").Stored = false }, "!not-staged =refused"},
		"not checked":              {func(s *scene) { s.at("a1").Checked = false }, "check a1 (checking)"},
		"the check refuses it":     {func(s *scene) { s.at("a1").Refusals = []Problem{{Reason: "noexec", Message: "no"}} }, "!noexec =refused"},
		"a run stages by itself":   {func(s *scene) { s.Run = true; s.at("a1").Stored = false }, "stage a1 (staging)"},
		"the plan's file, by hand": {func(s *scene) { s.swapped("a1") }, "!drift =refused"},
		"the plan's file, by hand, claimed": {func(s *scene) {
			s.ours()
			s.armed("a1")
			s.at("a1").Fence.Previous = s.Plan.Artifact.SHA256
		}, "!drift =refused"},
		"damaged":          {func(s *scene) { s.ours(); s.at("a1").Installed.Damaged = "a body is damaged" }, "!installed-damaged =refused"},
		"drift":            {func(s *scene) { s.ours(); s.at("a1").Installed.SHA256 = digestOf("c") }, "!drift =refused"},
		"no file":          {func(s *scene) { s.ours(); s.at("a1").Installed = nil }, "!drift =refused"},
		"another machine":  {func(s *scene) { s.ours(); s.at("a1").Machine = "m" }, "!reinstalled =refused"},
		"another replica":  {func(s *scene) { s.ours(); s.replica("a1").Index = 2 }, "!replica-moved =refused"},
		"another cluster":  {func(s *scene) { s.ours(); s.replica("a1").Cluster = "d" }, "!foreign-cluster =refused"},
		"another count":    {func(s *scene) { s.ours(); s.replica("a1").Count = 5 }, "!count-differs =refused"},
		"the time is over": {func(s *scene) { s.ours(); s.Deadline = true }, "!deadline =failed"},
	})
}

func TestDecideArm(t *testing.T) {
	t.Parallel()
	swap := Action{Kind: ActionSwap, Host: "a0", Target: "/opt/tb/tigerbeetle"}
	runScenes(t, GoalArm, 3, 0, map[string]sceneCase{
		"the first":                    {func(s *scene) { s.ours() }, "swap a0 armed (swapping)"},
		"it is under way":              {func(s *scene) { s.ours(); s.Running = []Action{swap} }, "(swapping)"},
		"swapped, and not armed":       {func(s *scene) { s.ours(); s.swapped("a0") }, "(not-armed)"},
		"armed with something else":    {func(s *scene) { s.ours(); s.armed("a0"); s.replica("a0").Armed = &multiversion.Checksum{1} }, "(not-armed)"},
		"swapped, and dead":            {func(s *scene) { s.ours(); s.swapped("a0"); s.dies("a0") }, "(not-serving)"},
		"the second":                   {func(s *scene) { s.ours(); s.armed("a0") }, "swap a1 armed (swapping)"},
		"all but the holdback":         {func(s *scene) { s.ours(); s.armed("a0", "a1") }, "="},
		"the un-armed one stays":       {func(s *scene) { s.ours(); s.armed("a0", "a2") }, "="},
		"also when it is the primary":  {func(s *scene) { s.ours(); s.armed("a1", "a2") }, "="},
		"the primary is no holdback":   {func(s *scene) { s.ours(); view(s, 5); s.armed("a0") }, "swap a2 armed (swapping)"},
		"the primary is no holdback 2": {func(s *scene) { s.ours(); view(s, 5) }, "swap a0 armed (swapping)"},
		"the holdback is dead":         {func(s *scene) { s.ours(); s.dies("a2"); s.armed("a0") }, "!would-promote =refused"},
		"the holdback is dead, first":  {func(s *scene) { s.ours(); s.dies("a2") }, "swap a0 armed (swapping)"},
		"the holdback starts":          {func(s *scene) { s.ours(); s.replica("a2").State = "starting"; s.armed("a0") }, "!would-promote =refused"},
		"the holdback cannot be seen":  {func(s *scene) { s.ours(); s.replica("a2").ArmedUnseen = "no rights"; s.armed("a0") }, "!would-promote =refused"},
		"the next is dead":             {func(s *scene) { s.ours(); s.dies("a0") }, "(not-serving)"},
		"somebody armed the holdback":  {func(s *scene) { s.ours(); s.armed("a2") }, "swap a0 armed (swapping)"},
		"somebody swapped the last":    {func(s *scene) { s.ours(); s.armed("a0", "a1"); s.swapped("a2") }, "!promotion-begun =refused"},
		"it upgrades":                  {func(s *scene) { s.ours(); s.armed("a0", "a1"); s.replica("a1").Running = release("0.17.4") }, "!promotion-begun =refused"},
		"all run it":                   {func(s *scene) { s.ours(); s.upgraded("a0", "a1", "a2") }, "="},
		"a host is gone":               {func(s *scene) { s.ours(); s.gone("a1") }, "(unreachable)"},
		"asked, and not seen": {func(s *scene) {
			s.ours()
			s.Memory.Asked = map[string]bool{"a2 /opt/tb/tigerbeetle": true}
		}, "swap a2 armed (swapping)"},
		"asked, and all else armed": {func(s *scene) {
			s.ours()
			s.armed("a0", "a1")
			s.Memory.Asked = map[string]bool{"a2 /opt/tb/tigerbeetle": true}
		}, "!would-promote =refused"},
		"it fails often": {func(s *scene) {
			s.ours()
			s.Outcomes = slices.Repeat([]Outcome{{swap, &Problem{Reason: "lost", Message: "no answer"}, fault.Failed}}, 3)
		}, "!lost =failed"},
		"it is not known": {func(s *scene) {
			s.ours()
			s.Outcomes = []Outcome{{swap, &Problem{Reason: "unknown", Message: "fsync"}, fault.Unknown}}
		}, "!unknown =unknown-state"},
		"it failed, and is seen": {func(s *scene) {
			s.ours()
			s.armed("a0")
			s.Outcomes = slices.Repeat([]Outcome{{swap, &Problem{Reason: "lost", Message: "no answer"}, fault.Failed}}, 3)
		}, "swap a1 armed (swapping)"},
	})
	// One replica has no arm step, and standbys are armed though they count for nothing.
	runScenes(t, GoalArm, 1, 0, map[string]sceneCase{"one replica": {func(s *scene) { s.ours() }, "="}})
	runScenes(t, GoalArm, 2, 0, map[string]sceneCase{
		"a standby": {func(s *scene) {
			s.ours()
			s.Plan.Clusters[0].Replicas, s.Plan.Clusters[0].Standbys, s.Plan.Clusters[0].Hosts[1].Replicas[0].Standby = 1, 1, true
			s.replica("a0").Count, s.replica("a1").Count, s.replica("a1").Standby, s.replica("a1").Answers = 1, 1, true, false
		}, "swap a1 armed (swapping)"},
		"of two the primary": {func(s *scene) { s.ours() }, "swap a1 armed (swapping)"},
	})
	// Two are held back where the rule of before 0.16.16 holds.
	runScenes(t, GoalArm, 3, 0, map[string]sceneCase{
		"before 0.16.16": {func(s *scene) {
			s.ours()
			s.Plan.Clusters[0].Running = release("0.16.15")
			s.Plan.Clusters[0].Holdback = 2
			old(s)
		}, "swap a0 armed (swapping)"},
		"before 0.16.16, all done": {func(s *scene) {
			s.ours()
			s.Plan.Clusters[0].Running = release("0.16.15")
			s.Plan.Clusters[0].Holdback = 2
			old(s)
			s.armed("a0")
		}, "="},
		"two on a host": {func(s *scene) {
			s.ours()
			both(s)
		}, "swap a0 armed (swapping)"},
	})
}

func view(s *scene, view uint32) {
	for i := range s.Observations {
		s.Observations[i].Replicas[0].View = view
	}
}

// old has all run 0.16.15.
func old(s *scene) {
	for i := range s.Observations {
		r := &s.Observations[i].Replicas[0]
		r.Running, r.Durable, r.ArmedRelease = release("0.16.15"), release("0.16.15"), release("0.16.15")
	}
}

// both moves replica 2 to the host of replica 1.
func both(s *scene) {
	c := &s.Plan.Clusters[0]
	c.Hosts[1].Replicas = append(c.Hosts[1].Replicas, c.Hosts[2].Replicas...)
	c.Hosts = c.Hosts[:2]
	s.at("a1").Replicas = append(s.at("a1").Replicas, s.at("a2").Replicas...)
}

// TestDecidePromote has all but the holdback armed, and a minute in which one thing is amiss, or none.
func TestDecidePromote(t *testing.T) {
	t.Parallel()
	ready := func(change func(s *scene)) func(s *scene) {
		return func(s *scene) {
			s.ours()
			s.armed("a0", "a1")
			change(s)
		}
	}
	cases := map[string]sceneCase{
		"stable":               {ready(func(s *scene) {}), "swap a2 armed promotes (upgrading)"},
		"claims lost":          {ready(func(s *scene) { s.at("a1").Fence.Epoch = 1 }), "claim a1 (claiming)"},
		"a host is gone":       {ready(func(s *scene) { s.gone("a1") }), "!unreachable =failed"},
		"the holdback is gone": {ready(func(s *scene) { s.gone("a2") }), "!unreachable =failed"},
		"a replica is dead":    {ready(func(s *scene) { s.dies("a1") }), "(not-serving)"},
		"the holdback is dead": {ready(func(s *scene) { s.dies("a2") }), "(not-stable)"},
		"one is stopped":       {ready(func(s *scene) { s.replica("a0").State = "stopped" }), "(not-stable)"},
		"one does not answer":  {ready(func(s *scene) { s.replica("a0").Answers = false }), "(not-stable)"},
		"two views":            {ready(func(s *scene) { s.replica("a0").View++ }), "(not-stable)"},
		"too few peers":        {ready(func(s *scene) { s.replica("a0").Peers = 1 }), "(not-stable)"},
		"peers not seen":       {ready(func(s *scene) { s.replica("a0").Peers = -1 }), "(not-stable)"},
		"peers not seen, accepted": {ready(func(s *scene) {
			s.replica("a0").Peers, s.replica("a0").PeersUnseen, s.Options.AcceptUnseen = -1, "a namespace", true
		}), "swap a2 armed promotes (upgrading)"},
		"accepted, and not known":                   {ready(func(s *scene) { s.replica("a0").Peers, s.Options.AcceptUnseen = -1, true }), "(not-stable)"},
		"a checkpoint behind":                       {ready(func(s *scene) { s.replica("a0").Checkpoint += 960 }), "swap a2 armed promotes (upgrading)"},
		"more than one behind":                      {ready(func(s *scene) { s.replica("a0").Checkpoint += 961 }), "(not-stable)"},
		"not seen what it holds":                    {ready(func(s *scene) { s.replica("a2").ArmedUnseen = "no rights" }), "(not-stable)"},
		"somebody works there":                      {ready(func(s *scene) { s.at("a2").Busy = "process 7" }), "(not-stable)"},
		"the holdback not staged":                   {ready(func(s *scene) { s.at("a2").Stored = false }), "!not-staged =refused"},
		"one is not armed":                          {func(s *scene) { s.ours(); s.armed("a0") }, "!not-armed =refused"},
		"one is not armed, of a run":                {func(s *scene) { s.ours(); s.armed("a0"); s.Run = true }, "swap a1 armed (swapping)"},
		"the holdback swapped":                      {ready(func(s *scene) { s.swapped("a2") }), "(upgrading)"},
		"it upgrades":                               {ready(func(s *scene) { s.armed("a2"); s.replica("a0").Running = release("0.17.4") }), "(upgrading)"},
		"two run it":                                {ready(func(s *scene) { s.upgraded("a0", "a1"); s.swapped("a2") }), "(upgrading)"},
		"it upgrades, and one has not got the file": {ready(func(s *scene) { s.upgraded("a0", "a1") }), "swap a2 armed promotes (upgrading)"},
		"it upgrades, and a host is gone":           {ready(func(s *scene) { s.upgraded("a0", "a1", "a2"); s.gone("a2") }), "phase a0 done, phase a1 done (unreachable)"},
		"all run it":                                {ready(func(s *scene) { s.upgraded("a0", "a1", "a2") }), "phase a0 done, phase a1 done, phase a2 done"},
		"one starts again, with the newest of its file for a moment": {ready(func(s *scene) {
			r := s.replica("a0")
			r.State, r.Running = "starting", s.Plan.Artifact.Release
		}), "(not-stable)"},
		"data is not there yet":  {ready(func(s *scene) { s.upgraded("a0", "a1", "a2"); s.replica("a1").Durable = release("0.17.4") }), "(upgrading)"},
		"all run it, given back": {ready(func(s *scene) { s.upgraded("a0", "a1", "a2"); s.phase(PhaseDone, "a0", "a1", "a2") }), "="},
		"all run it, and one refuses to be given back": {ready(func(s *scene) {
			s.upgraded("a0", "a1", "a2")
			s.at("a1").Fence.Epoch = 1
			s.refuses(ActionClaim, "a1", fault.Refused)
			s.refuses(ActionPhase, "a2", fault.Refused)
		}), "phase a0 done !claim phase"},
		"all run it, of another": {ready(func(s *scene) { s.upgraded("a0", "a1", "a2"); s.at("a1").Fence.Epoch = 1 }), "phase a0 done, claim a1, phase a2 done (claiming)"},
		"all run it, never ours": {func(s *scene) { s.upgraded("a0", "a1", "a2") }, "="},
		"the time is over":       {ready(func(s *scene) { s.Deadline = true }), "!deadline =failed"},
	}
	runScenes(t, GoalPromote, 3, time.Minute, cases)

	alone := map[string]sceneCase{"one replica": {func(s *scene) { s.ours() }, "swap a0 armed promotes (upgrading)"}}
	runScenes(t, GoalPromote, 1, time.Minute, alone)
	runScenes(t, GoalProve, 3, time.Minute, map[string]sceneCase{"proved": {ready(func(s *scene) {}), "="}})
	runScenes(t, GoalPromote, 3, 59*time.Second, map[string]sceneCase{"a second too early": {ready(func(s *scene) {}), "(not-stable)"}})
}

func TestDecideCheck(t *testing.T) {
	t.Parallel()
	runScenes(t, GoalCheck, 3, 0, map[string]sceneCase{
		"all have":    {func(s *scene) {}, "="},
		"one has not": {func(s *scene) { s.at("a1").Checked = false }, "check a1 (checking)"},
		"it is under way": {func(s *scene) {
			s.at("a1").Checked = false
			s.Running = []Action{{Kind: ActionCheck, Host: "a1", Target: "/opt/tb/tigerbeetle"}}
		}, "(checking)"},
		"one has nothing":      {func(s *scene) { s.at("a1").Stored = false; s.at("a2").Checked = false }, "check a2 (checking) !not-staged"},
		"one refuses it":       {func(s *scene) { s.at("a1").Refusals = []Problem{{Reason: "platform", Message: "no"}} }, "!platform =refused"},
		"also what is swapped": {func(s *scene) { s.earlier(); s.swapped("a1"); s.at("a1").Checked = false }, "check a1 (checking)"},
		"a later run has it":   {func(s *scene) { s.ours(); s.at("a1").Fence.Epoch = 9 }, "="},
		"a newer plan has it":  {func(s *scene) { s.ours(); s.at("a1").Fence.Generation = 9 }, "!generation =fenced"},
	})
	runScenes(t, GoalProve, 3, 0, map[string]sceneCase{
		"not armed":       {func(s *scene) { s.ours() }, "!not-armed =refused"},
		"armed":           {func(s *scene) { s.ours(); s.armed("a0", "a1") }, "(not-stable)"},
		"armed by others": {func(s *scene) { s.earlier(); s.armed("a0", "a1") }, "claim a0 (claiming)"},
		"it upgrades":     {func(s *scene) { s.ours(); s.armed("a0", "a1", "a2") }, "!promotion-begun =refused"},
	})
}

// TestDecideBreaks holds that the period begins again when anything breaks it, and that what is shown says why.
func TestDecideBreaks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(s *scene)
		want   ProblemReason
	}{
		"started again":       {func(s *scene) { s.replica("a1").PID++ }, ProblemStarted},
		"another of its PID":  {func(s *scene) { s.replica("a1").Started = s.replica("a1").Started.Add(time.Second) }, ProblemStarted},
		"another view":        {func(s *scene) { view(s, 6) }, ProblemView},
		"too long not looked": {func(s *scene) { s.Elapsed += LookGapMax }, ProblemLook},
	} {
		s := newScene(t, GoalPromote, 3)
		s.ours()
		s.armed("a0", "a1")
		s.Memory = s.after(50 * time.Second).Memory
		s.Elapsed += 5 * time.Second
		test.change(s)
		d := Decide(s.Input)
		if len(d.Clusters[0].Misses) != 1 || d.Clusters[0].Misses[0].Reason != test.want || d.Clusters[0].Stable != 0 {
			t.Errorf("%s: %+v", name, d.Clusters[0])
		}
		s.Memory = d.Memory
		s.Elapsed += 5 * time.Second
		over := *s // what broke it is told then, though it is stable again
		over.Memory = over.after(time.Second).Memory
		over.Deadline = true
		if told := Decide(over.Input); len(told.Clusters[0].Misses) != 1 || told.Clusters[0].Misses[0] != d.Clusters[0].Misses[0] {
			t.Errorf("%s: the time is over: %+v", name, told.Clusters[0].Misses)
		}
		if d := s.after(54 * time.Second); len(d.Actions) > 0 || d.Clusters[0].Stable != 59*time.Second-5*time.Second+0 && d.Clusters[0].Stable != 59*time.Second {
			t.Errorf("%s: promoted after %v, %v", name, d.Clusters[0].Stable, said(d))
		}
		s.Elapsed += 6 * time.Second
		if d := Decide(s.Input); said(d) != "swap a2 armed promotes (upgrading)" {
			t.Errorf("%s: %s", name, said(d))
		}
	}
}

func TestDecideAbort(t *testing.T) {
	t.Parallel()
	begun := func(change func(s *scene)) func(s *scene) {
		return func(s *scene) {
			s.ours()
			s.armed("a0", "a1")
			s.phase(PhaseAborting, "a0", "a1", "a2")
			change(s)
		}
	}
	restored := func(s *scene, hosts ...string) {
		for _, host := range hosts {
			s.at(host).Installed.SHA256 = digestOf("b")
			s.replica(host).Armed, s.replica(host).ArmedRelease = &multiversion.Checksum{0xbb}, release("0.17.2")
		}
	}
	runScenes(t, GoalAbort, 3, 10*time.Second, map[string]sceneCase{
		"nothing was done": {func(s *scene) {}, "="},
		"given back, and one is armed": {begun(func(s *scene) {
			restored(s, "a0")
			s.at("a1").Installed.SHA256 = digestOf("b")
			s.phase(PhaseStopped, "a0", "a1", "a2")
			s.run(3, s.Holder.ID)
		}), "claim a0 (claiming)"},
		"the plan's file, by hand":               {func(s *scene) { s.swapped("a0") }, "!drift =refused"},
		"claims first":                           {func(s *scene) { s.earlier(); s.armed("a0") }, "claim a0 (claiming)"},
		"claims, and nothing armed":              {func(s *scene) { s.ours() }, "phase a0 aborting, phase a1 aborting, phase a2 aborting (restoring)"},
		"it is noted first":                      {begun(func(s *scene) { s.phase(PhaseArmed, "a0", "a1") }), "phase a0 aborting, phase a1 aborting (restoring)"},
		"not the primary first":                  {begun(func(s *scene) {}), "swap a1 aborting (restoring)"},
		"another primary":                        {begun(func(s *scene) { view(s, 4) }), "swap a0 aborting (restoring)"},
		"then it is started again":               {begun(func(s *scene) { s.at("a1").Installed.SHA256 = digestOf("b") }), "restart a1 (restoring)"},
		"then the next":                          {begun(func(s *scene) { restored(s, "a1") }), "swap a0 aborting (restoring)"},
		"then all is given back":                 {begun(func(s *scene) { restored(s, "a0", "a1") }), "phase a0 aborted, phase a1 aborted, phase a2 aborted (restoring)"},
		"one was given back":                     {begun(func(s *scene) { restored(s, "a0", "a1"); s.phase(PhaseAborted, "a0") }), "phase a1 aborted, phase a2 aborted (restoring)"},
		"all given back":                         {begun(func(s *scene) { restored(s, "a0", "a1"); s.phase(PhaseAborted, "a0", "a1", "a2") }), "="},
		"one does not answer":                    {begun(func(s *scene) { restored(s, "a1"); s.replica("a1").Answers = false }), "(not-stable)"},
		"one is starting":                        {begun(func(s *scene) { restored(s, "a1"); s.replica("a1").State = "starting" }), "(not-stable)"},
		"two views":                              {begun(func(s *scene) { restored(s, "a1"); s.replica("a1").View++ }), "(not-stable)"},
		"one is down, with its file back":        {begun(func(s *scene) { restored(s, "a1"); s.dies("a1") }), "(restoring)"},
		"one is down, with the new file":         {begun(func(s *scene) { s.dies("a0") }), "swap a0 aborting (restoring)"},
		"what it holds cannot be seen":           {begun(func(s *scene) { restored(s, "a0", "a1"); s.replica("a1").ArmedUnseen = "no rights" }), "restart a1 (restoring)"},
		"the holdback was swapped":               {begun(func(s *scene) { s.swapped("a2") }), "!promotion-begun =refused"},
		"one runs the new release":               {begun(func(s *scene) { s.replica("a1").Running = release("0.17.4") }), "!promotion-begun =refused"},
		"one's data is of the new release":       {begun(func(s *scene) { s.replica("a1").Durable = release("0.17.4") }), "!promotion-begun =refused"},
		"all run it":                             {begun(func(s *scene) { s.upgraded("a0", "a1", "a2") }), "!promotion-begun =refused"},
		"a host is gone":                         {begun(func(s *scene) { s.gone("a2") }), "(unreachable)"},
		"drift":                                  {begun(func(s *scene) { s.at("a0").Installed.SHA256 = digestOf("c") }), "!drift =refused"},
		"an earlier run, alive":                  {begun(func(s *scene) { s.at("a0").Fence.Epoch, s.at("a0").Alive = 1, true }), "!held =fenced"},
		"held by nobody, armed by a stopped one": {begun(func(s *scene) { s.phase(PhaseStopped, "a0", "a1", "a2"); s.run(3, s.Holder.ID) }), "claim a0 (claiming)"},
	})
	// One that does not come back stops it.
	s := newScene(t, GoalAbort, 3)
	begun(func(s *scene) { restored(s, "a1"); s.dies("a1") })(s)
	if d := s.after(3 * time.Minute); said(d) != "!not-back =failed" {
		t.Error(said(d))
	}
	// Calm is counted from the last start.
	s = newScene(t, GoalAbort, 3)
	begun(func(s *scene) { restored(s, "a1") })(s)
	s.Memory = s.after(4 * time.Second).Memory
	s.replica("a1").PID++
	s.Elapsed += time.Second
	if d := Decide(s.Input); said(d) != "(not-stable)" {
		t.Error(said(d))
	}
}

func TestDecideStop(t *testing.T) {
	t.Parallel()
	runScenes(t, GoalStop, 3, 0, map[string]sceneCase{
		"all at once":        {func(s *scene) {}, "claim a0, claim a1, claim a2 (claiming)"},
		"of a run, alive":    {func(s *scene) { s.ours(); s.run(3, "bob"); s.at("a0").Alive = true }, "claim a0, claim a1, claim a2 (claiming)"},
		"claimed":            {func(s *scene) { s.ours() }, "phase a0 stopped, phase a1 stopped, phase a2 stopped"},
		"one is stopped":     {func(s *scene) { s.ours(); s.phase(PhaseStopped, "a1") }, "phase a0 stopped, phase a2 stopped"},
		"all are stopped":    {func(s *scene) { s.ours(); s.phase(PhaseStopped, "a0", "a1", "a2") }, "="},
		"it was done before": {func(s *scene) { s.ours(); s.phase(PhaseDone, "a0", "a1", "a2"); s.run(9, s.Holder.ID) }, "="},
		"a host is gone":     {func(s *scene) { s.ours(); s.gone("a1") }, "phase a0 stopped, phase a2 stopped (unreachable)"},
		"drift is no matter": {func(s *scene) { s.ours(); s.at("a1").Installed = nil }, "phase a0 stopped, phase a1 stopped, phase a2 stopped"},
		"a newer plan":       {func(s *scene) { s.ours(); s.at("a1").Fence.Generation++ }, "!generation =fenced"},
		"a host refuses the claim, and is asked no more": {func(s *scene) { s.refuses(ActionClaim, "a1", fault.Refused) }, "claim a0, claim a2 (claiming) !claim"},
		"… when the others have given theirs back": {func(s *scene) {
			s.ours("a0", "a2")
			s.phase(PhaseStopped, "a0", "a2")
			s.refuses(ActionClaim, "a1", fault.Refused)
		}, "!claim =refused"},
		"… or fails three times": {func(s *scene) { s.failsThrice(ActionClaim, "a0", "a1", "a2") }, "!claim =failed"},
		"… and has been given back since": {func(s *scene) {
			s.ours()
			s.phase(PhaseStopped, "a0", "a1", "a2")
			s.refuses(ActionClaim, "a1", fault.Refused)
		}, "="},
		"a host refuses to give it back": {func(s *scene) {
			s.ours()
			s.phase(PhaseStopped, "a0", "a2")
			s.refuses(ActionPhase, "a1", fault.Refused)
		}, "!phase =refused"},
	})
	s := newScene(t, GoalStop, 3)
	for _, a := range Decide(s.Input).Actions {
		if !a.TakeOver || a.Fence.Check() != nil {
			t.Errorf("%+v: %v", a, a.Fence.Check())
		}
	}
}

// TestDecideWaves has two clusters in two waves.
func TestDecideWaves(t *testing.T) {
	t.Parallel()
	done := func(s *scene) {
		s.ours("a0")
		s.upgraded("a0")
		s.phase(PhaseDone, "a0")
	}
	for name, test := range map[string]struct {
		change func(s *scene)
		later  time.Duration
		want   string
	}{
		"the first wave":                {func(s *scene) {}, 0, "claim a0 (claiming wave)"},
		"all are staged first":          {func(s *scene) { s.at("b0").Stored = false }, 0, "stage b0 (staging)"},
		"the second wave":               {done, 0, "claim b0 (claiming)"},
		"the second waits for the soak": {func(s *scene) { done(s); s.Plan.Clusters[0].Soak = time.Minute }, 59 * time.Second, "(soak)"},
		"the second after the soak":     {func(s *scene) { done(s); s.Plan.Clusters[0].Soak = time.Minute }, time.Minute, "claim b0 (claiming)"},
		"it soaked before this run": {func(s *scene) {
			done(s)
			s.at("a0").InstalledFor = 50 * time.Second
			s.Plan.Clusters[0].Soak = time.Minute
		}, 10 * time.Second, "claim b0 (claiming)"},
		"and not for long enough": {func(s *scene) {
			done(s)
			s.at("a0").InstalledFor = 50 * time.Second
			s.Plan.Clusters[0].Soak = time.Minute
		}, 9 * time.Second, "(soak)"},
		"a cluster is blocked":              {func(s *scene) { s.at("b0").Machine = "x" }, 0, "!max-failed reinstalled =refused"},
		"a cluster may be":                  {func(s *scene) { s.at("b0").Machine = "x"; s.Options.MaxFailed = 1 }, 0, "claim a0 (claiming) !reinstalled"},
		"the first is blocked, and may be":  {func(s *scene) { s.at("a0").Machine = "x"; s.Options.MaxFailed = 1 }, 0, "claim b0 (claiming) !reinstalled"},
		"one that upgrades is gone on with": {func(s *scene) { s.at("b0").Machine = "x"; s.ours("a0"); s.swapped("a0") }, 0, "(upgrading) !reinstalled"},
		"begun, and another's host is gone": {func(s *scene) { s.ours(); s.gone("b0") }, 0, "(not-stable unreachable)"},
		"the first alone is meant":          {func(s *scene) { s.Clusters = []string{"a"}; s.at("b0").Machine = "x" }, 0, "claim a0 (claiming)"},
	} {
		s := newScene(t, GoalPromote, 1, 1)
		s.Run = true
		test.change(s)
		if got := said(s.after(test.later)); got != test.want {
			t.Errorf("%s: %s\nwant %s", name, got, test.want)
		}
	}
}

// TestDecideAsked has a swap asked for whose answer is lost, and then the view change so that its host would be held back. The
// request may still arrive, so that no other host is armed in its place.
func TestDecideAsked(t *testing.T) {
	t.Parallel()
	s := newScene(t, GoalArm, 3)
	s.ours()
	view(s, 5)
	s.armed("a0")
	d := Decide(s.Input)
	if said(d) != "swap a2 armed (swapping)" {
		t.Fatal(said(d))
	}
	s.Memory, s.Outcomes = d.Memory, []Outcome{{d.Actions[0], &Problem{Reason: "lost", Message: "no answer"}, fault.Failed}}
	view(s, 6)
	s.Elapsed += againFirst
	if d := Decide(s.Input); said(d) != "swap a2 armed (swapping)" {
		t.Error(said(d))
	}
}

// TestDecideShows holds what a run shows that may change nothing any more.
func TestDecideShows(t *testing.T) {
	t.Parallel()
	for want, change := range map[Step]func(s *scene){
		StepStaging:   func(s *scene) { s.at("a1").Stored, s.at("a1").Checked = false, false },
		StepChecking:  func(s *scene) { s.at("a1").Checked = false },
		StepStaged:    func(s *scene) { s.ours() },
		StepArming:    func(s *scene) { s.ours(); s.armed("a0") },
		StepArmed:     func(s *scene) { s.ours(); s.armed("a0", "a1") },
		StepPromoting: func(s *scene) { s.ours(); s.armed("a0", "a1", "a2") },
		StepDone:      func(s *scene) { s.ours(); s.upgraded("a0", "a1", "a2") },
		StepAborting:  func(s *scene) { s.ours(); s.armed("a0"); s.phase(PhaseAborting, "a0", "a1", "a2") },
		StepAborted:   func(s *scene) { s.ours(); s.phase(PhaseAborted, "a0", "a1", "a2") },
		StepStopped:   func(s *scene) { s.ours(); s.phase(PhaseStopped, "a0", "a1", "a2") },
	} {
		s := newScene(t, GoalPromote, 3)
		change(s)
		s.Memory.Fenced = &Problem{Reason: ProblemEpoch, Message: "another run has it"}
		if d := Decide(s.Input); d.Clusters[0].Step != want || len(d.Actions) > 0 || !d.Done || d.Class != fault.Fenced {
			t.Errorf("%s: %s, %s", want, d.Clusters[0].Step, said(d))
		}
	}
}

// TestDecideIsPure holds that Decide changes nothing of what it is given, and says the same again.
func TestDecideIsPure(t *testing.T) {
	t.Parallel()
	s := newScene(t, GoalPromote, 3)
	s.ours()
	s.armed("a0")
	before := dump(s.Input)
	first := Decide(s.Input)
	if after := dump(s.Input); after != before {
		t.Errorf("%s\nand then\n%s", before, after)
	}
	if again := Decide(s.Input); dump(again) != dump(first) {
		t.Errorf("%s\nand then\n%s", dump(first), dump(again))
	}
	if !strings.Contains(before, "a1") {
		t.Error("nothing is compared")
	}
}

func dump(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestDecideWithout has the first wave run the release, and one of its hosts not be seen: the next wave goes on after the soak, which
// counts from the host that got the file last, and the run does not end well.
func TestDecideWithout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		of0, of1 time.Duration // for how long the file has been there
		want     string
	}{
		"a long time":         {time.Hour, 2 * time.Hour, "claim b0 (claiming) !unreachable"},
		"not for long enough": {30 * time.Second, 2 * time.Hour, "(soak) !unreachable"},
		"not known":           {0, 2 * time.Hour, "(soak) !unreachable"},
	} {
		s := newScene(t, GoalPromote, 3, 1)
		s.Run, s.Plan.Clusters[0].Soak = true, 10*time.Minute
		s.ours("a0", "a1", "a2")
		s.upgraded("a0", "a1", "a2")
		s.phase(PhaseDone, "a0", "a1")
		s.at("a0").InstalledFor, s.at("a1").InstalledFor = test.of0, test.of1
		s.gone("a2")
		if got := said(s.after(2 * time.Minute)); got != test.want {
			t.Errorf("%s: %s\nwant %s", name, got, test.want)
		}
	}
	s := newScene(t, GoalPromote, 3, 1)
	s.Run = true
	s.ours("a0", "a1", "a2", "b0")
	s.upgraded("a0", "a1", "a2", "b0")
	s.phase(PhaseDone, "a0", "a1", "b0")
	s.gone("a2")
	d := s.after(2 * time.Minute)
	if said(d) != "!unreachable =failed" || len(d.Blocked) != 1 || d.Blocked[0].Host != "a2" || !strings.Contains(d.Blocked[0].Message, "2 of 3 replicas") {
		t.Errorf("%s: %+v", said(d), d.Blocked)
	}
}

// TestDecideBusy has another process work on a target: who and since when is said from the first look at it, and while the host tries.
func TestDecideBusy(t *testing.T) {
	t.Parallel()
	const other = "process 7 on a0 since 2026-01-02T03:04:05Z: tbctl install"
	s := newScene(t, GoalArm, 3)
	s.ours()
	s.at("a0").Busy = other
	waits := func(d Decision, want, text string) {
		t.Helper()
		if said(d) != want || len(d.Waits) != 1 || !strings.Contains(d.Waits[0].Message, text) {
			t.Errorf("%s: %+v, want %s: %s", said(d), d.Waits, want, text)
		}
	}
	d := Decide(s.Input)
	waits(d, "swap a0 armed (busy)", "another process works on /opt/tb/tigerbeetle: "+other)
	action := d.Actions[0]
	s.Memory, s.Running = d.Memory, d.Actions
	d = Decide(s.Input)
	waits(d, "(busy)", other)

	s.at("a0").Busy = "process 8 on a0 since 2026-01-02T03:04:35Z: tbctl host" // the request has the lock
	d = Decide(s.Input)
	waits(d, "(swapping)", "a file is being put in place")

	s.at("a0").Busy = ""
	s.Memory, s.Running, s.Outcomes = d.Memory, nil, []Outcome{{action, &Problem{Message: "in use by another process"}, fault.Busy}}
	d = Decide(s.Input)
	waits(d, "(busy)", "it is tried again: in use by another process")
	s.Memory, s.Outcomes = d.Memory, nil
	s.Elapsed += againFirst
	d = Decide(s.Input)
	waits(d, "swap a0 armed (busy)", "it is tried again: in use by another process")
	s.Memory, s.Outcomes = d.Memory, []Outcome{{action, &Problem{Message: "no answer"}, fault.Failed}}
	s.Elapsed += 2 * againFirst
	waits(Decide(s.Input), "swap a0 armed (swapping)", "the new file is being put in place")
}
