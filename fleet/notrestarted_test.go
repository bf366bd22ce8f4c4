package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// TestNotRestarted has the previous file put back on a1, and its replica not started again: whatever the run ends with, that host is named,
// with what to do, and nothing says that the cluster is armed.
func TestNotRestarted(t *testing.T) {
	t.Parallel()
	const reason = "pid 7: exit status 5: it said: no unit"
	left := func(s *scene) {
		s.ours()
		s.armed("a0", "a1")
		s.phase(PhaseAborting, "a0", "a1", "a2")
		s.at("a1").Installed.SHA256 = digestOf("b")
	}
	// asked goes on until the host was asked so often to start it again, and answered with a failure of that class, or none.
	asked := func(s *scene, class fault.Class, times int) {
		for step := 0; times > 0 && step < 100; step++ {
			d := Decide(s.Input)
			s.Memory, s.Outcomes = d.Memory, nil
			s.Elapsed += 5 * time.Second
			for _, a := range d.Actions {
				times--
				if s.Outcomes = []Outcome{{Action: a}}; class != fault.None {
					s.Outcomes[0].Problem, s.Outcomes[0].Class = &Problem{Reason: "restart", Message: reason}, class
				}
			}
		}
		s.Elapsed += restartPause
	}
	for name, test := range map[string]struct {
		goal   Goal
		change func(s *scene)
		want   string
		cause  string
	}{
		"the time is over":                     {GoalAbort, func(s *scene) { asked(s, fault.None, 1); s.Deadline = true }, "!deadline not-restarted =failed", "the same process"},
		"before it was asked":                  {GoalAbort, func(s *scene) { s.Deadline = true }, "!deadline not-restarted =failed", "cannot be started"},
		"the time is over, and it failed":      {GoalAbort, func(s *scene) { asked(s, fault.Failed, 1); s.Deadline = true }, "!deadline not-restarted =failed", reason},
		"it does nothing":                      {GoalAbort, func(s *scene) { asked(s, fault.None, attemptsMax) }, "!not-restarted =failed", "the same process"},
		"it fails":                             {GoalAbort, func(s *scene) { asked(s, fault.Failed, attemptsMax) }, "!not-restarted =failed", reason},
		"how it is restarted is not known":     {GoalAbort, func(s *scene) { asked(s, fault.Refused, 1) }, "!not-restarted =refused", reason},
		"stopped":                              {GoalStop, func(s *scene) { s.phase(PhaseStopped, "a0", "a1", "a2") }, "=", "cannot be started"},
		"another run has it":                   {GoalAbort, func(s *scene) { s.at("a0").Fence.Epoch = 9 }, "!epoch =fenced", "cannot be started"},
		"the holdback's host is gone for long": {GoalAbort, func(s *scene) { s.gone("a2"); s.Memory = s.after(2 * time.Minute).Memory; s.Elapsed += 2 * time.Minute }, "!unreachable =failed", "cannot be started"},
	} {
		s := newScene(t, test.goal, 3)
		left(s)
		test.change(s)
		d := Decide(s.Input)
		c := d.Clusters[0]
		told := c.NotRestarted
		for _, p := range d.Blocked {
			if p.Reason == ProblemNotRestarted {
				told = append(told, p)
			}
		}
		if said(d) != test.want || len(told) != 1 || c.Step != StepAborting {
			t.Errorf("%s: %s, %s: %+v", name, said(d), c.Step, told)
			continue
		}
		if p := told[0]; p.Host != "a1" || p.Replica != 1 || !strings.Contains(p.Message, "replica 1 still holds 0.17.8 in memory") || !strings.Contains(p.Message, test.cause) ||
			!strings.Contains(p.Hint, "tbctl fleet abort PLAN a") {
			t.Errorf("%s: %+v", name, p)
		}
		if p := d.Blocked; test.goal == GoalAbort && s.Deadline && p[0].Reason != ProblemNotRestarted {
			t.Errorf("%s: %s is told first", name, p[0].Reason)
		}
	}
	for name, test := range map[string]struct {
		goal Goal
		over bool
		want string
	}{
		"taken away by an abort whose time is over": {GoalAbort, true, "!deadline not-back =failed"},
		"taken away by an abort, and stopped":       {GoalStop, false, "="},
	} {
		s := newScene(t, test.goal, 3)
		left(s)
		s.dies("a1")
		if s.Deadline = test.over; test.goal == GoalStop {
			s.phase(PhaseStopped, "a0", "a1", "a2")
		}
		d := Decide(s.Input)
		told := append(slices.Clone(d.Clusters[0].NotRestarted), d.Blocked...)
		told = slices.DeleteFunc(told, func(p Problem) bool { return p.Reason != ProblemNotBack })
		if said(d) != test.want || len(told) != 1 || told[0].Host != "a1" || !strings.Contains(told[0].Message, "replica 1 does not run") {
			t.Errorf("%s: %s: %+v", name, said(d), told)
		}
	}
	s := newScene(t, GoalAbort, 3)
	left(s)
	s.replica("a1").Armed, s.replica("a1").ArmedRelease = nil, s.Plan.Clusters[0].Running
	if d := Decide(s.Input); len(d.Clusters[0].NotRestarted) > 0 {
		t.Errorf("one that was started again: %+v", d.Clusters[0].NotRestarted)
	}
}
