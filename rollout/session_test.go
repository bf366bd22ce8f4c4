package rollout

import (
	"errors"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/fault"
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
