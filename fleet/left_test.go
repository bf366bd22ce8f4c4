package fleet

import (
	"strings"
	"testing"
	"time"
)

// What a run leaves whose time is over is told as far as it was seen, by that run: a host that cannot be looked at has not nothing at its target.
func TestDeadlineLeft(t *testing.T) {
	t.Parallel()
	all := []string{"a0", "a1", "a2"}
	gone := func(s *scene, hosts ...string) {
		for _, host := range hosts {
			s.gone(host)
		}
	}
	for name, test := range map[string]struct {
		goal   Goal
		before func(s *scene) // what an earlier look of the run showed; nil: there was none
		change func(s *scene)
		want   string
		step   Step
	}{
		"nothing was done":               {GoalArm, nil, func(s *scene) { s.ours() }, "nothing was put at its targets", StepStaged},
		"nobody answers":                 {GoalArm, nil, func(s *scene) { gone(s, all...) }, "what is at its targets was not seen; not seen: a0, a1, a2", StepUnseen},
		"nobody answers an abort":        {GoalAbort, nil, func(s *scene) { gone(s, all...) }, "what is at its targets was not seen; not seen: a0, a1, a2", StepUnseen},
		"one does not answer":            {GoalArm, nil, func(s *scene) { s.ours(); s.gone("a1") }, "nothing was put at its targets; not seen: a1", ""},
		"armed":                          {GoalPromote, nil, func(s *scene) { s.ours(); s.armed("a0", "a1") }, "it stays as it is and is not promoted: the plan's file is at the target of a0, a1", ""},
		"armed, and one does not answer": {GoalPromote, nil, func(s *scene) { s.ours(); s.armed("a0"); s.gone("a1") }, "it stays as it is and is not promoted: the plan's file is at the target of a0; not seen: a1", ""},
		"an abort half way":              {GoalAbort, nil, func(s *scene) { s.ours(); s.armed("a1") }, "the plan's file is still at the target of a1", ""},
		"armed by this run, and then nobody answers": {GoalArm, func(s *scene) { s.ours(); s.armed("a0") }, func(s *scene) { gone(s, all...) },
			"it stays as it is and is not promoted: the plan's file is at the target of a0, when it was last seen; not seen: a1, a2", StepUnseen},
		"put back by this run, and then nobody answers": {GoalAbort, func(s *scene) { s.ours() }, func(s *scene) { gone(s, all...) }, "what is at its targets was not seen; not seen: a0, a1, a2", StepUnseen},
		"the last swap was asked for, and nobody answers": {GoalPromote, nil, func(s *scene) { s.ours(); s.asked("a"); gone(s, all...) },
			"its last swap was asked for, and was not seen; it upgrades if that was done; not seen: a0, a1, a2", StepUnseen},
		"it upgrades": {GoalPromote, nil, func(s *scene) { s.ours(); s.armed(all...) }, "it upgrades, and goes on without this run", StepPromoting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, test.goal, 3)
			if test.before != nil {
				test.before(s)
				s.Memory = Decide(s.Input).Memory
			}
			test.change(s)
			s.Deadline, s.Elapsed = true, s.Elapsed+time.Second
			d := Decide(s.Input)
			var text string
			for _, p := range d.Blocked {
				if p.Reason == ProblemDeadline {
					text = strings.TrimPrefix(p.Message, "the time that the run may take is over: ")
				}
			}
			if text != test.want {
				t.Errorf("%q\nwant %q", text, test.want)
			}
			if test.step != "" && d.Clusters[0].Step != test.step {
				t.Errorf("step %q, want %q", d.Clusters[0].Step, test.step)
			}
		})
	}
}
