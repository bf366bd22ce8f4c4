package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

type watchCmd struct {
	Target   string               `arg:"" optional:"" env:"TBCTL_TARGET" help:"The installed binary (${target})."`
	Until    string               `placeholder:"CONDITION" help:"End when every replica is so: armed=RELEASE, offered=RELEASE, durable=RELEASE, running=RELEASE, serving=RELEASE, running or serving."`
	Timeout  *time.Duration       `placeholder:"DURATION" help:"End after this time in all; with --until that is a failure."`
	Patience *time.Duration       `placeholder:"DURATION" help:"With --until: give up when no replica has come further for this time."`
	Interval time.Duration        `more:"" placeholder:"DURATION" default:"1s" help:"The time between two looks."`
	Running  multiversion.Release `more:"" placeholder:"RELEASE" help:"Judge for a replica that runs this release, while none is found."`

	DataFile      []string `more:"" placeholder:"FILE" type:"path" help:"A data file of a replica of TARGET: what its owner runs counts; repeatable."`
	IgnoreProcess []int    `more:"" placeholder:"PID" help:"A process that is no replica of this cluster, whatever it looks like; repeatable."`
}

// Help is the long help text.
func (c *watchCmd) Help() string {
	return `Does with the binary what a replica does: looks at it once a second, and at once
when the kernel tells, reads and verifies it when anything changed, and says what each
replica makes of it, in upstream's own words. With --json each event is one line, and
the last line is the usual document.

A replica that is started, or changes its release, is starting until it has executed the
release of its data file, opened that file and listens. --until waits for every replica
that runs from TARGET:

  armed=RELEASE    holds a binary with the release in memory
  offered=RELEASE  offers the release to its cluster
  durable=RELEASE  has made its last checkpoint with the release: its data file says so
  running=RELEASE  runs the release, and listens
  serving=RELEASE  runs the release, and answers a client's ping at its own address

running and serving alone are for whatever release it runs. A replica that a signal has
stopped runs and serves nothing.

A replica counts if its user is root, an account of the system, the owner of TARGET, of its
directory or of a data file that was seen before or is named by --data-file, or if it runs
in a service or a container of the system. One of any other user is told of, and neither
meets nor hinders the condition. If it is the only one, a wait without --timeout and
--patience ends at once.

Each stop on the way to a release starts every replica again, which takes minutes under
load: --patience counts from the last time that a replica came further, --timeout from
the start.

Examples:

  tbctl watch
  tbctl watch --until armed=0.17.8 --patience 30s
  tbctl watch /opt/tigerbeetle/tigerbeetle --until serving=0.17.8 --patience 5m --json
` + exitHelp()
}

// Run follows the binary.
func (c *watchCmd) Run(a *app) error {
	if err := cmp.Or(cmdline.CheckTime("--timeout", c.Timeout), cmdline.CheckTime("--patience", c.Patience), cmdline.CheckTime("--interval", &c.Interval)); err != nil {
		return err
	}
	if c.Patience != nil && c.Until == "" {
		return usage("say what is waited for: --until serving", "--patience is of --until, which is not there")
	}
	for _, name := range c.DataFile {
		if _, err := datafile.ReadFile(a.ctx, name); err != nil {
			return &host.DataFileError{Name: name, Err: err}
		}
	}
	a.compact = true
	query, there, err := a.site(a.target(c.Target), host.Said{DataFiles: c.DataFile, Ignore: c.IgnoreProcess}).Watched()
	if errors.Is(err, vfs.ErrNoDirectory) {
		return usage("check the name; what is not installed yet is waited for, where its directory is there", "%w", err)
	}
	if err != nil {
		return err
	}
	path := query.Target
	if !there {
		a.note("nothing is installed at %s yet: waiting for it", path)
	}
	a.warnAll(host.Ignored(a.ctx, query))
	ctx, stop := a.whileRead()
	defer stop()
	cancel := func() {}
	if c.Timeout != nil {
		ctx, cancel = context.WithTimeout(ctx, *c.Timeout)
	}
	defer cancel()
	options := watch.Options{Interval: c.Interval, Running: c.Running, Replicas: query.Options()}
	if c.Patience != nil {
		options.Patience = *c.Patience
	}
	if c.Until == "" {
		return c.follow(ctx, a, path, options)
	}
	condition, err := cmdline.Condition(a.line, c.Until)
	if err != nil {
		return err
	}
	each := a.event
	if a.global.Quiet && !a.global.JSON { // the answer alone
		each = func(event watch.Event) { a.advise(report.OnTheWay(event, a.allAdvisories())) }
	}
	outcome, err := watch.Until(ctx, path, condition, options, each)
	if err != nil && errors.Is(context.Cause(ctx), syscall.EPIPE) {
		return a.lostResult(syscall.EPIPE)
	}
	a.emit(outcome, func(out *term.Stream) {
		if outcome.Met {
			out.Printf("%s %s\n", out.Styles().Good.Render("met:"), condition)
		}
	})
	return untilError(a, path, err)
}

// follow prints events until the time is up or a signal comes.
func (c *watchCmd) follow(ctx context.Context, a *app, path string, options watch.Options) error {
	for event, err := range watch.Watch(ctx, path, options) {
		if err != nil {
			switch cause := interrupt.Cause(a.ctx); {
			case cause != nil:
				return cause
			case errors.Is(context.Cause(ctx), syscall.EPIPE):
				return a.lostResult(syscall.EPIPE)
			case errors.Is(err, context.DeadlineExceeded):
				return nil
			}
			return err
		}
		a.event(event)
		if a.out.Err() != nil {
			return a.lostResult(fmt.Errorf("write an event: %w", a.out.Err()))
		}
	}
	return nil
}

// untilError makes a condition that was not met in time a plain failure.
func untilError(a *app, path string, err error) error {
	if err == nil {
		return nil
	}
	if cause := interrupt.Cause(a.ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return failed(hints.Until(path, err), err)
}

// event prints one event as it happens.
func (a *app) event(event watch.Event) {
	a.advise(report.OnTheWay(event, a.allAdvisories()))
	line := report.Event{Version: report.Version, Command: a.command, Event: event}
	a.tell(line, event.Time, func(when string) { a.out.Printf("%s %s\n", when, render.Event(a.out, event)) })
}
