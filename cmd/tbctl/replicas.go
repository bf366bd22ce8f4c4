package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
)

// findReplicas finds the processes that run from the target. Where that is not
// possible the result is empty and supported is false.
func findReplicas(ctx context.Context, target string) (processes []replica.Process, supported bool, err error) {
	path := target
	if found, err := fsatomic.Lookup(fsatomic.OS(), target); err == nil {
		path = found.Path
	}
	processes, err = replica.Find(ctx, path, replica.Options{})
	if errors.Is(err, replica.ErrNotSupported) {
		return nil, false, nil
	}
	return processes, err == nil, err
}

// observe adds what the replicas on this host need of the next binary.
func (k *known) observe(a *app, target string, named bool) error {
	processes, _, err := findReplicas(a.ctx, target)
	if err != nil {
		if a.ctx.Err() != nil {
			return err
		}
		a.warn("running replicas could not be looked for: %v", err)
		return nil
	}
	settled := named || k.options.Stopped
	for index := range processes {
		process := &processes[index]
		if !process.Replica {
			continue
		}
		if err := k.stopped(a, process); err != nil {
			return err
		}
		if err := k.need(a, process, settled); err != nil {
			return err
		}
	}
	return nil
}

// stopped holds the operator's word that nothing runs against what is seen. A
// process that could not be looked into may be another target's.
func (k *known) stopped(a *app, process *replica.Process) error {
	if !k.options.Stopped || process.Origin == replica.OriginUnknown {
		return nil
	}
	err := fmt.Errorf("--stopped, but process %d is a replica that runs from the target", process.PID)
	if k.ahead {
		a.warn("%v: stop it first", err)
		return nil
	}
	return &commandError{code: exitRefused, hint: "stop it, then run the same command again", err: err}
}

// need adds the needs of one replica. One of which nobody knows what it runs
// is a refusal, unless the operator has settled it.
func (k *known) need(a *app, process *replica.Process, settled bool) error {
	source := fmt.Sprintf("process %d", process.PID)
	if running := process.Running.Release; running != 0 {
		need := verify.Need{Release: running, Why: verify.NeedRunning, Source: source}
		if process.Armed != nil {
			need.Armed = process.Armed.Offered
		}
		k.options.Needs = append(k.options.Needs, need)
		if !process.Running.Certain {
			a.warn("%s: %s", source, process.Running.Note)
		}
	} else if !settled {
		what := "is a replica that runs from the target"
		if process.Origin == replica.OriginUnknown {
			what = "may be a replica that runs from the target"
		}
		return &commandError{
			code: exitRefused, hint: "run it as root, or say which release runs: --running RELEASE",
			err: fmt.Errorf("%s %s, and which release it runs could not be found out%s", source, what, whyUnreadable(process)),
		}
	}
	for _, unreadable := range process.Unreadable {
		if unreadable.What == replica.UnreadableDataFile {
			a.warn("%s: its data file could not be read, and what its data needs is not known: %s", source, unreadable.Reason)
		}
	}
	if process.Superblock != nil {
		k.options.Needs = append(k.options.Needs, verify.Need{Release: process.Superblock.Release, Why: verify.NeedData, Source: process.DataFile})
	}
	if !process.Polls {
		a.warn("%s does not look for new binaries (%s): it needs a restart", source, process.NoPolling)
	}
	return nil
}

func whyUnreadable(process *replica.Process) string {
	text := ""
	for _, unreadable := range process.Unreadable {
		text += " (" + unreadable.What + ": " + unreadable.Reason + ")"
	}
	return text
}

// outlook says what a replica will do next with the file at the target.
func outlook(process *replica.Process, header *multiversion.Header, checksum multiversion.Checksum) string {
	running := process.Running.Release
	switch {
	case header == nil:
		return "the file at the target is no multiversion binary: the replica keeps what it has"
	case running == 0:
		return "which release it runs is not known" + whyUnreadable(process)
	}
	if process.Superblock != nil && !header.Contains(process.Superblock.Release) {
		return fmt.Sprintf("a restart would fail: the file does not hold release %s of its data file", process.Superblock.Release)
	}
	if process.Armed != nil && process.Armed.Checksum == checksum {
		return upgradeOutlook(header, running)
	}
	var offered []multiversion.Release
	if process.Armed != nil {
		offered = process.Armed.Offered
	}
	if err := replica.Accepts(header, running, offered); err != nil {
		text := fmt.Sprintf("it refuses the file: %v", err)
		if newest := process.Armed.Newest(); newest > running && !header.Contains(newest) {
			text += fmt.Sprintf("; it still upgrades to %s with its cluster, and its next restart fails: stop it before that", newest)
		}
		return text
	}
	if !process.Polls {
		return "it does not look for new binaries (" + process.NoPolling + "): it takes the file when it is restarted"
	}
	return "it takes the file within seconds, and then " + upgradeOutlook(header, running)
}

// upgradeOutlook says what an armed replica does.
func upgradeOutlook(header *multiversion.Header, running multiversion.Release) string {
	offered := header.Advertisable(running)
	newest := offered[len(offered)-1]
	if newest <= running {
		return fmt.Sprintf("stays at %s: the file has nothing newer", running)
	}
	text := fmt.Sprintf("upgrades to %s when every replica of the cluster offers it", newest)
	if newest != header.Current.Release {
		text += fmt.Sprintf(" (a stop on the way to %s)", header.Current.Release)
	}
	return text
}
