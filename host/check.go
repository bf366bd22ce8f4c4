package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// Question is what is checked before a swap; scripts compare it.
type Question string

// The questions.
const (
	QuestionFence   Question = "fence"   // may the run that asks put it there?
	QuestionVouched Question = "vouched" // does what the host requires vouch for it?
	QuestionFile    Question = "file"    // is it whole?
	QuestionFit     Question = "fit"     // may it take the installed file's place?
	QuestionBack    Question = "back"    // is the installed file whole, so that it can be put back?
	QuestionPlace   Question = "place"   // is there room, and can the attributes be carried over?
	QuestionReplica Question = "replica" // does this replica take it?
	QuestionBoot    Question = "boot"    // does the release itself, run on this host, take its file? It is never run, and so never answered
)

// Check is the answer to one question.
type Check struct {
	Question Question      `json:"question"`
	Status   verify.Status `json:"status"` // held, failed or not-checked
	PID      int           `json:"pid,omitempty"`
	Detail   string        `json:"detail,omitempty"` // what was seen, or why it is not known

	NotAsked bool `json:"not_asked,omitempty"` // not checked since nobody asks it here, not since it has no answer

	Class fault.Class `json:"class,omitempty"` // of what failed
	Hint  string      `json:"hint,omitempty"`  // what to type on the host about it; "": nothing that is known
}

// Checked is what is known of a swap before it is done.
type Checked struct {
	SHA256 string                `json:"sha256"` // of the file
	OK     bool                  `json:"ok"`     // nothing that was checked speaks against it
	Checks []Check               `json:"checks"`
	Report *verify.Report        `json:"report"` // every finding of the file; null: it could not be read
	Fit    *verify.ReplaceReport `json:"fit"`    // and of the step from the installed one; null: it was not compared

	Explain func(error) string `json:"-"` // unless nil, what to type about what failed
}

// Add adds an answer; nil is a yes.
func (c *Checked) Add(question Question, err error) {
	check := Check{Question: question, Status: verify.Held}
	if err != nil {
		check.Status, check.Detail, check.Class = verify.Failed, err.Error(), fault.Of(err)
		if c.Explain != nil {
			check.Hint = c.Explain(err)
		}
	}
	c.Checks = append(c.Checks, check)
}

// Skip adds a question that has no answer.
func (c *Checked) Skip(question Question, why string) {
	c.Checks = append(c.Checks, Check{Question: question, Status: verify.NotChecked, Detail: why})
}

// NotAsked adds a question that nobody asks on this host, or with this request.
func (c *Checked) NotAsked(question Question, why string) {
	c.Checks = append(c.Checks, Check{Question: question, Status: verify.NotChecked, Detail: why, NotAsked: true})
}

// Candidate is a file that may be put at a target.
type Candidate struct {
	File   io.ReaderAt
	Size   int64
	SHA256 string
}

// Check finds out what a swap would find. Nothing is changed, nothing is locked, and nothing of the file is run. That something speaks against it is no error; the error is the context's, or says that the host could not be looked at.
func (s *Site) Check(ctx context.Context, candidate Candidate, request install.Request, fetch install.Fetch, into *Checked) error {
	err := s.check(ctx, candidate, request, fetch, into)
	into.OK = err == nil && !slices.ContainsFunc(into.Checks, func(c Check) bool { return c.Status == verify.Failed })
	return err
}

func (s *Site) check(ctx context.Context, candidate Candidate, request install.Request, fetch install.Fetch, into *Checked) error {
	request.DespiteRollout = true // whose it is, is a question of its own
	outcome, planErr := s.Install(ctx, request, fetch, true)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if outcome == nil || outcome.Plan == nil || outcome.Plan.Verified == nil && fault.Of(planErr) != fault.Rejected && !errors.As(planErr, new(*install.PlanError)) {
		return planErr
	}
	into.planned(outcome.Plan, planErr)
	defer into.NotAsked(QuestionBoot, "nothing that was sent to this host is run by tbctl")
	binary, err := multiversion.Parse(candidate.File, candidate.Size)
	if err != nil {
		into.Skip(QuestionReplica, "the file is rejected")
		return nil
	}
	into.replicas(&s.Report, binary)
	return ctx.Err()
}

// planned adds what a dry run found.
func (c *Checked) planned(plan *install.Plan, err error) {
	var place *install.PlanError
	var rejected *install.RejectedError
	var refused *install.RefusedError
	c.Report, c.Fit = plan.Verified, plan.Fit
	switch {
	case plan.Verified == nil && errors.As(err, &place):
		c.Skip(QuestionFile, "it was not read, since something hinders a change of the place")
	case plan.Verified == nil:
		c.Add(QuestionFile, err)
	case plan.Verified.Ok:
		c.Add(QuestionFile, nil)
	default:
		c.Add(QuestionFile, fault.New(fault.Rejected, plan.Verified.Diagnosis))
	}
	switch {
	case errors.As(err, &refused):
		c.Add(QuestionFit, err)
	case plan.Fit != nil && plan.Fit.Ok:
		c.Add(QuestionFit, nil)
	case plan.Installed == nil && plan.Verified != nil:
		c.Skip(QuestionFit, "nothing is installed that it could be compared with")
	default:
		c.Skip(QuestionFit, "it was not compared with the installed file")
	}
	switch {
	case plan.Installed == nil:
		c.Skip(QuestionBack, "nothing is installed, or it was not looked at")
	case plan.Installed.Damaged != "":
		c.Add(QuestionBack, fault.New(fault.Refused, fmt.Sprintf("the file at %s is damaged, and could not be put back: %s", plan.Target.Path, plan.Installed.Damaged)))
	default:
		c.Add(QuestionBack, nil)
	}
	switch {
	case err == nil:
		c.Add(QuestionPlace, nil)
	case errors.As(err, &place):
		c.Add(QuestionPlace, err)
	case errors.As(err, &rejected), errors.As(err, &refused), plan.Verified == nil:
		c.Skip(QuestionPlace, "the file does not come that far")
	default:
		c.Add(QuestionPlace, err)
	}
}

// replicas adds what each replica will make of the file.
func (c *Checked) replicas(seen *Report, binary *multiversion.Binary) {
	header := &binary.HostImage().Header
	found := false
	for _, process := range seen.Processes {
		if !process.Counts() {
			continue
		}
		found = true
		foreseen := Foresee(afterSwap(process), header, 0)
		check := Check{Question: QuestionReplica, Status: verify.NotChecked, PID: process.PID, Detail: foreseen.Outlook}
		switch foreseen.OutlookKind {
		case OutlookArmed, OutlookTakesFile, OutlookNeedsRestart:
			check.Status = verify.Held
		case OutlookRefuses, OutlookRestartFails, OutlookOtherFile:
			check.Status, check.Class = verify.Failed, fault.Refused
		}
		c.Checks = append(c.Checks, check)
	}
	for _, unseen := range seen.Unseen {
		c.Skip(QuestionReplica, unseen.Reason)
	}
	if !found && len(seen.Unseen) == 0 {
		c.Skip(QuestionReplica, "no replica runs from the target")
	}
}
