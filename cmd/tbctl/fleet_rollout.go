package main

import (
	"cmp"
	"errors"
	"time"

	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/inventory"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/state"
)

// rolloutFlags are of every command that carries a plan out.
type rolloutFlags struct {
	Parallel int           `more:"" default:"8" placeholder:"COUNT" help:"How many hosts are worked on at the same time (8)."`
	Timeout  time.Duration `more:"" default:"24h" placeholder:"DURATION" help:"End after this time, with exit code 1; what was done stays (24h)."`
	TakeOver bool          `help:"Take the hosts from another run that is alive: that one changes nothing any more."`
	Fleet    fleetFlags    `embed:""`
}

// proveFlags are of the commands that promote, or prove that it may be done.
type proveFlags struct {
	Stable    time.Duration `default:"60s" placeholder:"DURATION" help:"How long a cluster must be seen to be stable without a break before its last replica is swapped (60s)."`
	MaxFailed int           `more:"" default:"0" placeholder:"COUNT" help:"How many clusters of the plan may be blocked while others are changed (0)."`
}

type fleetStageCmd struct {
	Plan     string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Clusters []string     `arg:"" optional:"" help:"Clusters of the plan; all where none is named."`
	Copies   int          `more:"" name:"min-copies" default:"2" placeholder:"COUNT" help:"How many hosts get the file from here before others copy it from those that have a depot (2)."`
	Flags    rolloutFlags `embed:""`
	Store    storeFlags   `embed:""`
}

// Help is the long help text.
func (c *fleetStageCmd) Help() string {
	return `Brings the plan's file into the store of every host: of it only what the host lacks is
sent. Then the host checks it: whether it is whole, fits the installed file and what each
replica runs, whether there is room for the swap, and what the new release says of its own
file. No installed file and no replica is touched, and nothing is claimed.

A host that is down blocks its own cluster; the others go on. The same command again goes
on where this one ended.

Examples:

  tbctl fleet stage plan.json
  tbctl fleet stage plan.json ledger-eu --json
` + exitHelp(exitRejected, "what came is not the plan's file, or not vouched for as a host requires", exitRefused, "the file does not fit a host, or a host is not as the plan has it", exitFenced, "another plan has a host")
}

// Run stages.
func (c *fleetStageCmd) Run(a *app) error {
	if err := cmdline.CheckCount("--min-copies", c.Copies, 1); err != nil {
		return err
	}
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalCheck, run: true, store: c.Store.Store, copies: c.Copies})
}

type fleetArmCmd struct {
	Plan     string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Clusters []string     `arg:"" optional:"" help:"Clusters of the plan; all where none is named."`
	Flags    rolloutFlags `embed:""`
}

// Help is the long help text.
func (c *fleetArmCmd) Help() string {
	return `Claims every host of the clusters, and puts the plan's file in place on all of them but
the holdback, one host after the other: the next one when the replicas of the one before
hold it in memory. The clusters go on running what they run for as long as the holdback
does not swap. A swap that could complete the quorum is not done: it is promote's.

The file must have been staged; a host on which it was not is told, and nothing is changed.
"tbctl fleet abort" is the way back, and "tbctl fleet promote" the way on.

Examples:

  tbctl fleet arm plan.json ledger-eu
` + exitHelp(carryExits...)
}

// Run arms.
func (c *fleetArmCmd) Run(a *app) error {
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalArm})
}

type fleetPromoteCmd struct {
	Plan     string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Clusters []string     `arg:"" help:"Clusters of the plan."`
	Yes      bool         `help:"Do not ask: what runs now does not come back."`
	Prove    proveFlags   `embed:""`
	Flags    rolloutFlags `embed:""`
}

// Help is the long help text.
func (c *fleetPromoteCmd) Help() string {
	return `Swaps the holdback of clusters that are armed, after they were seen to be stable for the
whole of --stable without a break: all alive and the same processes, all answering, one view,
all connected, none more than a checkpoint behind. Then the cluster upgrades by itself, in
seconds, and there is no way back. It is watched until all replicas run the release and
their data files say so.

It asks at a terminal, and wants --yes elsewhere. From the last swap on no failure leads to
anything being put back: the same command goes on watching.

Examples:

  tbctl fleet promote plan.json ledger-eu
  tbctl fleet promote plan.json ledger-eu --yes --stable 5m
` + exitHelp(carryExits...)
}

// Run promotes.
func (c *fleetPromoteCmd) Run(a *app) error {
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalPromote, prove: &c.Prove, yes: c.Yes})
}

type fleetAbortCmd struct {
	Plan     string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Clusters []string     `arg:"" optional:"" help:"Clusters of the plan; all where none is named."`
	Flags    rolloutFlags `embed:""`
}

