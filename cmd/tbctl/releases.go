package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

type releasesCmd struct {
	Target string     `arg:"" optional:"" env:"TBCTL_TARGET" help:"Mark what is installed here and what can be reached from it (${target})."`
	Last   int        `short:"l" default:"20" help:"At most that many in the table; 0 for all."`
	From   placeFlags `embed:""`
}

// Help is the long help text.
func (c *releasesCmd) Help() string {
	return `Lists the releases that there are, by GitHub's API or in a directory, and marks
the installed one, those that can be installed over it in one step, and known
advisories. The steps are what the usual pack of the four releases before would
allow; the binary itself is judged when it is installed. With --platform or --debug
only those are listed that have such an asset.

Examples:

  tbctl releases
  tbctl releases --mirror /srv/tigerbeetle
  GITHUB_TOKEN=… tbctl releases --json
` + exitHelp()
}

// listedRelease is one line of the result.
type listedRelease struct {
	release.Listed
	Installed bool `json:"installed"`
	// Steps is how many installations it takes from the installed release; 0
	// for the installed one and older ones, and if nothing is installed.
	Steps int `json:"steps"`
	// Via are the releases to install first.
	Via []release.Tag `json:"via,omitempty"`
}

// releasesResult is the result of the command.
type releasesResult struct {
	Source    release.SourceKind   `json:"source"`
	Location  string               `json:"location"`
	Installed multiversion.Release `json:"installed,omitzero"` // at the target, if anything is
	Releases  []listedRelease      `json:"releases"`           // the newest first
	Truncated bool                 `json:"truncated"`          // the source has more than were asked for
}

// Run lists the releases.
func (c *releasesCmd) Run(a *app) error {
	listing, err := release.List(a.ctx, c.From.options(a))
	if err != nil {
		return err
	}
	a.tellToken(listing.TokenNote)
	if err := c.keepAsked(&listing); err != nil {
		return err
	}
	installed := installedRelease(a.target(c.Target))
	lines := reach(listing.Releases, installed)
	result := releasesResult{listing.Source, listing.Location, installed, lines, listing.Truncated}
	a.emit(result, func(out *term.Stream) { c.render(out, lines, installed) })
	return nil
}

// keepAsked leaves out the releases that have no asset for the platform or the build that is asked for.
func (c *releasesCmd) keepAsked(listing *release.Listing) error {
	if c.From.Platform == "" && !c.From.Debug {
		return nil
	}
	platform, err := c.From.Platform, error(nil)
	if platform == "" {
		if platform, err = release.HostPlatform(); err != nil {
			return err
		}
	}
	name := release.AssetName(platform, c.From.Debug)
	listing.Releases = slices.DeleteFunc(listing.Releases, func(listed release.Listed) bool {
		return !slices.ContainsFunc(listed.Assets, func(asset release.ListedAsset) bool { return asset.Name == name })
	})
	return nil
}

// installedRelease is the current release of the file at the target, or 0.
func installedRelease(target string) multiversion.Release {
	file, err := multiversion.Open(target)
	if err != nil {
		return 0
	}
	defer file.Close()
	return file.Current()
}

// packReach is how many releases back a binary's pack goes: the newest three
// past releases of the binary before, and that one's own.
const packReach = 4

// reach finds the way from the installed release to each newer one. listed is
// newest first; re-releases share a number.
func reach(listed []release.Listed, installed multiversion.Release) []listedRelease {
	var numbers []multiversion.Release // oldest first, each once
	tags := make(map[multiversion.Release]release.Tag)
	for _, line := range slices.Backward(listed) {
		number, err := multiversion.ParseRelease(line.Release)
		if err != nil {
			continue
		}
		tags[number] = line.Tag // a re-release stands behind what it replaces
		if !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	if place, listed := slices.BinarySearch(numbers, installed); installed != 0 && !listed {
		numbers = slices.Insert(numbers, place, installed) // the source need not have it
	}
	from := slices.Index(numbers, installed)
	lines := make([]listedRelease, len(listed))
	for index, line := range listed {
		lines[index] = listedRelease{Listed: line}
		number, err := multiversion.ParseRelease(line.Release)
		to := slices.Index(numbers, number)
		if err != nil || from < 0 || to < 0 {
			continue
		}
		lines[index].Installed = to == from
		for at := to; at > from; at -= packReach {
			lines[index].Steps++
			if at != to {
				lines[index].Via = append([]release.Tag{tags[numbers[at]]}, lines[index].Via...)
			}
		}
	}
	return lines
}

func (c *releasesCmd) render(out *term.Stream, lines []listedRelease, installed multiversion.Release) {
	if c.Last > 0 && len(lines) > c.Last {
		lines = lines[:c.Last]
	}
	var rows [][]string
	for _, line := range lines {
		tag := string(line.Tag)
		if tag == "" { // a directory with the assets of one release
			tag = "not said"
		}
		rows = append(rows, []string{tag, publishedText(line), reachText(out, line, installed), advisoryText(out, line)})
	}
	out.Printf("%s", out.Table([]term.Column{{Title: "release"}, {Title: "published", Drop: 2}, {Title: "from here"}, {Title: "advisory"}}, rows))
	renderAdvisories(out, lines)
}

// renderAdvisories prints what the advisories of the lines say, each once, below
// the table: they are too long for a column and too important to be left out.
func renderAdvisories(out *term.Stream, lines []listedRelease) {
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

func publishedText(line listedRelease) string {
	if line.Published.IsZero() {
		return "-"
	}
	return line.Published.Format("2006-01-02")
}

func reachText(out *term.Stream, line listedRelease, installed multiversion.Release) string {
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
func advisoryText(out *term.Stream, line listedRelease) string {
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
