package render

import (
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/release"
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
