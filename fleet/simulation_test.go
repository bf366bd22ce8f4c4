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
