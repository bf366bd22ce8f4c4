package host

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/verify"
)

// TestCheckedClass: what failed has the class that a swap would end with, and what to do about it.
func TestCheckedClass(t *testing.T) {
	t.Parallel()
	full := &install.PlanError{Problems: []error{fmt.Errorf("make a file: %w", syscall.ENOSPC)}}
	for name, test := range map[string]struct {
		question Question
		plan     install.Plan
		err      error
		want     fault.Class
	}{
		"no room":          {QuestionPlace, install.Plan{}, full, fault.Failed},
		"another works":    {QuestionPlace, install.Plan{Verified: &verify.Report{Ok: true}}, fault.New(fault.Busy, "changed"), fault.Busy},
		"a broken file":    {QuestionFile, install.Plan{Verified: &verify.Report{Diagnosis: "damaged"}}, &install.RejectedError{}, fault.Rejected},
		"an unread file":   {QuestionFile, install.Plan{}, errors.New("read: input/output error"), fault.Failed},
		"it does not fit":  {QuestionFit, install.Plan{Verified: &verify.Report{Ok: true}}, &install.RefusedError{}, fault.Refused},
		"no way back":      {QuestionBack, install.Plan{Verified: &verify.Report{Ok: true}, Installed: &install.File{Damaged: "cut short"}}, nil, fault.Refused},
		"nothing is wrong": {QuestionPlace, install.Plan{Verified: &verify.Report{Ok: true}}, nil, fault.None},
	} {
		checked := &Checked{Explain: func(err error) string { return "hint: " + string(fault.Of(err)) }}
		checked.planned(&test.plan, test.err)
		for _, check := range checked.Checks {
			if check.Question != test.question {
				continue
			}
			hint := "hint: " + string(test.want)
			if test.want == fault.None {
				hint = ""
			}
			if check.Class != test.want || check.Hint != hint || (check.Status == verify.Failed) != (test.want != fault.None) {
				t.Errorf("%s: %+v, want %q", name, check, test.want)
			}
		}
	}
}
