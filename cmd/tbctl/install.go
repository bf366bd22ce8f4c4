package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/handover"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

type installCmd struct {
	Source string `arg:"" help:"A release (0.17.8, 0.17.5-1, latest), a file, a directory of assets, a URL, sha256:HEX or store:RELEASE of the store, or - for standard input."`
	Target string `arg:"" optional:"" env:"TBCTL_TARGET" help:"Where to install (${target})."`

	DryRun bool `short:"n" help:"Fetch and check everything and print the plan, but change nothing."`

	WaitArmed *time.Duration `placeholder:"DURATION" help:"Afterwards wait until every replica on this host holds the new binary in memory; give up when none has come further for this time."`

	Mode  *vfs.Mode     `more:"" placeholder:"OCTAL" help:"Mode of the installed file; otherwise the replaced file's, or 0755."`
	Owner string        `more:"" placeholder:"USER[:GROUP]" help:"Owner of the installed file; otherwise the replaced file's."`
	NoOld bool          `more:"" name:"no-old" help:"Do not keep the replaced file as TARGET-old. There is no rollback then."`
	Wait  time.Duration `more:"" placeholder:"DURATION" help:"Wait that long for another tbctl that works on TARGET, and for a rollout that holds it."`

	DespiteRollout bool `more:"" help:"Go through though a rollout holds this host. It is recorded, and shown by every fleet status."`

	From sourceFlags `embed:""`
	Fit  fitFlags    `embed:""`
}

// Help is the long help text.
func (c *installCmd) Help() string {
	return `Finds what stands against it at TARGET before the first byte is fetched, stages
the new file beside TARGET, verifies what is on the disk, gives it the replaced
file's owner, mode, ACL, capabilities and label, and swaps both in one atomic,
durable step. The replaced file stays as TARGET-old, see "tbctl rollback". A file
that is installed already is left alone. Running it again is always safe.

Examples:

  tbctl install 0.17.8
  tbctl install ./tigerbeetle-x86_64-linux.zip /opt/tigerbeetle/tigerbeetle
  tbctl install 0.17.8 --mirror https://mirror.internal/{tag}/{asset} --require digest
  ssh host tbctl install - < tigerbeetle-x86_64-linux.zip
` + exitHelp(exitRejected, "the file is not whole, not trusted or not what was asked for; nothing has changed",
		exitRefused, "it does not fit what is installed or running; nothing has changed",
		exitBusy, "another tbctl works on TARGET; nothing has changed",
		exitFenced, "a rollout holds this host; nothing has changed",
		exitUnknown, "the state on disk is not known: run \"tbctl status TARGET\"")
}

// Run plans, installs and reports.
func (c *installCmd) Run(a *app) error {
	if c.Wait < 0 {
		return usage("--wait 1m", "a time to wait cannot be negative")
	}
	if err := cmdline.CheckTime("--wait-armed", c.WaitArmed); err != nil {
		return err
	}
	if err := cmdline.CheckOrder(a.line, c.Source, c.Target); err != nil {
		return err
	}
	site := a.site(a.target(c.Target), c.Fit.said())
	request := install.Request{
		Source: c.Source, Mode: c.Mode, DropOld: c.NoOld, Wait: c.Wait, DespiteRollout: c.DespiteRollout,
		Host: multiversion.ThisPlatform(), Guard: a.refuseUnread,
	}
	var err error
	if request.UID, request.GID, err = install.ParseOwner(c.Owner); err != nil {
		return usage("tbctl install --owner USER[:GROUP], names or numbers", "--owner: %w", err)
	}
	c.From.keep, c.From.target = c.DryRun, c.Target
	artifact, err := c.From.resolve(a, c.Source)
	if err != nil {
		return err
	}
	request.Source, request.SizeHint = artifact.Absolute(), handover.SizeHint(artifact)
	request.Near = artifact.Near()
	if !request.Near { // what is here is read: it may be another than its digest says
		request.AlreadyInstalled = handover.AlreadyInstalled(artifact, a.tellFetched)
	}
	if request.Expect, err = artifact.Tag.Releases(); err != nil {
		return err
	}
	a.adviseTag(artifact)
	ctx, end := a.untilReaderGone()
	defer end()
	outcome, err := site.Install(ctx, request, handover.Fetch(artifact, func(ctx context.Context, w io.Writer) (release.Fetched, error) {
		return a.fetch(ctx, artifact, w)
	}), c.DryRun)
	err = orReaderGone(ctx, outcome, err)
	a.emitOutcome(site, outcome, err)
	switch {
	case err != nil || c.WaitArmed == nil:
		return err
	case c.DryRun:
		return c.foreseeArmed(a, site, outcome)
	}
	return c.waitArmed(a, site, outcome)
}

