package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
)

type fleetPlanCmd struct {
	Artifact string   `arg:"" name:"artifact" help:"The release to bring (0.17.8, 0.17.5-1, latest), a file, a URL, or sha256:HEX or store:RELEASE of the store."`
	Names    []string `arg:"" optional:"" name:"cluster|host" help:"Clusters of the list, or hosts as ssh knows them, such as tb[0-5].eu; all of the list where none is named."`

	Output  string               `short:"o" required:"" placeholder:"FILE" type:"path" help:"Where to write the plan."`
	Force   bool                 `short:"f" help:"Replace FILE if it exists."`
	Clients multiversion.Release `placeholder:"RELEASE" help:"The oldest release of a client in use: one that the new release does not serve is a refusal."`
	Despite []string             `placeholder:"ID" help:"Go on despite an advisory, by its id; repeatable."`
	Push    bool                 `name:"push-tbctl" help:"Put this tbctl at /usr/local/bin/tbctl of hosts where it is missing or too old, and look again."`

	Fleet fleetFlags  `embed:""`
	From  sourceFlags `embed:""`
}

// Help is the long help text.
func (c *fleetPlanCmd) Help() string {
	return `Looks at every host of the clusters, compares what it finds with the release that is
to be brought, and writes a plan: which file, which hosts, in which order, and which replica
is swapped last. Nothing is changed on any host, and nothing is claimed.

There is no plan when a host cannot be looked at, a replica of a cluster is on no named
host, two hosts have the same replica, a rollout holds a target, or the release does not
fit what runs: each of these is told, with its host and what to do. What the release brings
with it (stops on the way, clients that are too old, advisories) is told too. A cluster that
runs the release already is left out; where all do, the plan has none, and to carry it out
does nothing.

The release is fetched and verified as "tbctl store import" does, into the store of this
machine. A plan is named by the SHA-256 of its file: an edited plan is another plan.

--push-tbctl sends this very program, over ssh and become, to hosts where tbctl is missing or
too old: to /usr/local/bin/tbctl, compared by its SHA-256 and put there in one step. What was
installed elsewhere, such as by a package, is left to who did it.

Examples:

  tbctl fleet plan 0.17.8 tb0 tb1 tb2 -o plan.json
  tbctl fleet plan 0.17.8 -o plan.json --clients 0.17.1
  tbctl fleet plan sha256:73aa… ledger-eu -o plan.json
` + exitHelp(exitRejected, "the release is not whole, or not trusted", exitRefused, "the release does not fit what runs on a host, or the hosts are not the whole cluster",
		exitBusy, "another process works on a target", exitFenced, "a rollout holds a target")
}

// checkOutput refuses to write a plan or a page over what no ordinary file may replace.
func (a *app) checkOutput(name string, inputs ...string) error {
	err := output.Check(a.ctx, name, a.ownDirs(), inputs...)
	if fault.Of(err) == fault.Refused {
		return refused("choose another name", err)
	}
	return err
}

// Run looks, and writes the plan.
func (c *fleetPlanCmd) Run(a *app) error {
	if c.Output == "-" {
		return usage("name a file: -o plan.json", "-o -: a plan is read again by each command that carries it out, and so is a file")
	}
	list, err := a.inventory(c.Fleet, c.Names)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Output); err == nil && !c.Force {
		return &fs.PathError{Op: "create", Path: c.Output, Err: fs.ErrExist}
	}
	if err := a.checkOutput(c.Output); err != nil {
		return err
	}
	shared, err := a.sharedState(c.Fleet, list)
	if err != nil {
		return err
	}
	defer shared.Close()
	store, err := a.depot(c.From.Store.Store)
	if err != nil {
		return err
	}
	digest, err := c.digest(a, store)
	if err != nil {
		return err
	}
	a.progress.Start("verifying the artifact", -1)
	artifact, facts, err := rollout.OpenArtifact(a.ctx, store, digest, serve.Kept(store))
	a.progress.Done()
	if err != nil {
		return err
	}
	defer artifact.Close()
	plan := func() (*report.FleetPlan, error, error) {
		sessions := &rollout.Sessions{Dialer: dialerOf(list)}
		defer sessions.Close()
		defer a.progress.Done()
		return rollout.NewPlan(a.ctx, rollout.Planning{
			List: list, Hosts: sessions.Host, Artifact: artifact, Facts: facts, Shared: shared,
			Options: fleet.DraftOptions{Author: whoAmI(), Created: time.Now().Truncate(time.Second), Clients: c.Clients, Despite: c.Despite, Advisories: a.advisories()},
			Show:    func(doing string) { a.progress.Start(doing, -1) },
		})
	}
	result, unmeasured, err := plan()
	if err == nil && c.Push {
		a.progress.Start("putting tbctl on hosts", -1)
		pushed, failed := rollout.Push(a.ctx, dialerOf(list), result.Problems, build().Version)
		a.progress.Done()
		for _, err := range failed {
			a.warn("%v", err)
		}
		if len(pushed) > 0 {
			if result, unmeasured, err = plan(); err != nil {
				for _, p := range pushed {
					a.warn("tbctl was put on %s, at %s", p.Host, p.Path)
				}
				return err
			}
			result.Pushed = pushed
		}
		err = context.Cause(a.ctx)
	}
	if err != nil {
		return err
	}
	if unmeasured != nil {
		a.warn("how many bytes are to be sent is an estimate: %v", unmeasured)
	}
	if result.Plan != nil {
		if result.ID, err = rollout.WritePlan(c.Output, result.Plan, c.Force); err != nil {
			return err
		}
		if result.File = c.Output; len(result.Plan.Clusters) > 0 {
			result.Next = "tbctl fleet stage " + shell.File(c.Output)
		}
	}
	a.emit(result, func(out *term.Stream) { render.FleetPlan(out, result) })
	return rollout.Obstacles("there is no plan", result.Problems)
}

// digest is the artifact's SHA-256 in the store, in hexadecimal digits. What is not there yet is fetched into it.
func (c *fleetPlanCmd) digest(a *app, store *depot.Depot) (string, error) {
	found, err := c.From.find(a, c.Artifact, registryFlags{})
	if err != nil {
		return "", err
	}
	defer found.Close()
	if found.Source != release.SourceStore {
		imported, err := a.bring(store, &found)
		return imported.Artifact.SHA256, err
	}
	fetched, err := found.Fetch(a.ctx, io.Discard) // what vouches for it is asked
	if err != nil {
		return "", err
	}
	a.tellFetched(fetched)
	return sha.Parse(found.Location)
}
