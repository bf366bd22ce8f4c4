package fleet

import (
	"flag"
	"strings"
	"testing"
)

var (
	schedules = flag.Int("schedules", 200, "how many schedules the simulation runs")
	seed      = flag.Uint64("seed", 1, "of the first schedule")
)

// TestSimulation runs Decide in clusters that follow upstream's rules, under schedules of everything that operators
// fear, and holds the invariants of a rollout at each step. Each schedule has a number, and
//
//	go test ./fleet -run TestSimulation -schedules 10000 -seed 1 -v
//
// prints the figures of as many as one likes.
func TestSimulation(t *testing.T) {
	t.Parallel()
	var stats simStats
	for number := *seed; number < *seed+uint64(*schedules); number++ {
		w := simulate(number, &stats, Decide)
		if len(w.failures) > 0 {
			if len(w.trace) > 400 {
				w.trace = w.trace[len(w.trace)-400:]
			}
			t.Fatalf("%s\n-schedules 1 -seed %d: %s", strings.Join(w.trace, "\n"), number, strings.Join(w.failures, "\n"))
		}
	}
	t.Logf("from seed %d: %+v", *seed, stats)
}

// TestStory is what a run does with one cluster of three, and what an abort does, when nothing goes wrong.
func TestStory(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	for _, goal := range []Goal{GoalPromote, GoalArm, GoalAbort, GoalStop} {
		w := newSim(3, &simStats{})
		w.chaos, w.mv, w.restless, w.torn, w.clusters, w.hosts, w.plan.Clusters, w.trace = false, false, false, false, nil, map[string]*simHost{}, nil, nil
		w.addCluster("c0", 1, 3, 1, w.previous.artifact.Release)
		w.decide = func(in Input) Decision {
			d := Decide(in)
			w.log("%s %s: %s", d.Clusters[0].Step, d.Clusters[0].Stable, said(d))
			return d
		}
		run := func(goal Goal) {
			k := w.begin(goal, true, true)
			for k.ended == nil && w.now < 400 {
				w.tick()
			}
		}
		if goal == GoalAbort {
			run(GoalArm)
			w.trace = nil
		}
		run(goal)
		if len(w.failures) > 0 {
			t.Error(w.failures)
		}
		for _, line := range w.trace {
			if !strings.Contains(line, " sends ") {
				told.WriteString(line + "\n")
			}
		}
		told.WriteString("\n")
	}
	golden(t, "story.txt", []byte(told.String()))
}
