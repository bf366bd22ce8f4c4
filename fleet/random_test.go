package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

// TestDraftRandom breaks random things of random fleets. There is a plan if and only if nothing hinders it, it can be written and
// read, what it promises of each cluster holds, and the same input gives the same bytes.
func TestDraftRandom(t *testing.T) {
	t.Parallel()
	plans := 0
	for number := range uint64(500) {
		rng := rand.New(rand.NewPCG(number, 1))
		var inventory Inventory
		var observations []Observation
		for i := range 1 + rng.IntN(4) {
			one, seen := testFleet(fmt.Sprintf("c%d-", i), 1+rng.IntN(6), []string{"0.17.2", "0.17.4", "0.17.8"}[rng.IntN(3)])
			one.Clusters[0].Wave = 1 + rng.IntN(3)
			inventory.Clusters = append(inventory.Clusters, one.Clusters...)
			observations = append(observations, seen...)
		}
		for range rng.IntN(3) {
			breakOne(rng, &observations[rng.IntN(len(observations))])
		}
		plan, problems := Draft(inventory, observations, testArtifact(), testOptions())
		if hindered := slices.ContainsFunc(problems, func(p Problem) bool { return !p.Note }); hindered != (plan == nil) {
			t.Fatalf("%d: a plan %v with %+v", number, plan, problems)
		}
		again, _ := Draft(inventory, observations, testArtifact(), testOptions())
		if dump(again) != dump(plan) {
			t.Fatalf("%d: another plan", number)
		}
		if plan == nil {
			continue
		}
		plans++
		text, err := plan.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, _, err := ParsePlan(text)
		if err != nil || dump(read) != dump(plan) {
			t.Fatalf("%d: %v\n%s", number, err, text)
		}
		for _, c := range plan.Clusters {
			if c.Running == plan.Artifact.Release || c.Hops[len(c.Hops)-1] != plan.Artifact.Release || c.Holdback != 1 {
				t.Errorf("%d: %+v", number, c)
			}
		}
	}
	if plans < 50 {
		t.Errorf("%d plans of 500: too few to tell anything", plans)
	}
}

func breakOne(rng *rand.Rand, o *Observation) {
	for _, one := range []func(){
		func() { o.Problem = &Problem{Reason: "no-connection", Message: "no route"} },
		func() { o.Blind = []string{"no rights"} },
		func() { o.Replicas = nil },
		func() { o.Installed = nil },
		func() { o.Machine = "a b" },
		func() { o.Room = 1 },
		func() { o.Fence = new(fence(uint64(1+rng.IntN(9)), 1, "d", "bob")) },
		func() { o.Fence = new(fence(uint64(1+rng.IntN(9)), 1, "d", "bob").in(PhaseDone)) },
		func() { o.Busy = "process 1" },
		func() { o.Platform = multiversion.PlatformAArch64Linux },
		func() { o.Target = "relative" },
		func() { o.Stored = true },
	}[rng.IntN(12):][:1] {
		one()
	}
	for i := range o.Replicas {
		r := &o.Replicas[i]
		switch rng.IntN(12) {
		case 0:
			r.Index = rng.IntN(14) - 1
		case 1:
			r.Count = rng.IntN(9)
		case 2:
			r.Running = release("0.17.3")
		case 3:
			r.State = "starting"
		}
	}
}

// BenchmarkDecide is a round over a hundred clusters of six hosts: while the artifact comes to them, and while all are armed and
// are to be stable.
func BenchmarkDecide(b *testing.B) {
	const clusters, hosts = 100, 6
	for name, change := range map[string]func(s *scene){
		"stage": func(s *scene) {
			for i := range s.Observations {
				s.Observations[i].Stored = false
			}
		},
		"prove": func(s *scene) {
			s.ours()
			for _, c := range s.Plan.Clusters {
				for _, h := range c.Hosts[:hosts-1] {
					s.armed(h.Name)
				}
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			plan, observations := testPlanNamed(b, clusters, hosts)
			s := &scene{testInput(plan, observations, GoalPromote), b}
			s.Run = name == "stage"
			for i := range observations {
				observations[i].Stored, observations[i].Checked = true, true
			}
			change(s)
			s.Memory = Decide(s.Input).Memory
			s.Elapsed = time.Second
			b.ReportAllocs()
			for b.Loop() {
				if d := Decide(s.Input); len(d.Clusters) != clusters {
					b.Fatal(d)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/round")
		})
	}
}

func testPlanNamed(b *testing.B, clusters, hosts int) (*Plan, []Observation) {
	b.Helper()
	var inventory Inventory
	var observations []Observation
	for i := range clusters {
		one, seen := testFleet(fmt.Sprintf("c%d-", i), hosts, "0.17.2")
		view := uint32(6)
		for j := range seen {
			seen[j].Replicas[0].View = view
		}
		inventory.Clusters = append(inventory.Clusters, one.Clusters...)
		observations = append(observations, seen...)
	}
	plan, problems := Draft(inventory, observations, testArtifact(), testOptions())
	if plan == nil {
		b.Fatal(problems)
	}
	return plan, observations
}
