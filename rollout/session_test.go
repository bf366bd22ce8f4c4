package rollout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/verify"
)

// What a host says with a restart that was done reaches the operator: what went wrong besides, and whom it left out.
func TestRestartWarnings(t *testing.T) {
	t.Parallel()
	restarted := &host.Restarted{PIDs: []int{3}, Skipped: []string{"process 7 is not in a service", "and 2 more"}, Warnings: []string{"history: read-only file system"}}
	want := []string{"history: read-only file system", "not restarted: process 7 is not in a service", "not restarted: and 2 more"}
	if got := restartWarnings(restarted); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := restartWarnings(&host.Restarted{PIDs: []int{3}}); len(got) != 0 {
		t.Errorf("of one that left nothing out: %q", got)
	}
}

// A check's answer has the class and the hint that a swap would have; of an earlier tbctl the question tells.
func TestVerdict(t *testing.T) {
	t.Parallel()
	failed := func(question host.Question, class fault.Class, hint string) host.Check {
		return host.Check{Question: question, Status: verify.Failed, Detail: "why", Class: class, Hint: hint}
	}
	for name, test := range map[string]struct {
		checks []host.Check
		class  fault.Class
		hint   string
	}{
		"an earlier tbctl, place":   {[]host.Check{failed(host.QuestionPlace, "", "")}, fault.Refused, ""},
		"an earlier tbctl, file":    {[]host.Check{failed(host.QuestionFile, "", "")}, fault.Rejected, ""},
		"a later tbctl":             {[]host.Check{failed(host.QuestionFile, "new", "")}, fault.Rejected, ""},
		"a full disk":               {[]host.Check{failed(host.QuestionPlace, fault.Failed, "df")}, fault.Failed, "on tb1: df"},
		"another process":           {[]host.Check{failed(host.QuestionPlace, fault.Busy, "")}, fault.Busy, ""},
		"the worst says what to do": {[]host.Check{failed(host.QuestionPlace, fault.Failed, "df"), failed(host.QuestionFit, fault.Refused, ""), failed(host.QuestionBack, fault.Refused, "reinstall")}, fault.Refused, "on tb1: reinstall"},
	} {
		_, err := verdict("tb1", &host.Checked{Checks: test.checks})
		said, ok := errors.AsType[*CheckError](err)
		if !ok || fault.Of(err) != test.class || said.Hint() != test.hint {
			t.Errorf("%s: %v: %q, %q", name, err, fault.Of(err), said.Hint())
		}
	}
	unanswered, err := verdict("tb1", &host.Checked{OK: true, Checks: []host.Check{
		{Question: host.QuestionVouched, Status: verify.NotChecked, Detail: "nothing is required", NotAsked: true},
		{Question: host.QuestionReplica, PID: 7, Status: verify.NotChecked, Detail: "why"}, {Question: host.QuestionFit, Status: "later"},
	}})
	if err != nil || !slices.Equal(unanswered, []string{"replica 7: why", "fit: "}) {
		t.Errorf("%q, %v", unanswered, err)
	}
}

// What a run ends with is told by the obstacle that decides its exit code, and the hint is about that one.
func TestErrorFirst(t *testing.T) {
	t.Parallel()
	problem := func(host, hint string, class fault.Class) fleet.Problem {
		return fleet.Problem{Host: host, Replica: -1, Reason: fleet.ProblemSwap, Kind: class, Message: "why", Hint: hint}
	}
	for name, test := range map[string]struct {
		problems []fleet.Problem
		want     string
	}{
		"the worst":         {[]fleet.Problem{problem("a", "x", fault.Refused), problem("b", "y", fault.Unknown)}, "b"},
		"one with a hint":   {[]fleet.Problem{problem("a", "", fault.Unknown), problem("b", "y", fault.Unknown), problem("c", "z", fault.Unknown)}, "b"},
		"none with a hint":  {[]fleet.Problem{problem("a", "x", fault.Failed), problem("b", "", fault.Unknown)}, "b"},
		"none of the class": {[]fleet.Problem{problem("a", "x", fault.Failed)}, "a"},
	} {
		failed := &Error{Problems: test.problems, Worst: fault.Unknown}
		if got := failed.First(); got.Host != test.want || !strings.Contains(failed.Error(), got.Host) {
			t.Errorf("%s: %s, and the text %q", name, got.Host, failed)
		}
	}
	if text := (&Error{Problems: make([]fleet.Problem, 2)}).Error(); !strings.HasSuffix(text, "; and another obstacle") {
		t.Errorf("%q", text)
	}
}
