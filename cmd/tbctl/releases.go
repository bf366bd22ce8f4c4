package main

import (
	"slices"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
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
	result := &report.Releases{
		Source: listing.Source, Location: listing.Location, Installed: installed, Releases: release.Reach(listing.Releases, installed), Truncated: listing.Truncated,
	}
	a.emit(result, func(out *term.Stream) { render.ReleasesFound(out, result, c.Last) })
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
