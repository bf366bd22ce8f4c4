package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// TestWhatGoesWrong has what can happen to a rollout, in one place: what is done next, or why nothing is and what to do about it. The
// class is the exit code's. What is no decision of this package is held elsewhere:
//
//	the controller is killed, at any point       TestSimulation; package rollout: TestRunKilled; package main: TestFleetFaults, TestFleetRunKilled
//	it is stopped and woken after a takeover     package main: TestFleetTakeOver
//	two controllers, on the first host           TestClaim, TestInterleavings; package rollout: TestRunFenced, TestHold
//	a cluster that is armed, and not stable      TestDecideBreaks; package main: TestFleetUnstable
//	a corrupt store file, a lying peer           package remote: TestHostChangedArtifact, TestLyingDepot, TestLyingHost
//	no room                                      TestDraftProblems; package host and install, before the first byte
//	a clock that jumps                           TestDecideIsPure: there is none in what is decided from
func TestWhatGoesWrong(t *testing.T) {
	t.Parallel()
	armed := func(change func(s *scene)) func(s *scene) {
		return func(s *scene) {
			s.ours()
			s.armed("a0", "a1")
			change(s)
		}
	}
	for event, test := range map[string]struct {
		goal   Goal
		change func(s *scene)
		later  time.Duration
		want   string // as said has it
		class  fault.Class
		hint   string
	}{
		"the controller was killed, and its session is gone": {GoalArm, func(s *scene) { s.ours(); s.run(3, "bob") }, 0, "claim a0 (claiming)", "", ""},
		"another controller, of the same plan":               {GoalArm, func(s *scene) { s.ours(); s.at("a0").Alive = true; s.run(3, "bob") }, 0, "!held =fenced", fault.Fenced, ""},
		"another one took over":                              {GoalArm, func(s *scene) { s.ours(); s.at("a0").Fence.Epoch = 9 }, 0, "!epoch =fenced", fault.Fenced, ""},
		"another plan of the same generation, or edited":     {GoalArm, func(s *scene) { s.ours(); s.at("a0").Fence.Plan = digestOf("d") }, 0, "!plan-differs =fenced", fault.Fenced, ""},
		"a newer plan":                     {GoalArm, func(s *scene) { s.ours(); s.at("a0").Fence.Generation++ }, 0, "!generation =fenced", fault.Fenced, ""},
		"a host is down while it arms":     {GoalArm, func(s *scene) { s.ours(); s.gone("a1") }, 2 * time.Minute, "!unreachable =failed", fault.Failed, "tbctl fleet status a1"},
		"a host is down at promote":        {GoalPromote, armed(func(s *scene) { s.gone("a2") }), 2 * time.Minute, "!unreachable =failed", fault.Failed, "tbctl fleet status a2"},
		"a host is cut off when it aborts": {GoalAbort, armed(func(s *scene) { s.gone("a2") }), 2 * time.Minute, "!unreachable =failed", fault.Failed, "tbctl fleet status a2"},
		"down after the last swap, whose cluster upgraded": {GoalPromote, armed(func(s *scene) {
			s.upgraded("a0", "a2")
			s.phase(PhaseDone, "a0", "a2")
			s.gone("a1")
		}), 2 * time.Minute, "!unreachable =failed", fault.Failed, "tbctl fleet promote PLAN a"},
		"… and most cannot be looked at":                    {GoalPromote, armed(func(s *scene) { s.upgraded("a0"); s.gone("a1"); s.gone("a2") }), 2 * time.Minute, "(unreachable upgrading)", "", ""},
		"… a moment ago":                                    {GoalPromote, armed(func(s *scene) { s.upgraded("a0", "a2"); s.gone("a1") }), 30 * time.Second, "(unreachable upgrading)", "", ""},
		"down just after the last swap was asked for":       {GoalPromote, armed(func(s *scene) { s.asked("a"); s.gone("a2") }), 2 * time.Minute, "(unreachable upgrading)", "", ""},
		"… and back without the new file":                   {GoalPromote, armed(func(s *scene) { s.asked("a") }), 0, "(not-stable)", "", ""},
		"another is down, and the last swap did not happen": {GoalPromote, armed(func(s *scene) { s.asked("a"); s.gone("a1") }), 2 * time.Minute, "!unreachable =failed", fault.Failed, "tbctl fleet status a1"},
		"a host was installed again":                        {GoalArm, func(s *scene) { s.ours(); s.at("a1").Machine = "other" }, 0, "!reinstalled =refused", fault.Refused, "make a new plan"},
		"its file was changed meanwhile":                    {GoalArm, func(s *scene) { s.ours(); s.at("a1").Installed.SHA256 = digestOf("c") }, 0, "!drift =refused", fault.Refused, "make a new plan"},
		"the holdback's file was replaced":                  {GoalAbort, armed(func(s *scene) { s.swapped("a2") }), 0, "!promotion-begun =refused", fault.Refused, "tbctl fleet promote PLAN a"},
		"a replica does not answer":                         {GoalPromote, armed(func(s *scene) { s.replica("a2").Answers = false }), 2 * time.Minute, "(not-stable)", "", ""},
		"the views differ":                                  {GoalPromote, armed(func(s *scene) { s.replica("a2").View++ }), 2 * time.Minute, "(not-stable)", "", ""},
		"a replica is behind":                               {GoalPromote, armed(func(s *scene) { s.replica("a0").Checkpoint += 100_000 }), 2 * time.Minute, "(not-stable)", "", ""},
		"the time is over":                                  {GoalPromote, armed(func(s *scene) { s.Deadline = true }), 0, "!deadline =failed", fault.Failed, "run the same command again"},
		"… and a host's state is damaged": {GoalAbort, armed(func(s *scene) {
			s.Deadline = true
			s.at("a1").Problem = &Problem{Host: "a1", Replica: -1, Reason: ProblemUnseen, Message: "it is cut short", Hint: "on a1: look at it"}
		}), 0, "(unreachable) !deadline =failed", fault.Failed, "on a1: look at it; then run the same command again"},
		"a host's state is damaged": {GoalStop, armed(func(s *scene) {
			s.at("a1").Problem = &Problem{Host: "a1", Replica: -1, Reason: ProblemUnseen, Message: "it is cut short", Hint: "on a1: look at it"}
		}), 2 * time.Minute, "!unreachable =failed", fault.Failed, "on a1: look at it"},
		"a host is down while it stages": {GoalCheck, func(s *scene) { s.gone("a1") }, 2 * time.Minute, "!unreachable =failed", fault.Failed, "tbctl fleet status a1"},
		"the store is full":              {GoalCheck, func(s *scene) { s.Run, s.at("a1").Stored, s.at("a1").StoreRoom = true, false, 1 }, 0, "!no-room =failed", fault.Failed, "tbctl store prune"},
		"what a host requires is not there": {GoalCheck, func(s *scene) {
			s.Run, s.at("a1").Stored = true, false
			s.at("a1").Refusals = []Problem{{Reason: ProblemUnvouched, Replica: -1, Message: "it requires a signature", Hint: "minisign -S"}}
		}, 0, "!not-vouched =rejected", fault.Rejected, "minisign -S"},
		"the next swap could upgrade it":            {GoalArm, func(s *scene) { s.ours(); s.armed("a0"); s.replica("a2").ArmedUnseen = "no rights" }, 0, "!would-promote =refused", fault.Refused, "see that all its replicas serve"},
		"the controller died after the last swap":   {GoalPromote, armed(func(s *scene) { s.armed("a2"); s.run(3, "bob") }), 0, "claim a0, claim a1, claim a2 (claiming upgrading)", "", ""},
		"… and the cluster has upgraded without it": {GoalPromote, armed(func(s *scene) { s.upgraded("a0", "a1", "a2"); s.run(3, "bob") }), 0, "claim a0, claim a1, claim a2 (claiming)", "", ""},
		"it is not staged":                          {GoalArm, func(s *scene) { s.at("a1").Stored = false }, 0, "!not-staged =refused", fault.Refused, "tbctl fleet stage PLAN"},
		"nothing is left to do, and it is so":       {GoalPromote, armed(func(s *scene) { s.upgraded("a0", "a1", "a2"); s.phase(PhaseDone, "a0", "a1", "a2") }), 0, "=", "", ""},
		"a host does not know what its swap left": {GoalArm, func(s *scene) {
			s.ours()
			s.armed("a0")
			s.Outcomes = []Outcome{{Action{Kind: ActionSwap, Host: "a0", Target: "/opt/tb/tigerbeetle"}, &Problem{Reason: ProblemSwap, Message: "sync: input/output error"}, fault.Unknown}}
		}, 0, "!swap =unknown-state", fault.Unknown, "tbctl status /opt/tb/tigerbeetle on a0"},
		"… of the last swap, and the cluster upgrades": {GoalPromote, armed(func(s *scene) {
			s.asked("a")
			s.armed("a2")
			s.Outcomes = []Outcome{{Action{Kind: ActionSwap, Host: "a2", Target: "/opt/tb/tigerbeetle"}, &Problem{Reason: ProblemSwap, Message: "sync: input/output error"}, fault.Unknown}}
		}), 0, "(upgrading) !swap", "", "tbctl status /opt/tb/tigerbeetle on a2"},
		"… and has upgraded": {GoalPromote, armed(func(s *scene) {
			s.upgraded("a0", "a1", "a2")
			s.phase(PhaseDone, "a0", "a1", "a2")
			s.Outcomes = []Outcome{{Action{Kind: ActionSwap, Host: "a2", Target: "/opt/tb/tigerbeetle"}, &Problem{Reason: ProblemSwap, Message: "sync: input/output error"}, fault.Unknown}}
		}), 0, "!swap =unknown-state", fault.Unknown, "tbctl status /opt/tb/tigerbeetle on a2"},
		"… of what it gave back": {GoalStop, func(s *scene) {
			s.ours()
			s.phase(PhaseStopped, "a0", "a1", "a2")
			s.Outcomes = []Outcome{{Action{Kind: ActionPhase, Host: "a2", Target: "/opt/tb/tigerbeetle"}, &Problem{Reason: ProblemPhase, Message: "sync: input/output error"}, fault.Unknown}}
		}, 0, "!phase =unknown-state", fault.Unknown, "tbctl status /opt/tb/tigerbeetle on a2"},
		"… and it is back after an abort": {GoalAbort, func(s *scene) {
			s.ours()
			s.phase(PhaseAborted, "a0", "a1", "a2")
			s.Outcomes = []Outcome{{Action{Kind: ActionSwap, Host: "a2", Target: "/opt/tb/tigerbeetle"}, &Problem{Reason: ProblemSwap, Message: "sync: input/output error"}, fault.Unknown}}
		}, 0, "!swap =unknown-state", fault.Unknown, "tbctl status /opt/tb/tigerbeetle on a2"},
		"the installed file is gone": {GoalArm, func(s *scene) { s.ours(); s.at("a1").Installed = nil }, 0, "!drift =refused", fault.Refused, "make a new plan"},
		"one that aborts does not come back": {GoalAbort, armed(func(s *scene) {
			s.phase(PhaseAborting, "a0", "a1", "a2")
			s.at("a1").Installed.SHA256 = digestOf("b")
			s.replica("a1").Armed, s.replica("a1").ArmedRelease = &multiversion.Checksum{0xbb}, release("0.17.2")
			s.dies("a1")
		}), 3 * time.Minute, "!not-back =failed", fault.Failed, "look at its log"},
	} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, test.goal, 3)
			test.change(s)
			d := s.after(test.later)
			if got := said(d); got != test.want || d.Class != test.class {
				t.Errorf("%s, of class %q\nwant %s, of class %q", got, d.Class, test.want, test.class)
			}
			for _, problem := range d.Blocked {
				if problem.Message == "" || !strings.Contains(problem.Hint, test.hint) || problem.Class() != test.class && d.Done {
					t.Errorf("%+v, want the hint %q", problem, test.hint)
				}
				if !strings.HasPrefix(problem.Message, "the time") && problem.Reason != ProblemPromotionBegun && problem.Host == "" {
					t.Errorf("%+v: no host", problem)
				}
			}
		})
	}
}
