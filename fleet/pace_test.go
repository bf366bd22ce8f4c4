package fleet

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// TestPace has hosts answer anything, and show anything afterwards: none of it makes a run ask one of them more often than a fixed number of times
// a minute.
func TestPace(t *testing.T) {
	t.Parallel()
	const (
		minutes   = 5
		perMinute = 6 // of the same action on the same host: after 0, 1, 3, 7, 15 and 31 seconds
		inAll     = 6 + 2*minutes
	)
	answers := append(fault.Classes(), fault.None, "of later")
	rng := rand.New(rand.NewPCG(1, 2))
	for _, goal := range []Goal{GoalStage, GoalPromote, GoalAbort, GoalStop} {
		for scheme := range len(answers) + 4 {
			answer := func() fault.Class { return answers[rng.IntN(len(answers))] }
			if scheme < len(answers) {
				answer = func() fault.Class { return answers[scheme] }
			}
			t.Run(fmt.Sprint(goal, scheme), func(t *testing.T) {
				hearsAnything(t, goal, answer, scheme > len(answers), rng, minutes, perMinute, inAll)
			})
		}
	}
}

func hearsAnything(t *testing.T, goal Goal, answer func() fault.Class, shows bool, rng *rand.Rand, minutes, perMinute, inAll int) {
	s := newScene(t, goal, 3)
	s.Run = true
	s.Options.Parallel = 2
	if goal == GoalAbort {
		s.ours()
		s.swapped("a0", "a1")
		s.dies("a0")
	}
	counts, total := map[string]int{}, map[string]int{}
	for s.Elapsed < time.Duration(minutes)*time.Minute {
		minute := int(s.Elapsed / time.Minute)
		d := Decide(s.Input)
		s.Memory, s.Outcomes = d.Memory, nil
		for _, a := range d.Actions {
			key := fmt.Sprintf("%s %s %s", a.Kind, a.Phase, a.Host)
			counts[fmt.Sprintf("minute %d: %s", minute, key)]++
			total[key]++
			o := Outcome{Action: a, Class: answer()}
			if o.Class != fault.None {
				o.Problem = &Problem{Replica: -1, Message: "no"}
			}
			s.Outcomes = append(s.Outcomes, o)
		}
		if d.Done {
			s.Memory = Memory{Begun: s.Memory.Begun} // whatever ends a run: nothing hangs on that here
		}
		for i := range s.Observations {
			if o := &s.Observations[i]; shows && rng.IntN(4) == 0 {
				o.Stored, o.Checked = rng.IntN(2) == 0, rng.IntN(2) == 0
				o.Fence = nil
				if rng.IntN(3) > 0 && len(o.Replicas) > 0 {
					s.ours(o.Host)
					o.Fence.Phase = []Phase{PhaseClaimed, PhaseArmed, PhaseAborting}[rng.IntN(3)]
				}
				o.Installed.SHA256 = []string{s.Plan.Artifact.SHA256, digestOf("b")}[rng.IntN(2)]
			}
		}
		if s.Elapsed += time.Second; len(s.Outcomes) > 0 {
			s.Elapsed += 20*time.Millisecond - time.Second // as the machine looks when nothing is under way any more
		}
	}
	for key, count := range counts {
		if count > perMinute {
			t.Errorf("%s: %d times", key, count)
		}
	}
	for key, count := range total {
		if count > inAll {
			t.Errorf("%s: %d times in %d minutes", key, count, minutes)
		}
	}
}
