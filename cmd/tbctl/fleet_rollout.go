package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/inventory"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/vfs"
)

// rolloutFlags are of every command that carries a plan out.
type rolloutFlags struct {
	Parallel int           `default:"8" placeholder:"COUNT" help:"How many hosts are worked on at the same time (8)."`
	Timeout  time.Duration `default:"24h" placeholder:"DURATION" help:"End after this time, with exit code 1; what was done stays (24h)."`
	TakeOver bool          `help:"Take the hosts from another run that is alive: that one changes nothing any more."`
	Fleet    fleetFlags    `embed:""`
}

// proveFlags are of the commands that promote, or prove that it may be done.
type proveFlags struct {
	Stable    time.Duration `default:"60s" placeholder:"DURATION" help:"How long a cluster must be seen to be stable without a break before its last replica is swapped (60s)."`
	MaxFailed int           `default:"0" placeholder:"COUNT" help:"How many clusters of the plan may be blocked while others are changed (0)."`
}

type fleetStageCmd struct {
	Plan     string       `arg:"" type:"path" help:"The plan's file, of tbctl fleet plan."`
	Clusters []string     `arg:"" optional:"" help:"Clusters of the plan; all where none is named."`
	Copies   int          `name:"min-copies" default:"2" placeholder:"COUNT" help:"How many hosts get the file from here before others copy it from those that have a depot (2)."`
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
	if err := checkCount("--min-copies", c.Copies, 1); err != nil {
		return err
	}
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalCheck, run: true, sends: true, store: c.Store.Store, copies: c.Copies})
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
	return a.carryOut(c.Plan, c.Clusters, c.Flags, carrying{goal: fleet.GoalPromote, prove: &c.Prove, ask: true, yes: c.Yes})
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
	do := carrying{run: true, sends: true, store: c.Store.Store, prove: &c.Prove}
	switch c.Until {
	case "staged":
		do.goal = fleet.GoalCheck
	case "armed":
		do.goal = fleet.GoalArm
	default:
		do.goal, do.ask, do.yes = fleet.GoalPromote, true, c.Yes
	}
	return a.carryOut(c.Plan, nil, c.Flags, do)
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
	goal  fleet.Goal
	run   bool   // with the changes of the phases before
	sends bool   // it brings the artifact
	store string // where that is

	copies int // hosts that get it from here before others copy it; 0: as many as package fleet says

	prove *proveFlags // nil: nothing is promoted
	ask   bool        // before it begins, since there is no way back
	yes   bool
}

// carryOut carries a plan out, and shows how far that is.
func (a *app) carryOut(file string, clusters []string, flags rolloutFlags, do carrying) error {
	a.compact = true // each change is a line, and so is the document
	if err := cmp.Or(cmdline.CheckTime("--timeout", &flags.Timeout), do.prove.check(), checkCount("--parallel", flags.Parallel, 1)); err != nil {
		return err
	}
	plan, id, err := readPlan(file)
	if err != nil {
		return err
	}
	list, err := a.connections(flags.Fleet)
	if err != nil {
		return err
	}
	if do.ask && !do.yes {
		if err := a.confirm(plan, clusters); err != nil {
			return err
		}
	}
	// It looks at all of them again and again, and starts none of them for that again.
	sessions := &rollout.Sessions{Dialer: &remote.Dialer{SSH: list.SSH, Become: list.Become, Sessions: inventory.HostsMax}}
	defer sessions.Close()
	options := rollout.Options{
		Plan: plan, ID: id, File: file, Goal: do.goal, Run: do.run, Clusters: clusters, Timeout: flags.Timeout, Hosts: sessions.Host,
		Holder: fleet.Holder{ID: newRunID(), Who: whoAmI(), Since: time.Now().UTC().Truncate(time.Second)},
		Rules:  fleet.Options{Parallel: flags.Parallel, TakeOver: flags.TakeOver, MinCopies: do.copies, Calm: rolloutPace.calm}, Interval: rolloutPace.look,
		Journal: &rollout.Journal{FS: vfs.OS(), Dir: a.stateDir()},
	}
	if do.prove != nil {
		options.Rules.Stable, options.Rules.MaxFailed = do.prove.Stable, do.prove.MaxFailed
	}
	if do.sends {
		artifact, err := a.openPlanned(plan, do.store)
		if err != nil {
			return err
		}
		defer artifact.Close()
		options.Artifact = artifact
	}
	shown := &shownRollout{a: a}
	if a.out.Redraws() && !a.global.JSON {
		shown.frame, options.Linger = a.out.NewFrame(), true
	}
	options.Show = shown.show
	ctx := a.ctx
	switch do.goal {
	case fleet.GoalArm, fleet.GoalPromote, fleet.GoalAbort: // stop takes the hosts from who works on them, and staging changes no target
		held, end, err := a.hold(flags, list, plan, clusters)
		if err != nil {
			return err
		}
		defer end()
		ctx = held
	}
	result, err := rollout.Run(ctx, options)
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
	if failed, ok := errors.AsType[*rollout.Error](err); ok {
		return &hints.Error{Of: failed.Class(), Hint: hintRollout(failed), Err: err}
	}
	return err
}

