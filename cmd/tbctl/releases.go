package main

import (
	"errors"
	"io/fs"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

type releasesCmd struct {
	Target string     `arg:"" optional:"" env:"TBCTL_TARGET" help:"Mark what is installed here and what can be reached from it (${target})."`
	Last   int        `short:"l" default:"20" help:"Only the newest so many (20, and with --json all); 0 for all."`
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

// Run lists the releases.
func (c *releasesCmd) Run(a *app) error {
	listing, err := release.List(a.ctx, c.From.options(a))
	if err != nil {
		return err
	}
	a.tellFetched(release.Fetched{TokenNote: listing.TokenNote})
	installed := installedRelease(a, a.target(c.Target))
	result := &report.Releases{
		Source: listing.Source, Location: listing.Location, Installed: installed, Releases: release.Reach(listing.Releases, installed), Truncated: listing.Truncated,
	}
	if left := len(result.Releases) - c.Last; a.global.JSON && a.onCommandLine["last"] && c.Last > 0 && left > 0 {
		result.Releases, result.LeftOut = result.Releases[:c.Last], left
	}
	a.emit(result, func(out *term.Stream) { render.ReleasesFound(out, result, c.Last) })
	return nil
}

// installedRelease is the current release of the file at the target, or 0.
func installedRelease(a *app, target string) multiversion.Release {
	file, err := multiversion.Open(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0
	case err != nil:
		a.warn("what is installed cannot be seen: %v", err)
		return 0
	}
	defer file.Close()
	return file.Current()
}