// emitOutcome prints what an operation did or would do.
func (a *app) emitOutcome(site *host.Site, outcome *install.Outcome, err error) {
	a.progress.Done()
	if outcome == nil || !outcome.Changed { // what was swapped is to be told
		interrupt.Set(a.ctx, interrupt.Clears)
	}
	a.host = site.Report
	if outcome == nil {
		return
	}
	if err == nil && (!a.onCommandLine["wait-armed"] || outcome.DryRun) {
		outcome.Next = a.known().Next(outcome)
	}
	for _, warning := range outcome.Plan.Warnings {
		a.warn("%s", warning)
	}
	for _, record := range outcome.Recovered {
		a.warn("an earlier %s of %s was interrupted; found on the disk: %s", record.Operation, record.Target, record.Result)
	}
	a.advise(outcome.Advisories)
	if outcome.Plan.Target.Path == "" {
		return // it ended before there was anything to tell
	}
	a.emit(outcome, func(out *term.Stream) {
		switch {
		case outcome.DryRun && outcome.Plan.New != nil:
			render.Plan(out, outcome, err, !a.global.Quiet)
		case err == nil:
			render.Outcome(out, outcome, !a.global.Quiet)
		}
	})
}

// foreseeArmed says in a dry run what would keep waitArmed from ending well, whatever the replicas do.
func (c *installCmd) foreseeArmed(a *app, site *host.Site, outcome *install.Outcome) error {
	replicas, err := site.ForeseeArmed(a.ctx, outcome.Plan.Action != install.ActionNone)
	outcome.Armed = host.Armed(replicas, err)
	return a.unarmed(outcome, replicas, err)
}

// unarmed is the error of replicas that do not hold the installed binary, or would not. None there is said.
func (a *app) unarmed(outcome *install.Outcome, replicas int, err error) error {
	path, is, then, takes := outcome.Plan.Target.Path, "the file is installed, but", "", "has taken it"
	if outcome.DryRun {
		is, then, takes = "the file can be installed, but", "then ", "would take it"
	}
	var unseen *host.UnseenError
	var strangers *watch.StrangersError
	switch {
	case errors.As(err, &strangers):
		return failed(hintUncounted(strangers, outcome), fmt.Errorf("%s no replica that counts %s: %w", is, takes, err))
	case errors.As(err, &unseen):
		return failed(hints.Unseen(path, unseen.Unseen), fmt.Errorf("%s %s%w", is, then, err))
	case err != nil && replicas == 0:
		return err
	case err != nil:
		return untilError(a, path, fmt.Errorf("%s not every replica %s: %w", is, takes, err))
	case replicas == 0:
		a.warn("no replica runs from %s here: there is nothing to wait for", path)
	}
	return nil
}

// hintUncounted says how to let a replica count that the file was installed for.
func hintUncounted(strangers *watch.StrangersError, outcome *install.Outcome) string {
	until := watch.ConditionRunning
	if outcome.Plan.New != nil {
		until = watch.ConditionArmed + "=" + outcome.Plan.New.Release.String()
	}
	return hints.Strangers(strangers.Processes, outcome.Plan.Target.Path, until)
}

// waitArmed waits until every replica on this host holds the installed binary.
func (c *installCmd) waitArmed(a *app, site *host.Site, outcome *install.Outcome) error {
	ctx, end := a.untilReaderGone()
	defer end()
	replicas, err := site.WaitArmed(ctx, *c.WaitArmed, !outcome.Changed, func(event watch.Event) {
		if event.Process != nil && (event.Process.State == replica.StateStarting || event.Kind == watch.KindReplicaRunning || event.Kind == watch.KindReplicaStopped) {
			a.note("%s", render.ReplicaEvent(event))
		}
	})
	outcome.Armed = host.Armed(replicas, err)
	if err != nil && errors.Is(context.Cause(ctx), errReaderGone) {
		return &hints.Error{
			Of: fault.Interrupted, Hint: "tbctl status " + shell.File(outcome.Plan.Target.Path) + " shows what each replica holds",
			Err: fmt.Errorf("the file is installed, but whether every replica takes it is not waited for any more: %w", context.Cause(ctx)),
		}
	}
	if err := a.unarmed(outcome, replicas, err); err != nil {
		return err
	}
	outcome.Next = a.known().Next(outcome)
	switch {
	case replicas == 1:
		a.note("armed: the replica of this host holds the new binary in memory")
	case replicas > 1:
		a.note("armed: every replica of this host holds the new binary in memory")
	}
	for _, next := range outcome.Next {
		a.note("next, when the other hosts have it too: %s", next)
	}
	return nil
}
