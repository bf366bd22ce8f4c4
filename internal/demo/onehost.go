package demo

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
)

// oneHost makes the releases, and a cluster of two replicas where there are stand-ins.
func (p *place) oneHost(ctx context.Context) ([]step, error) {
	this, err := build(ctx, releaseOld, releaseThis)
	if err != nil {
		return nil, err
	}
	next, err := build(ctx, releaseThis, releaseNext)
	if err != nil {
		return nil, err
	}
	archive, err := p.publish(ctx, next, releaseNext)
	if err != nil {
		return nil, err
	}
	if err := p.cut(archive, releaseCut); err != nil {
		return nil, err
	}
	if runtime.GOOS == "windows" {
		return p.looking(archive), nil
	}
	for _, host := range []string{"tb0", "tb1"} {
		if err := p.write(ctx, this, host+"/tigerbeetle"); err != nil {
			return nil, err
		}
	}
	if !replicas {
		p.hidden = errNoReplicas.Error()
	} else if p.hidden, err = p.unseen(ctx, "tb0/tigerbeetle"); err != nil {
		return nil, err
	}
	if p.hidden != "" {
		return withoutReplicas, nil
	}
	return withReplicas, p.cluster(ctx, 1, "tb0", "tb1")
}

var errNoReplicas = errors.New("the stand-ins for replicas need Linux")

var cutShort = step{
	say: "A download that was cut short.", line: "tbctl install 1.4.0 tb0/tigerbeetle", want: rejected,
	why: "The file that runs was not touched. curl, unzip and mv would have put this one in its place.",
}

// withReplicas are a cluster of two, whose binaries are tb0/tigerbeetle and tb1/tigerbeetle.
var withReplicas = []step{
	cutShort,
	{
		say: "Install the next release on tb0, whose replica runs 1.2.0, and wait until it has taken it.", line: "tbctl install 1.3.0 tb0/tigerbeetle --wait-armed 30s",
		why: "It was checked, swapped in atomically and read back, and the old one is kept. The replica was not restarted.",
	},
	{
		say: "What runs, and what comes next?", line: "tbctl status tb0/tigerbeetle",
		why: "ARMED is what the replica holds in memory. It runs 1.2.0 until all of its cluster offer 1.3.0.",
	},
	{
		say: "So the last host of the cluster.", line: "tbctl install 1.3.0 tb1/tigerbeetle --quiet",
		why: "Now both offer 1.3.0, and the cluster upgrades by itself.",
	},
	{
		say: "Did it?", line: "tbctl watch tb0/tigerbeetle --until serving=1.3.0 --timeout 30s --quiet",
		why: "The replica itself answers clients with 1.3.0. The exit code tells a script.",
	},
	{
		say: "Back to the old binary?", line: "tbctl rollback tb0/tigerbeetle", want: refused,
		why: "The data is 1.3.0's now: the old binary could not open it, and the replica would not start again.",
	},
	{say: "What was done on this host?", line: "tbctl history tb0/tigerbeetle", why: "Each attempt is there, with how it ended; also one that was cut off."},
}

// withoutReplicas is for where there are no stand-ins, and where tbctl could not be sure to see all replicas, as in a container.
var withoutReplicas = []step{
	cutShort,
	{
		say: "Install the next release. What the replicas run is said, since it cannot be seen.", line: "tbctl install 1.3.0 tb0/tigerbeetle --running 1.2.0",
		why: "It was checked, swapped in atomically and read back, and the old one is kept.",
	},
	{say: "It is an executable like any other.", line: "tb0/tigerbeetle version", why: "What runs it sees one change, from one whole file to another."},
	{
		say: "Back to the previous one. No replica runs from it here.", line: "tbctl rollback tb0/tigerbeetle --stopped --running 1.2.0",
		why: "The two files changed places. Where the data needed 1.3.0 it would be refused.",
	},
	{say: "What was done on this host?", line: "tbctl history tb0/tigerbeetle", why: "Each attempt is there, with how it ended; also one that was cut off."},
}

// looking is for where nothing can be installed.
func (p *place) looking(archive string) []step {
	name := filepath.ToSlash(strings.TrimPrefix(archive, p.dir+string(filepath.Separator)))
	return []step{
		{say: "What is in a release?", line: "tbctl inspect " + name + " --running 1.2.0", why: "This reads only its headers."},
		{say: "Is it whole?", line: "tbctl verify " + name, why: "Every byte was checked."},
	}
}
