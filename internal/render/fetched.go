package render

import (
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

// FetchNotes are what an operator must not miss of a fetch, and what else is to be said of it. Token: the environment has one for GitHub.
// DryRun: nothing of it was to be kept.
func FetchNotes(fetched release.Fetched, token, dryRun bool) (warnings, notes []string) {
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if fetched.TokenNote != "" {
		warn("GITHUB_TOKEN is not taken (%s); GitHub was asked without it: renew it, or unset it", fetched.TokenNote)
	}
	for _, evidence := range fetched.Evidence { // what was not compared although it is there or was asked for
		name, github, asked := EvidenceName(evidence.Kind), evidence.Kind == release.EvidenceGitHubDigest, ""
		if github && token {
			asked = " (it was asked for since GITHUB_TOKEN is set)"
		}
		switch {
		case evidence.Status == release.StatusNotChecked:
			warn("%s was not checked: %s%s", name, evidence.Detail, asked)
		case evidence.Status == release.StatusAbsent && github:
			warn("%s is not there: %s%s", name, evidence.Detail, asked)
		}
	}
	if fetched.HeldDamage != "" {
		warn("%s; it was fetched", fetched.HeldDamage)
	}
	if fetched.DeltaNote != "" {
		notes = append(notes, "the delta that the server offers was not used: "+fetched.DeltaNote)
	}
	if fetched.HeldNote != "" {
		notes = append(notes, "what this host has of it was fetched too: "+fetched.HeldNote)
	}
	then := "a download that is cut begins again"
	if dryRun {
		then = "nothing of it is kept, and the real run fetches it again"
	}
	switch {
	case strings.HasPrefix(fetched.CacheNote, "the cache is not used"):
		warn("%s: %s (--cache-dir)", fetched.CacheNote, then)
	case fetched.CacheNote != "":
		notes = append(notes, fetched.CacheNote+": "+then)
	}
	return warnings, notes
}

// Downloaded shows what was fetched, and what vouches for it.
func Downloaded(out *term.Stream, result *report.Downloaded, from, trust string, quiet bool) {
	what := fmt.Sprintf("release %s for %s", result.Report.Binary.Current(), result.Report.Platform)
	if result.Already {
		out.Printf("%s %s is %s already; nothing was touched\n", out.Styles().Good.Render("ok:"), term.Printable(result.Path), what)
		return
	}
	out.Printf("%s %s, %s\n", out.Styles().Good.Render("downloaded:"), term.Printable(result.Path), what)
	if !quiet {
		fields := fetchedFields(&result.Fetched, [2]string{"from", term.Printable(from)}, [2]string{"trust", trust})
		Fields(out, append(fields, [2]string{"sha256", result.Report.SHA256}, size(result.Report.Size)))
		Next(out, result.Next)
	}
}

// fetchedFields are the fields, and how much of it came over the network where that is not all.
func fetchedFields(fetched *release.Fetched, fields ...[2]string) [][2]string {
	if text := Fetched(fetched.BytesFetched, fetched.BytesHeld); text != "" {
		fields = append(fields, [2]string{"fetched", text})
	}
	return fields
}

func size(bytes int64) [2]string {
	return [2]string{"size", fmt.Sprintf("%s (%d bytes)", term.Bytes(bytes), bytes)}
}

// Packed shows what was built.
func Packed(out *term.Stream, result *report.Packed, quiet bool) {
	if result.Already {
		out.Printf("%s %s is that binary already; nothing was touched\n", out.Styles().Good.Render("ok:"), term.Printable(result.Output))
		return
	}
	out.Printf("%s %s for %s, %s: %s\n", out.Styles().Good.Render("packed:"), term.Printable(result.Output), result.Platform, term.Bytes(result.Size), Releases(result.Releases))
	if !quiet {
		Next(out, result.Next)
	}
}

// Extracted shows one file that was taken out.
func Extracted(out *term.Stream, result *report.ExtractedFile) {
	if result.Already {
		out.Printf("%s %s is the executable of %s already; nothing was touched\n", out.Styles().Good.Render("ok:"), term.Printable(result.Path), result.Release)
		return
	}
	out.Printf("%s %s (%s, %s) checksum %s\n", out.Styles().Good.Render("extracted:"), term.Printable(result.Path), result.Release, term.Bytes(result.Size), result.Checksum)
}
