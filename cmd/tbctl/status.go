package main

import (
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

type statusCmd struct {
	Target string `arg:"" optional:"" env:"TBCTL_TARGET" help:"The installed binary (${target})."`
}

// Help is the long help text.
func (c *statusCmd) Help() string {
	return `Shows the installed binary, the one kept beside it, the replicas that run from it
with their running, armed and durable releases, and what will happen next. After an
interrupted installation it says what is on the disk. It changes nothing.

Of each replica: RUNNING is the release that it runs, or "starting" until it has opened
its data file and listens, ARMED the newest of the binary that it holds in memory, OFFERS
the newest that it offers its cluster, and DURABLE the one that its data needs at the
next start.

Examples:

  tbctl status
  tbctl status /opt/tigerbeetle/tigerbeetle --json
` + exitHelp(exitRejected, "the file at TARGET is no multiversion binary")
}

// Run looks and reports.
func (c *statusCmd) Run(a *app) error {
	status, unseen := report.NewStatus(a.ctx, a.installer(), a.target(c.Target))
	if status == nil {
		return unseen
	}
	a.warnAll(status.Warnings)
	// Of the previous file it is said when that is to be put back, and what runs is about to be left.
	a.advise(slices.DeleteFunc(slices.Clone(status.Advisories), func(n advisory.Notice) bool { return n.About != advisory.AboutInstalled }))
	a.emit(status, func(out *term.Stream) {
		render.Status(out, status, "tbctl status "+shell.File(status.Target.Path), unseen != nil)
	})
	target, err := status.Target, status.Problem
	switch {
	case unseen != nil:
		return unseen
	case !target.Exists:
		return failed("tbctl releases lists what there is; then tbctl install RELEASE {target}", fmt.Errorf("%s: nothing is installed", target.Path))
	case err == nil || status.Hides(target.Path):
		return err
	case multiversion.IsPlain(err):
		return rejected("if it is TigerBeetle up to 0.15.3, say so when you install: --from-plain RELEASE", fmt.Errorf("%s is %s", target.Path, status.Installed.Kind))
	case status.Installed.Kind != "":
		return rejected("check the name: is this where TigerBeetle is installed?", fmt.Errorf("%s is %s", target.Path, status.Installed.Kind))
	}
	return fmt.Errorf("%s: %w", target.Path, err)
}