// Help is the long help text.
func (c *fleetAbortCmd) Help() string {
	return `Puts the previous file back on every host of clusters that were not promoted, one host
after the other, the primary's last: the file, then the replicas are started again by the
host's own means (restart in its configuration, or the unit that they are in), and the next
host when all serve again in one view. A replica that does not come back stops it.

All hosts of a cluster must be reachable: one that cannot be seen may have been promoted. Of
a cluster whose promotion has begun nothing is put back.

Examples:

  tbctl fleet abort plan.json ledger-eu
` + exitHelp(carryExits...)
}

// Run aborts.
func (c *fleetAbortCmd) Run(a *app) error {
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalAbort})
}

type fleetRunCmd struct {
	Plan  string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Until string       `enum:"staged,armed,promoted" default:"promoted" placeholder:"STEP" help:"Where to end: staged, armed, or promoted (promoted)."`
	Yes   bool         `help:"Do not ask: what runs now does not come back."`
	Prove proveFlags   `embed:""`
	Flags rolloutFlags `embed:""`
	Store storeFlags   `embed:""`
}

// Help is the long help text.
func (c *fleetRunCmd) Help() string {
	return `Stages and checks all clusters of the plan, and then arms, proves and promotes them wave by
wave, with the time that the inventory names between two waves (soak). Each step is that of
"tbctl fleet stage", "arm" and "promote"; what is done already is not done again.

It asks at a terminal, and wants --yes elsewhere, unless it ends before the promotion. Ctrl-C
pauses: the same command goes on.

Examples:

  tbctl fleet run plan.json
  tbctl fleet run plan.json --until armed
` + exitHelp(carryExits...)
}

// Run does all of it.
func (c *fleetRunCmd) Run(a *app) error {
	goals := map[string]fleet.Goal{"staged": fleet.GoalCheck, "armed": fleet.GoalArm, "promoted": fleet.GoalPromote}
	return a.carryOut(c.Plan, nil, c.Flags, carrying{goal: goals[c.Until], run: true, store: c.Store.Store, prove: &c.Prove, yes: c.Yes})
}

type fleetStopCmd struct {
	Plan     string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Clusters []string     `arg:"" optional:"" help:"Clusters of the plan; all where none is named."`
	Flags    rolloutFlags `embed:""`
}

// Help is the long help text.
func (c *fleetStopCmd) Help() string {
	return `Takes every host from whichever run of the plan has it, and gives it back: that run changes
nothing more, and neither does this one. What was staged or armed stays as it is.

Examples:

  tbctl fleet stop plan.json
` + exitHelp(carryExits...)
}

// Run stops.
func (c *fleetStopCmd) Run(a *app) error {
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalStop})
}

// carryExits are the exit codes of the commands that change hosts by a plan.
var carryExits = []any{
	exitRejected, "the file is damaged, or not vouched for as a host requires", exitRefused, "a host is not as the plan has it, or the step may not be done",
	exitBusy, "another process works on a target", exitUnknown, "which file is at a target is not known", exitFenced, "another run or a newer plan has a host",
}

// pace is how fast a rollout goes; 0: as the libraries have it.
type pace struct {
	look time.Duration // from one look to the next
	calm time.Duration // between two steps of an abort
}

// rolloutPace is another one in tests alone.
var rolloutPace pace

// carrying is what a command does with a plan.
type carrying struct {
	goal   fleet.Goal
	run    bool        // all phases up to the goal, and what is brought is sent from here
	store  string      // the artifact's
	copies int         // hosts that get the artifact from here
	prove  *proveFlags // nil: nothing is promoted
	yes    bool        // it is not asked before what cannot be undone
}

