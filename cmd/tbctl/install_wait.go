package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/watch"
)

// waitArmed waits until every replica on this host holds the installed binary.
func (c *installCmd) waitArmed(a *app, outcome *install.Outcome) error {
	path := outcome.Plan.Target.Path
	query := host.Query{Target: path, DataFiles: c.Fit.DataFile, Remembered: c.Fit.remembered(a, path), Ignore: c.Fit.IgnoreProcess}
	defer func() { // a replica may have started since the installation looked, or have come further
		report, _ := host.Look(context.WithoutCancel(a.ctx), query)
		a.remember(path, seenBy(&report), !outcome.Changed)
	}()
	view, err := host.See(a.ctx, query)
	if err != nil {
		return fmt.Errorf("wait for the replicas: %w", err)
	}
	replicas := 0
	for index := range view.Processes {
		if view.Processes[index].Replica {
			replicas++
		}
	}
	if replicas == 0 {
		unseen := view.Unseen
		switch {
		case len(unseen) > 0:
		case view.ByName:
			unseen = []replica.Unseen{{Kind: replica.UnseenForbidden, Reason: "what other users' processes execute may not be looked into"}}
		default:
			a.warn("no replica runs from %s here: there is nothing to wait for", path)
		}
		return waitUnseen(path, unseen)
	}
	file, err := multiversion.Open(path)
	if err != nil {
		return fmt.Errorf("wait for the replicas: %w", err)
	}
	condition := watch.Condition{What: watch.ConditionArmed, Release: file.HostImage().Header.Current.Release, Checksum: file.HostImage().Header.ChecksumBinary}
	file.Close()
	report := func(event watch.Event) {
		if event.Process != nil && (event.Process.State == replica.StateStarting || event.Kind == watch.KindReplicaRunning) {
			a.note("%s", replicaEventText(event))
		}
	}
	options := watch.Options{Patience: c.WaitArmed, Replicas: query.Options()}
	waited, err := watch.Until(a.ctx, path, condition, options, report)
	switch {
	case errors.Is(err, watch.ErrUnseen):
		return waitUnseen(path, waited.Unseen)
	case err != nil:
		return untilError(a, path, fmt.Errorf("the file is installed, but not every replica has taken it: %w", err))
	}
	who := "every replica of this host holds"
	if replicas == 1 {
		who = "the replica of this host holds"
	}
	a.note("armed: %s the new binary in memory", who)
	return nil
}

// waitUnseen does not let the wait end well where there may be replicas that were not seen.
func waitUnseen(path string, unseen []replica.Unseen) error {
	if len(unseen) == 0 {
		return nil
	}
	var why []string
	for _, each := range unseen {
		why = append(why, each.Reason)
	}
	err := fmt.Errorf("the file is installed, but whether every replica has taken it cannot be seen from here: %s", strings.Join(why, "; "))
	return &commandError{code: exitFailed, hint: lookElsewhere(unseen, "tbctl status "+shellWord(path)), err: err}
}
