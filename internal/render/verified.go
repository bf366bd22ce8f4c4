package render

import (
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

// Verified shows the findings, or without the details the answer alone, and the digest.
func Verified(out *term.Stream, result *report.Verified, details, digest bool) {
	if details {
		verifiedDetails(out, result)
	} else if result.Report.SHA256 != "" && digest {
		out.Printf("%s\n", result.Report.SHA256)
	}
	switch {
	case result.Report.Binary == nil && result.Kind.Name != inspect.NameDamaged:
		out.Printf("%s it is %s\n", out.Styles().Bad.Render("rejected:"), result.Kind.Text)
	case !result.Report.Ok:
		out.Printf("%s the file is not whole\n", out.Styles().Bad.Render("rejected:"))
	case slices.ContainsFunc(result.Evidence, func(e release.Evidence) bool { return e.Status == release.StatusFailed }):
		out.Printf("%s the file is whole, but not the one that it should be\n", out.Styles().Bad.Render("rejected:"))
	case result.Fit != nil && !result.Fit.Ok:
		out.Printf("%s the file is whole, but may not replace %s\n", out.Styles().Bad.Render("refused:"), term.Printable(result.Against))
	case result.Fit != nil:
		out.Printf("%s the file is whole and may replace %s\n", out.Styles().Good.Render("ok:"), term.Printable(result.Against))
	default:
		out.Printf("%s the file is whole\n", out.Styles().Good.Render("ok:"))
	}
}

func verifiedDetails(out *term.Stream, result *report.Verified) {
	out.Printf("%s  %s, %s\n\n", out.Styles().Bold.Render(term.Printable(result.File)), result.Kind.Text, term.Bytes(result.Report.Size))
	showFindings(out, result.Report.Findings)
	if result.Report.SHA256 != "" {
		out.Printf("\nsha256  %s\n", result.Report.SHA256)
	}
	evidence(out, result.Evidence)
	if result.Fit != nil {
		out.Printf("\nIn the place of %s:\n\n", term.Printable(result.Against))
		showFindings(out, result.Fit.Findings)
		paths(out, result.Fit.Paths)
	} else if result.Against != "" {
		out.Printf("\nIt was not compared with %s.\n", term.Printable(result.Against))
	}
	out.Println()
}

// evidence prints what was compared with what vouches for the file.
func evidence(out *term.Stream, list []release.Evidence) {
	list = slices.DeleteFunc(slices.Clone(list), func(e release.Evidence) bool {
		return e.Status != release.StatusHeld && e.Status != release.StatusFailed
	})
	if len(list) > 0 {
		out.Printf("\nFrom outside of it:\n\n")
	}
	for _, e := range list {
		out.Printf("%s %s\n", statusText(out, verify.Status(e.Status)), EvidenceName(e.Kind))
		out.Println(out.WrapStyled(out.Styles().Dim, term.Printable(e.Detail), 12))
	}
}

// showFindings prints one line a finding, and what was expected below one
// that failed.
func showFindings(out *term.Stream, findings []verify.Finding) {
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

func paths(out *term.Stream, paths []verify.Path) {
	for _, path := range paths {
		if len(path.Hops) > 0 {
			out.Printf("            upgrade: %s\n", path)
		}
	}
}
