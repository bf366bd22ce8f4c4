package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/internal/page"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/vfs"
)

const pageMode vfs.Mode = 0o644

type fleetReportCmd struct {
	Plan    string `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Output  string `short:"o" placeholder:"FILE" type:"path" help:"Where to write the page."`
	Force   bool   `short:"f" help:"Replace FILE if it exists."`
	Offline bool   `help:"Ask no host: what was planned, and what was done from this machine."`

	Fleet fleetFlags `embed:""`
	Store storeFlags `embed:""`
}

// Help is the long help text.
func (c *fleetReportCmd) Help() string {
	return `Writes one HTML page for the change record: the plan, who vouches for its file by the store
of this machine, and what the plan alone says of that; each host with what happened there and what it shows now, each check with its evidence, the
requests that failed with all their causes, and what was not checked or cannot be seen. The
page needs no network and no script.

What happened is from the journal of requests of this machine and user. Every host is asked
what it shows and, where the plan's file is not installed, what it makes of that file; nothing
is changed there, and nothing is locked. The page is written also when a host cannot be asked,
and says so; the exit code is 1 then.

Examples:

  tbctl fleet report plan.json -o report.html
  tbctl fleet report plan.json -o report.html --offline
  tbctl fleet report plan.json --json
` + exitHelp()
}

// Run asks, and writes the page.
func (c *fleetReportCmd) Run(a *app) error {
	if c.Output == "" && !a.global.JSON {
		return usage("-o report.html, or --json", "it is not said where the page is to be written")
	}
	if c.Output == "-" {
		return usage("name a file: -o report.html", "-o -: the page is written to a file")
	}
	if _, err := os.Lstat(c.Output); c.Output != "" && err == nil && !c.Force {
		return &fs.PathError{Op: "create", Path: c.Output, Err: fs.ErrExist}
	}
	if err := a.checkOutput(c.Output, c.Plan); err != nil {
		return err
	}
	plan, id, err := rollout.ReadPlan(c.Plan)
	if err != nil {
		return err
	}
	store, err := a.existing(c.Store.Store)
	if err != nil {
		return err
	}
	options := rollout.RecordOptions{
		Store: store, Plan: plan, ID: id, File: c.Plan, By: whoAmI(), Tbctl: readVersion().Version, Now: time.Now(),
		Journal: a.rollouts(),
	}
	if !c.Offline {
		dialer, _, err := a.dialer(c.Fleet)
		if err != nil {
			return err
		}
		options.Dial = dialer.Dial
	}
	a.progress.Start("looking at the hosts", -1)
	result := rollout.Record(a.ctx, options)
	a.progress.Done()
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	if c.Output != "" {
		if err := durable.WriteFile(vfs.OS(), c.Output, pageMode, c.Force, func(w io.Writer) error { return page.Write(w, result) }); err != nil {
			return err
		}
		result.Page = c.Output
	}
	a.emit(result, func(out *term.Stream) { render.FleetReport(out, result) })
	return result.Err()
}