// hintRollout is what to do about a run that ended before its goal.
func hintRollout(failed *rollout.Error) string {
	if failed.Class() == fault.Fenced {
		return "see who has the hosts: tbctl fleet status; to take them over from another run, on purpose: --take-over"
	}
	for _, problem := range failed.Problems {
		if problem.Hint != "" && problem.Class() == failed.Class() {
			return problem.Hint
		}
	}
	return "each obstacle has a line that says where; mend it, and run the same command again"
}

// check refuses what cannot be waited for or counted.
func (p *proveFlags) check() error {
	if p == nil { // of a command without them
		return nil
	}
	return cmp.Or(cmdline.CheckTime("--stable", &p.Stable), checkCount("--max-failed", p.MaxFailed, 0))
}

// checkCount refuses a number that is too small.
func checkCount(flag string, given, least int) error {
	if given < least {
		return usage(fmt.Sprintf("%s %d", flag, max(1, least)), "%s %d: it must be %d or more", flag, given, least)
	}
	return nil
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
		switch {
		case s.a.global.JSON:
			_ = s.a.writeJSON(report.RolloutLine{Version: report.Version, Command: s.a.command, Rollout: change}, "") // its error is kept by the stream
		case !s.a.global.Quiet:
			s.a.out.Printf("%s %s\n", s.a.out.Styles().Dim.Render(at.Local().Format("15:04:05.000")), render.RolloutChange(s.a.out, &change))
		}
	}
	s.before = now
}

// readPlan reads a plan's file.
func readPlan(name string) (*fleet.Plan, string, error) {
	file, _, err := vfs.OpenFile(name, nil)
	var text []byte
	if err == nil {
		defer file.Close()
		text, err = io.ReadAll(io.LimitReader(file, fleet.PlanSizeMax+1))
	}
	if err != nil {
		return nil, "", &hints.Error{Of: fault.Usage, Hint: "make one: tbctl fleet plan RELEASE -o " + shell.File(name), Err: err}
	}
	plan, id, err := fleet.ParsePlan(text)
	if err != nil {
		return nil, "", &hints.Error{Of: fault.Usage, Hint: "make a new one: tbctl fleet plan RELEASE -o FILE", Err: fmt.Errorf("%s: %w", name, err)}
	}
	return plan, id, nil
}

// connections are how hosts are reached, as the list of hosts says it; without a list as ssh does by itself.
func (a *app) connections(flags fleetFlags) (*fleet.Inventory, error) {
	name, text, err := inventory.Find(flags.Fleet, a.getenv)
	if err != nil || text == nil {
		return &fleet.Inventory{}, err
	}
	list, err := inventory.Parse(name, text)
	if err != nil {
		return nil, &hints.Error{Of: fault.Usage, Hint: "mend " + shell.File(name), Err: err}
	}
	return list, nil
}

// openPlanned opens the plan's artifact in the store of this machine.
func (a *app) openPlanned(plan *fleet.Plan, named string) (*rollout.Artifact, error) {
	store, err := a.depot(named)
	if err != nil {
		return nil, err
	}
	a.progress.Start("verifying the artifact", -1)
	artifact, _, err := rollout.OpenArtifact(a.ctx, store, strings.TrimPrefix(plan.Artifact.SHA256, "sha256:"), serve.Kept(store))
	a.progress.Done()
	if errors.Is(err, fs.ErrNotExist) {
		source := plan.Artifact.Source
		if source == "" {
			source = plan.Artifact.Release.String()
		}
		return nil, failed("bring it here first: tbctl store import "+shell.File(source), err)
	}
	return artifact, err
}

// confirm asks a person before what cannot be undone.
func (a *app) confirm(plan *fleet.Plan, clusters []string) error {
	names := clusters
	if len(names) == 0 {
		for index := range plan.Clusters {
			names = append(names, plan.Clusters[index].Name)
		}
	}
	if !term.IsTerminal(a.std.in) {
		return usage("in a script say so: --yes", "the upgrade of a cluster cannot be undone, and nobody is there to be asked")
	}
	a.err.Printf("This lets %s run %s. There is no way back to what runs now. Clients must be of %s or later.\n",
		strings.Join(names, ", "), plan.Artifact.Release, plan.Artifact.ClientMin)
	a.err.Printf("Type the release to go on: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n') // nothing is no consent
		answer <- strings.TrimSpace(line)
	}()
	select {
	case text := <-answer:
		if text != plan.Artifact.Release.String() {
			return usage("the answer is "+plan.Artifact.Release.String(), "not confirmed: nothing was done")
		}
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
	return nil
}

// newRunID is a name for a run, random.
func newRunID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
