package main

import (
	"fmt"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
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
	if !supported {
		return fmt.Errorf("the file is installed, but whether a replica has taken it cannot be seen: %w", replica.ErrNotSupported)
	}
	if replicas == 0 {
		a.warn("no replica runs from %s here: there is nothing to wait for", outcome.Plan.Target.Path)
		return nil
	}
	file, err := multiversion.Open(outcome.Plan.Target.Path)
	if err != nil {
		return fmt.Errorf("wait for the replicas: %w", err)
	}
	condition := watch.Condition{What: watch.ConditionArmed, Release: file.HostImage().Header.Current.Release, Checksum: file.HostImage().Header.ChecksumBinary}
	file.Close()
	report := func(event watch.Event) {
		if event.Process != nil && (event.Process.State == replica.StateStarting || event.Kind == watch.KindReplicaRunning) {
			a.note("%s", eventText(a.err, event))
		}
	}
	if _, err = watch.Until(a.ctx, outcome.Plan.Target.Path, condition, watch.Options{Patience: c.WaitArmed}, report); err != nil {
		return untilError(a, outcome.Plan.Target.Path, fmt.Errorf("the file is installed, but not every replica has taken it: %w", err))
	}
	who := "every replica of this host holds"
	if replicas == 1 {
		who = "the replica of this host holds"
	}
	a.note("armed: %s the new binary in memory", who)
	return nil
}
