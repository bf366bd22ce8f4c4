package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

type verifyCmd struct {
	File    string   `arg:"" help:"Binary, release archive (.zip), or - for standard input."`
	Against string   `placeholder:"INSTALLED" help:"Also judge whether FILE may replace this file."`
	SHA256  string   `name:"sha256" placeholder:"HEX" help:"Refuse anything else: the SHA-256 of the archive or of the executable in it."`
	Digest  bool     `help:"Show the SHA-256 too: it names the file as no release number does. It takes longer than all the checks."`
	Fit     fitFlags `embed:""`
}

// Help is the long help text.
func (c *verifyCmd) Help() string {
	return `Checks everything that a binary says of itself against its bytes, and reports
each finding, not only the first. Checksums inside a file find damage, not forgery.

Examples:

  tbctl verify tigerbeetle
  tbctl verify tigerbeetle-x86_64-linux.zip
  tbctl verify new --against /usr/local/bin/tigerbeetle --running 0.17.6
` + exitHelp(exitRejected, "the file is not whole", exitRefused, "it is whole, but does not fit INSTALLED")
}

// Run verifies the file.
func (c *verifyCmd) Run(a *app) error {
	if c.Against == "" && c.Fit.given() {
		return usage("name the installed file: --against "+shellWord(a.target("")), "what is known of the cluster is compared only with --against")
	}
	input, err := openInput(a, c.File)
	if err != nil {
		return err
	}
	defer input.Close()
	result, err := report.Verify(a.ctx, c.File, input, verify.Options{Mode: input.mode, SHA256: c.Digest || c.SHA256 != ""})
	if err != nil {
		return err
	}
	result.Archive, result.Against = input.archive, c.Against
	if err := c.checkDigest(a, input, result.Report.SHA256); err != nil {
		return err
	}
	if c.Against != "" && result.Report.Ok {
		fit, err := c.compare(a, result.Report.Binary)
		if err != nil {
			return err
		}
		result.Compared(&fit)
	}
	a.advise(result.Advisories)
	a.emit(result, func(out *term.Stream) { renderVerified(out, result, !a.global.Quiet, c.Digest) })
	switch {
	case !result.Report.Ok:
		hint := a.hintFindings()
		if result.Report.Binary == nil && result.Kind.Name != inspect.NameDamaged {
			hint = hintStranger(result.Kind)
		}
		return rejected(hint, fmt.Errorf("%s: %s", c.File, result.Report.Diagnosis))
	case result.Fit != nil && !result.Fit.Ok:
		return &commandError{code: exitRefused, hint: a.hintFit(result.Fit, false), err: fmt.Errorf("%s may not replace %s: %s", c.File, c.Against, result.Fit.Diagnosis)}
	}
	return nil
}

// checkDigest compares the executable, or the archive that it is in, with the digest
// that was given.
func (c *verifyCmd) checkDigest(a *app, input *input, found string) error {
	if c.SHA256 == "" {
		return nil
	}
	want, err := release.ParseSHA256(c.SHA256)
	if err != nil {
		return usage("sha256sum prints it", "--sha256: %w", err)
	}
	if found == want {
		return nil
	}
	text := "the SHA-256 of the executable is " + found
	if input.outer != nil {
		hash := sha256.New()
		if _, err := io.Copy(hash, contextReader{a, io.NewSectionReader(input.outer, 0, input.outer.Size())}); err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		archive := hex.EncodeToString(hash.Sum(nil))
		if archive == want {
			return nil
		}
		text += ", that of the archive " + archive
	}
	return rejected("do not use this file: get it again from a source that you trust", fmt.Errorf("%s: %s, not %s as asked for", c.File, text, want))
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
		return verify.ReplaceReport{}, &commandError{code: exitRefused, hint: "is --against the right file?", err: fmt.Errorf("%s is %s, not a binary", c.Against, inspect.Describe(against, against.Size()).Text)}
	}
	site := a.site(c.Against, c.Fit.said())
	fit, err := site.Judge(a.ctx, next, installed)
	a.host = site.Report
	return fit, err
}

func renderVerified(out *term.Stream, result *report.Verified, details, digest bool) {
	if details {
		renderVerifiedDetails(out, result)
	} else if result.Report.SHA256 != "" && digest {
		out.Printf("%s\n", result.Report.SHA256)
	}
	switch {
	case result.Report.Binary == nil && result.Kind.Name != inspect.NameDamaged:
		out.Printf("%s it is %s\n", out.Styles().Bad.Render("rejected:"), result.Kind.Text)
	case !result.Report.Ok:
		out.Printf("%s the file is not whole\n", out.Styles().Bad.Render("rejected:"))
	case result.Fit != nil && !result.Fit.Ok:
		out.Printf("%s the file is whole, but may not replace %s\n", out.Styles().Bad.Render("refused:"), term.Printable(result.Against))
	case result.Fit != nil:
		out.Printf("%s the file is whole and may replace %s\n", out.Styles().Good.Render("ok:"), term.Printable(result.Against))
	default:
		out.Printf("%s the file is whole\n", out.Styles().Good.Render("ok:"))
	}
}

func renderVerifiedDetails(out *term.Stream, result *report.Verified) {
	out.Printf("%s  %s, %s\n\n", out.Styles().Bold.Render(term.Printable(result.File)), result.Kind.Text, term.Bytes(result.Report.Size))
	renderFindings(out, result.Report.Findings)
	if result.Report.SHA256 != "" {
		out.Printf("\nsha256  %s\n", result.Report.SHA256)
	}
	if result.Fit != nil {
		out.Printf("\nIn the place of %s:\n\n", term.Printable(result.Against))
		renderFindings(out, result.Fit.Findings)
		renderPaths(out, result.Fit.Paths)
	} else if result.Against != "" {
		out.Printf("\nIt was not compared with %s.\n", term.Printable(result.Against))
	}
	out.Println()
}

// renderFindings prints one line a finding, and what was expected below one
// that failed.
func renderFindings(out *term.Stream, findings []verify.Finding) {
	for _, finding := range findings {
		out.Printf("%s %s", statusText(out, finding.Status), findingName(finding))
		if finding.Status == verify.Failed && finding.Offset > 0 {
			out.Printf(" at offset %d", finding.Offset)
		}
		out.Println()
		var details []string
		if finding.Detail != "" {
			details = append(details, finding.Detail)
		}
		if finding.Status == verify.Failed && finding.Expected != "" {
			details = append(details, "expected "+finding.Expected, "found    "+finding.Found)
		}
		for _, detail := range details {
			out.Println(out.WrapStyled(out.Styles().Dim, term.Printable(detail), 12))
		}
	}
}

// statusText is a status as a word in a column, in its colour.
func statusText(out *term.Stream, status verify.Status) string {
	text := fmt.Sprintf("%-11s", status)
	switch status {
	case verify.Held:
		return out.Styles().Good.Render(text)
	case verify.Failed:
		return out.Styles().Bad.Render(text)
	}
	return out.Styles().Warn.Render(text)
}

func findingName(finding verify.Finding) string {
	name := string(finding.Name)
	if finding.Release != 0 {
		name += " " + finding.Release.String()
	}
	if finding.Arch != "" {
		name += " (" + string(finding.Arch) + ")"
	}
	return name
}

func renderPaths(out *term.Stream, paths []verify.Path) {
	for _, path := range paths {
		if len(path.Hops) > 0 {
			out.Printf("            upgrade: %s\n", path)
		}
	}
}