// carryOut carries a plan out, and shows how far that is.
func (a *app) carryOut(file string, clusters []string, flags rolloutFlags, do carrying) error {
	a.compact = true // each change is a line, and so is the document
	if err := cmp.Or(cmdline.CheckTime("--timeout", &flags.Timeout), do.prove.check(), cmdline.CheckCount("--parallel", flags.Parallel, 1)); err != nil {
		return err
	}
	plan, id, err := rollout.ReadPlan(file)
	if err != nil {
		return err
	}
	dialer, list, err := a.dialer(flags.Fleet)
	if err != nil {
		return err
	}
	asks := do.goal.Final() && !do.yes && len(plan.Clusters) > 0
	if asks && !term.IsTerminal(a.std.in) {
		return usage("in a script say so: --yes", "the upgrade of a cluster cannot be undone, and nobody is there to be asked")
	}
	dialer.Sessions = inventory.HostsMax // it looks at all of them again and again, and starts none of them for that again
	sessions := &rollout.Sessions{Dialer: dialer}
	defer sessions.Close()
	holder, secret := rollout.NewHolder(whoAmI())
	options := rollout.Options{
		Plan: plan, ID: id, File: file, Goal: do.goal, Run: do.run, Clusters: clusters, Timeout: flags.Timeout, Hosts: sessions.Host, Holder: holder, Secret: secret,
		Rules: fleet.Options{Parallel: flags.Parallel, TakeOver: flags.TakeOver, MinCopies: do.copies, Calm: rolloutPace.calm}, Interval: rolloutPace.look,
		Guard: a.unheard, Journal: a.rollouts(), Others: func(other state.Holder) { a.warn("%v: its hosts are taken over", &state.HeldError{Holder: other}) },
		Warn: func(err error) { a.warn("%v", err) },
	}
	if do.prove != nil {
		options.Rules.Stable, options.Rules.MaxFailed = do.prove.Stable, do.prove.MaxFailed
	}
	compared := do.run // what the plan says of its file with the file
	if do.run {
		store, err := a.depot(do.store)
		if err != nil {
			return err
		}
		a.progress.Start("verifying the artifact", -1)
		options.Artifact, err = rollout.OpenPlanned(a.ctx, store, plan, serve.Kept(store))
		a.progress.Done()
		if err != nil {
			return err
		}
		defer options.Artifact.Close()
		a.tellClaimed(options.Artifact)
		registry, end, err := a.registry(list.Artifacts, options.Artifact)
		if err != nil {
			return err
		}
		defer end()
		options.Registry = registry
	}
	if do.goal.Final() && !do.run {
		if compared, err = a.compared(plan); err != nil {
			return err
		}
	}
	if asks {
		if err := a.confirm(plan, clusters, compared); err != nil {
			return err
		}
	}
	switch options.Shared, err = a.sharedState(flags.Fleet, list); {
	case err == nil:
		defer options.Shared.Close()
	case do.goal.Swaps():
		return err
	default:
		a.warn("whether the plan's generation was given here is not known: %v", err)
		options.Shared = nil
	}
	shown := &shownRollout{a: a}
	if a.out.Redraws() && !a.global.JSON {
		shown.frame, options.Linger = a.out.NewFrame(), true
	}
	options.Show = shown.show
	ctx, end := interrupt.Unless(a.ctx, a.readerGone)
	defer end()
	result, err := rollout.Run(ctx, options)
	if err == nil || fault.Of(err) == fault.Interrupted {
		err = cmp.Or(a.readerGone(ctx), err)
	}
	if result == nil {
		return err
	}
	if journalErr := options.Journal.Err(); journalErr != nil {
		a.warn("%v", journalErr)
	}
	a.emit(result, func(out *term.Stream) {
		if shown.frame != nil {
			shown.frame.End(func(out *term.Stream) { render.Rollout(out, result) })
			return
		}
		render.Rollout(out, result)
	})
	return err
}

// check refuses what cannot be waited for or counted.
func (p *proveFlags) check() error {
	if p == nil { // of a command without them
		return nil
	}
	return cmp.Or(cmdline.CheckTime("--stable", &p.Stable), cmdline.CheckCount("--max-failed", p.MaxFailed, 0))
}

// shownRollout is what is shown of a rollout while it goes on.
type shownRollout struct {
	a      *app
	frame  *term.Frame // nil: there is no terminal to draw at
	before *report.Rollout
}

func (s *shownRollout) show(now *report.Rollout) {
	if s.frame != nil {
		s.frame.Draw(func(out *term.Stream) { render.Rollout(out, now) })
		return
	}
	at := time.Now()
	for _, change := range now.Changes(s.before, at.UTC()) {
		line := report.RolloutLine{Version: report.Version, Command: s.a.command, Rollout: change}
		s.a.tell(line, at, func(when string) {
			if !s.a.global.Quiet {
				s.a.out.Printf("%s %s\n", when, render.RolloutChange(s.a.out, &change))
			}
		})
	}
	s.before = now
}

// tellClaimed warns of what a plan alone says vouches for its file.
func (a *app) tellClaimed(artifact *rollout.Artifact) {
	for _, e := range artifact.Evidence {
		if e.Status == release.StatusNotChecked {
			a.warn("the plan says that %s vouches for its file; that was not checked here: %s", e.Kind, e.Detail)
		}
	}
}

// compared says whether what a plan says of its file was compared with the file, for a command that brings it nowhere: if the store of this
// machine has it. The error is that of a plan which says something else.
func (a *app) compared(plan *fleet.Plan) (bool, error) {
	store, err := a.depot("")
	if err == nil {
		err = rollout.CheckPlanned(a.ctx, store, plan)
	}
	if errors.Is(err, fleet.ErrArtifact) {
		return false, err
	}
	return err == nil, nil
}

// confirm asks a person before what cannot be undone.
func (a *app) confirm(plan *fleet.Plan, clusters []string, compared bool) error {
	a.err.Printf("%sType the release to go on: ", render.NoWayBack(plan, clusters, compared))
	text, err := term.ReadLine(a.ctx, a.in)
	if err == nil && text != plan.Artifact.Release.String() {
		return usage("the answer is "+plan.Artifact.Release.String(), "not confirmed: nothing was done")
	}
	return err
}
