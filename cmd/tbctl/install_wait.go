package main

import (
	"context"
	"fmt"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/watch"
)

// waitArmed waits until every replica on this host holds the installed binary.
func (c *installCmd) waitArmed(a *app, outcome *install.Outcome) error {
	processes, supported, err := findReplicas(a.ctx, outcome.Plan.Target.Path)
	if err != nil {
		return fmt.Errorf("wait for the replicas: %w", err)
	}
	replicas := 0
	for index := range processes {
		if processes[index].Replica {
			replicas++
		}
	}
	if !supported || replicas == 0 {
		a.warn("no replica runs from %s here: there is nothing to wait for", outcome.Plan.Target.Path)
		return nil
	}
	file, err := multiversion.Open(outcome.Plan.Target.Path)
	if err != nil {
		return fmt.Errorf("wait for the replicas: %w", err)
	}
	condition := watch.Condition{What: watch.ConditionArmed, Release: file.HostImage().Header.Current.Release, Checksum: file.HostImage().Header.ChecksumBinary}
	file.Close()
	ctx, cancel := context.WithTimeout(a.ctx, c.WaitArmed)
	defer cancel()
	if _, err = watch.Until(ctx, outcome.Plan.Target.Path, condition, watch.Options{}, nil); err != nil {
		return untilError(a, outcome.Plan.Target.Path, fmt.Errorf("the file is installed, but not every replica has taken it: %w", err))
	}
	who := "every replica of this host holds"
	if replicas == 1 {
		who = "the replica of this host holds"
	}
	a.note("armed: %s the new binary in memory", who)
	return nil
}
