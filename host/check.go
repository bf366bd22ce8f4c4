package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// bootTimeout is the most time that the new release may take to judge its file.
const bootTimeout = 5 * time.Second

// Question is what is checked before a swap; scripts compare it.
type Question string

// The questions.
const (
	QuestionFence   Question = "fence"   // may the run that asks put it there?
	QuestionVouched Question = "vouched" // does what the host requires vouch for it?
	QuestionFile    Question = "file"    // is it whole?
	QuestionFit     Question = "fit"     // may it take the installed file's place?
	QuestionPlace   Question = "place"   // is there room, and can the attributes be carried over?
	QuestionReplica Question = "replica" // does this replica take it?
	QuestionBoot    Question = "boot"    // does the release itself, run on this host, take its file?
)

// Check is the answer to one question.
type Check struct {
	Question Question      `json:"question"`
	Status   verify.Status `json:"status"` // held, failed or not-checked
	PID      int           `json:"pid,omitempty"`
	Detail   string        `json:"detail,omitempty"` // what was seen, or why it is not known
}

// Checked is what is known of a swap before it is done.
type Checked struct {
	SHA256 string                `json:"sha256"` // of the file
	OK     bool                  `json:"ok"`     // nothing that was checked speaks against it
	Checks []Check               `json:"checks"`
	Report *verify.Report        `json:"report"` // every finding of the file; null: it could not be read
	Fit    *verify.ReplaceReport `json:"fit"`    // and of the step from the installed one; null: it was not compared
}

// Add adds an answer; nil is a yes.
func (c *Checked) Add(question Question, err error) {
	check := Check{Question: question, Status: verify.Held}
	if err != nil {
		check.Status, check.Detail = verify.Failed, err.Error()
	}
	c.Checks = append(c.Checks, check)
}

// Skip adds a question that has no answer.
func (c *Checked) Skip(question Question, why string) {
	c.Checks = append(c.Checks, Check{Question: question, Status: verify.NotChecked, Detail: why})
}

// Candidate is a file that may be put at a target.
type Candidate struct {
	File   io.ReaderAt
	Size   int64
	SHA256 string
}

// Check finds out what a swap would find, and lets the new release judge its own file. Nothing is changed, and nothing is
// locked. That something speaks against it is no error; the error is the context's, or says that the host could not be looked at.
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
	binary, err := multiversion.Parse(candidate.File, candidate.Size)
	if err != nil {
		into.Skip(QuestionReplica, "the file is rejected")
		into.Skip(QuestionBoot, "the file is rejected")
		return nil
	}
	into.replicas(&s.Report, binary)
	if into.Report == nil || !into.Report.Ok {
		into.Skip(QuestionBoot, "only what is known to be whole is run")
		return nil
	}
	into.Checks = append(into.Checks, s.boot(ctx, candidate, binary, outcome.Plan))
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
		c.Add(QuestionFile, errors.New(plan.Verified.Diagnosis))
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
		foreseen := Foresee(process, header, 0)
		check := Check{Question: QuestionReplica, Status: verify.NotChecked, PID: process.PID, Detail: foreseen.Outlook}
		switch foreseen.OutlookKind {
		case OutlookArmed, OutlookTakesFile, OutlookNeedsRestart:
			check.Status = verify.Held
		case OutlookRefuses, OutlookRestartFails, OutlookOtherFile:
			check.Status = verify.Failed
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

// boot lets the new release judge its own file: upstream's reader, on this host's kernel and processor.
func (s *Site) boot(ctx context.Context, candidate Candidate, binary *multiversion.Binary, plan *install.Plan) Check {
	check := Check{Question: QuestionBoot, Status: verify.NotChecked}
	if binary.Platform() != plan.Host {
		check.Detail = fmt.Sprintf("it is for %s", binary.Platform())
		return check
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	said, err := runCandidate(ctx, candidate, plan.Target.Path, s.bootUser(plan))
	const released = "releases_bundled" // of what upstream's command prints
	switch failed := new(ProgramError); {
	case err == nil && strings.Contains(said, released):
		check.Status, check.Detail = verify.Held, said
	case err == nil:
		check.Detail = "it says nothing of its releases: " + said
	case errors.As(err, &failed) && (failed.NotRun || strings.Contains(failed.Said, "unknown subcommand")): // before it has the command
		check.Detail = err.Error()
	default:
		check.Status, check.Detail = verify.Failed, err.Error()
	}
	return check
}

// nobody is a user without rights.
const nobody = 65534

// bootUser is as whom the new release is run: as a replica runs, or the owner of the installed file, and never as root.
func (s *Site) bootUser(plan *install.Plan) uint32 {
	for _, process := range s.Report.Processes {
		if process.Counts() && process.UID != 0 {
			return process.UID
		}
	}
	if owner := plan.Target.File.UID; plan.Target.Exists && owner > 0 && os.Geteuid() == 0 {
		return uint32(owner)
	}
	return nobody
}
