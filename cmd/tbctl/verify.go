package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/handover"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

type verifyCmd struct {
	File    string   `arg:"" help:"Binary, release archive (.zip), artifact of the store (sha256:HEX), or - for standard input."`
	Against string   `placeholder:"INSTALLED" help:"Also judge whether FILE may replace this file."`
	SHA256  string   `name:"sha256" placeholder:"HEX" help:"Refuse anything else: the SHA-256 of the archive or of the executable in it."`
	Digest  bool     `help:"Show the SHA-256 too: it names the file as no release number does. It takes longer than all the checks."`
	Fit     fitFlags `embed:""`

	Store storeFlags `embed:""`
}

// Help is the long help text.
func (c *verifyCmd) Help() string {
	return `Checks everything that a binary says of itself against its bytes, and reports
each finding, not only the first. Checksums inside a file find damage, not forgery;
a SHA256SUMS beside FILE must hold, as it must for "tbctl install FILE".

Examples:

  tbctl verify tigerbeetle
  tbctl verify tigerbeetle-x86_64-linux.zip
  tbctl verify new --against /usr/local/bin/tigerbeetle --running 0.17.6
` + exitHelp(exitRejected, "the file is not whole", exitRefused, "it is whole, but does not fit INSTALLED")
}

// Run verifies the file.
func (c *verifyCmd) Run(a *app) error {
	if c.Against == "" && c.Fit.given() {
		return usage("name the installed file: --against "+shell.File(a.target("")), "what is known of the cluster is compared only with --against")
	}
	file, digest, err := openStored(a, c.File, c.Store.Store)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := sha.Parse(c.SHA256); c.SHA256 != "" && err != nil {
		return usage("sha256sum prints it", "--sha256: %w", err)
	}
	beside := c.File
	if digest != "" { // what is in a store is called so, and has no lists beside it
		beside = "-"
	}
	stated, err := release.Stated(a.ctx, beside, cmp.Or(c.SHA256, digest))
	if err != nil {
		return err
	}
	result, err := report.Verify(a.ctx, c.File, file, a.allAdvisories(), verify.Options{Mode: file.Mode, SHA256: c.Digest || stated.Open()})
	if err != nil {
		return err
	}
	result.Archive, result.Against = file.Archive, c.Against
	var untrusted error
	if result.Evidence, untrusted, err = handover.CompareStated(a.ctx, stated, file, result.Report); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	a.tellFetched(release.Fetched{Evidence: result.Evidence})
	if c.Against != "" && result.Report.Ok {
		fit, err := c.compare(a, result.Report.Binary)
		if err != nil {
			return err
		}
		result.Compared(&fit)
	}
	a.advise(result.Advisories)
	a.emit(result, func(out *term.Stream) { render.Verified(out, result, !a.global.Quiet, c.Digest) })
	switch {
	case untrusted != nil && result.Report.Ok:
		return untrusted
	case !result.Report.Ok:
		hint := a.known().Findings()
		if result.Report.Binary == nil && result.Kind.Name != inspect.NameDamaged {
			hint = hints.Stranger(result.Kind)
		}
		return rejected(hint, fmt.Errorf("%s: %s", c.File, result.Report.Diagnosis))
	case result.Fit != nil && !result.Fit.Ok:
		return refused(a.known().Fit(result.Fit, false), fmt.Errorf("%s may not replace %s: %s", c.File, c.Against, result.Fit.Diagnosis))
	}
	return nil
}

// compare judges whether the file may replace the other.
func (c *verifyCmd) compare(a *app, next *multiversion.Binary) (verify.ReplaceReport, error) {
	against, err := openInput(a, c.Against)
	if err != nil {
		return verify.ReplaceReport{}, fmt.Errorf("--against: %w", err)
	}
	defer against.Close()
	installed := verify.InstalledFrom(against, against.Size(), c.Fit.FromPlain)
	if errors.Is(installed.Err, multiversion.RuleKind) {
		return verify.ReplaceReport{}, refused("is --against the right file?", fmt.Errorf("%s is %s, not a binary", c.Against, inspect.Describe(against, against.Size()).Text))
	}
	site := a.site(c.Against, c.Fit.said())
	fit, err := site.Judge(a.ctx, next, installed)
	a.host = site.Report
	return fit, err
}
