package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/metrics"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

type statusCmd struct {
	Target string   `arg:"" optional:"" env:"TBCTL_TARGET" help:"The installed binary (${target})."`
	More   []string `arg:"" optional:"" name:"more" help:"Of --openmetrics: further targets."`

	OpenMetrics bool `name:"openmetrics" help:"Print metrics for Prometheus instead: of TARGET, or of all targets that this host's configuration names."`
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

--openmetrics prints the same as metrics, for node_exporter's textfile collector on this host:
write them beside the file that it reads, and rename that when the exit code is 0. What
could not be seen is a metric too, and no failure.

Examples:

  tbctl status
  tbctl status /opt/tigerbeetle/tigerbeetle --json
  tbctl status --openmetrics >tbctl.prom.tmp && mv tbctl.prom.tmp tbctl.prom
` + exitHelp(exitRejected, "the file at TARGET is no multiversion binary")
}

// Run looks and reports.
func (c *statusCmd) Run(a *app) error {
	if c.OpenMetrics {
		return c.metrics(a)
	}
	if len(c.More) > 0 {
		return usage("one command for each, or all as metrics: --openmetrics", "more than one target is named")
	}
	status, unseen := report.NewStatus(a.ctx, a.installer(), a.target(c.Target))
	if status == nil {
		return unseen
	}
	a.warnAll(status.Warnings)
	// Of the previous file it is said when that is to be put back.
	a.advise(slices.DeleteFunc(slices.Clone(status.Advisories), func(n advisory.Notice) bool { return n.About == advisory.AboutPrevious }))
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

// metrics prints what the targets show as metrics. What could not be looked at is one of them: whoever reads them is to
// learn of it, and does not where the command fails.
func (c *statusCmd) metrics(a *app) error {
	if a.global.JSON {
		return usage("one of them: --json, or --openmetrics", "--json and --openmetrics are two forms of one answer")
	}
	targets := a.settings().Targets()
	if c.Target != "" {
		targets = append([]string{c.Target}, c.More...)
	}
	for index, target := range targets { // a metric's target is the same one wherever it was asked for
		if path, err := filepath.Abs(target); err == nil {
			targets[index] = path
		}
	}
	store, err := filepath.Abs(a.settings().StoreDir(""))
	if err != nil {
		return err
	}
	shown, err := report.NewHost(a.ctx, a.installer(), readVersion().Version, store, slices.Compact(slices.Sorted(slices.Values(targets))))
	if err != nil {
		return err
	}
	for _, target := range shown.Targets {
		a.warnAll(target.Warnings)
		if target.Problem != "" {
			a.warn("%s", target.Problem)
		}
	}
	return metrics.Host(build(), shown).Write(a.out)
}

// build is this tbctl, for metrics.
func build() metrics.Build {
	version := readVersion()
	return metrics.Build{Version: version.Version, Commit: version.Commit, Go: version.Go}
}
