package main

import (
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// An upgrade over a release to be visited, from the installation to the end, as
// an operator sees it at each moment.
func TestLiveUpgrade(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	p := l.start(standin.Options{})
	l.status(p, stands{"0.17.6", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", "stays at 0.17.6: the file has nothing newer"})

	l.tbctl("install", next, l.target, "--dry-run").ends(0).prints("0.17.6 → 0.17.7 (visit) → 0.17.8: each stop restarts every replica, 2 times in all")
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed: the replica of this host holds the new binary in memory").
		prints("installed: 0.17.8", "0.17.6 → 0.17.7 (visit) → 0.17.8: each stop restarts every replica, 2 times in all")
	l.status(p, stands{"0.17.8", "0.17.6", "0.17.8", "0.17.6, 0.17.7", "0.17.6",
		"upgrades to 0.17.7 when every replica of the cluster offers it (a stop on the way to 0.17.8: each stop restarts every replica, 2 times in all)"})

	l.allow("0.17.7")
	l.runs("0.17.7")
	l.status(p, stands{"0.17.8", "0.17.7", "0.17.8", "0.17.6, 0.17.7, 0.17.8", "0.17.7",
		"upgrades to 0.17.8 when every replica of the cluster offers it"})

	l.allow("")
	l.runs("0.17.8")
	l.status(p, stands{"0.17.8", "0.17.8", "0.17.8", "0.17.6, 0.17.7, 0.17.8", "0.17.8", "stays at 0.17.8: the file has nothing newer"})
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:").prints("is installed at " + l.target + " already")
}
