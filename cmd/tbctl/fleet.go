package main

import (
	"context"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/metrics"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/state"
)

type fleetCmd struct {
	Status  fleetStatusCmd  `cmd:"" help:"Show every host of a fleet and what runs there; it changes nothing."`
	Plan    fleetPlanCmd    `cmd:"" help:"Write the plan that brings a release to clusters; it changes nothing on them."`
	Stage   fleetStageCmd   `cmd:"" help:"Bring the file of a plan to every host, into its store, and check it there; nothing that runs is touched."`
	Arm     fleetArmCmd     `cmd:"" help:"Put the file in place on all hosts but the holdback; the clusters run what they ran."`
	Promote fleetPromoteCmd `cmd:"" help:"Let armed clusters upgrade: swap the holdback when they are proved stable. There is no way back."`
	Abort   fleetAbortCmd   `cmd:"" help:"Before promote: put the previous file back, and start the replicas again, one host after the other."`
	Run     fleetRunCmd     `cmd:"" help:"Stage, arm and promote all clusters of a plan, wave by wave."`
	Stop    fleetStopCmd    `cmd:"" help:"Take the hosts of a plan from the run that works on them, and let them go; nothing else is changed."`
	Report  fleetReportCmd  `cmd:"" help:"Write a page of what was planned, done and seen, for the change record."`
}

type fleetStatusCmd struct {
	Names []string   `arg:"" optional:"" name:"cluster|host" help:"Clusters of the list, or hosts as ssh knows them, such as tb[0-5].eu; all of the list where none is named."`
	Flags fleetFlags `embed:""`

	Follow      bool `help:"Ask again and again, and show what changes, until a signal ends it."`
	OpenMetrics bool `name:"openmetrics" help:"Print metrics for Prometheus instead, with a host that cannot be asked as one of them."`

	Interval *time.Duration `more:"" placeholder:"DURATION" help:"With --follow: the time from a host's answer to the next question (2s)."`
}

// Help is the long help text.
func (c *fleetStatusCmd) Help() string {
	return `Asks every host, over ssh, what is installed there, what its replicas run, hold in memory
and need, and which rollout holds it. Nothing is changed there, and nothing is locked. A
host that cannot be asked is a row with the reason. Below are the runs that work on a
cluster, as far as the controllers share a state (--state).

Of each replica: RUNNING is the release that it runs, ARMED the newest of the binary that it
holds in memory, and DURABLE the one that its data needs at the next start.

--follow asks again over the same sessions, and tries a host again that it has lost. At a
terminal the table is drawn again in its place, elsewhere each change is a line, with
--json one of JSON, and the last line is the usual document.

--openmetrics prints the same as metrics. A host that could not be asked is one of them, with
the reason, and no failure.

Examples:

  tbctl fleet status tb0 tb1 tb2
  tbctl fleet status --follow
  tbctl fleet status 'tb[0-5].eu' --json
  tbctl fleet status
` + exitHelp()
}

// Run asks and shows.
func (c *fleetStatusCmd) Run(a *app) error {
	if c.Interval != nil && !c.Follow {
		return usage("ask again and again: --follow", "--interval is of --follow, which is not there")
	}
	if err := cmdline.CheckTime("--interval", c.Interval); err != nil {
		return err
	}
	if c.OpenMetrics && (c.Follow || a.global.JSON) {
		return usage("one of them: --openmetrics, --json or --follow", "--openmetrics is another form of the answer than --json and --follow")
	}
	list, err := a.inventory(c.Flags, c.Names)
	if err != nil {
		return err
	}
	result := &report.Fleet{Hosts: rollout.Rows(list), Holders: []report.FleetHolder{}}
	if c.Follow { // who works on clusters is not asked again and again
		return c.follow(a, asking(list), result)
	}
	var shared state.Store
	var unopened error  // the hosts are shown all the same
	if !c.OpenMetrics { // which has none of it
		shared, unopened = a.sharedState(c.Flags, list)
		switch class := fault.Of(unopened); {
		case class == fault.Usage || class == fault.Interrupted:
			return unopened
		case unopened == nil:
			defer shared.Close()
		}
	}
	asking(list).Ask(a.ctx, result.Hosts)
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	if c.OpenMetrics {
		for _, host := range result.Hosts {
			if host.Problem != nil {
				a.warn("%s", host.Problem.Message)
			}
		}
		var counters *report.RolloutCounters
		if lifetime, err := a.rollouts().Lifetime(); err != nil {
			a.warn("how often what happened in rollouts is not known: %v", err)
		} else {
			shown := lifetime.Report()
			counters = &shown
		}
		return metrics.Fleet(build(), time.Now(), result, counters).Write(a.out)
	}
	if unopened == nil {
		var holders []report.FleetHolder
		if holders, unopened = rollout.Holders(a.ctx, shared); unopened == nil {
			result.StateSeen, result.Holders = true, holders
		}
	}
	if unopened != nil {
		result.StateProblem = unopened.Error()
	}
	a.emit(result, func(out *term.Stream) { render.Fleet(out, result) })
	return result.Err()
}
