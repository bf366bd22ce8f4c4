package render

import (
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

// ReleasesFound shows the newest releases as a table, at most so many unless last is 0, and what the
// advisories of these say.
func ReleasesFound(out *term.Stream, result *report.Releases, last int) {
	lines := result.Releases
	if last > 0 && len(lines) > last {
		lines = lines[:last]
	}
	var rows [][]string
	for _, line := range lines {
		tag := string(line.Tag)
		if tag == "" { // a directory with the assets of one release
			tag = "not said"
		}
		rows = append(rows, []string{tag, publishedText(line), reachText(out, line, result.Installed), advisoryText(out, line)})
	}
	out.Printf("%s", out.Table([]term.Column{{Title: "release"}, {Title: "published", Drop: 2}, {Title: "from here"}, {Title: "advisory"}}, rows))
	advisories(out, lines)
}

// advisories prints what the advisories of the lines say, each once, below
// the table: they are too long for a column and too important to be left out.
func advisories(out *term.Stream, lines []release.Reachable) {
	shown := make(map[string]bool)
	for _, line := range lines {
		for _, advisory := range line.Advisories {
			if shown[advisory.ID] {
				continue
			}
			if len(shown) == 0 {
				out.Println()
			}
			shown[advisory.ID] = true
			out.Println(out.Wrap(advisory.ID+": "+advisory.Text, 0))
		}
	}
}

func publishedText(line release.Reachable) string {
	if line.Published.IsZero() {
		return "-"
	}
	return line.Published.Format("2006-01-02")
}

func reachText(out *term.Stream, line release.Reachable, installed multiversion.Release) string {
	switch {
	case line.Installed:
		return out.Styles().Good.Render("installed")
	case installed == 0:
		return "-"
	case line.Steps == 0:
		return "older"
	case line.Steps == 1:
		return "in one step"
	case len(line.Via) == 1:
		return fmt.Sprintf("after %s", line.Via[0])
	}
	return fmt.Sprintf("after %s and %d more", line.Via[0], len(line.Via)-1)
}

// advisoryText names the advisories of a release, and says first if it is to be skipped.
func advisoryText(out *term.Stream, line release.Reachable) string {
	var names []string
	for _, advisory := range line.Advisories {
		name := advisory.ID
		if advisory.Skip {
			name = out.Styles().Warn.Render(name)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
