package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
)

// Replicas that do not look for new binaries: nobody waits for them, and it is
// said that they need a restart.
func TestLiveNoPolling(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--development", "--addresses=0"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			next := l.binary("0.17.7", "0.17.5", "0.17.6")
			p := l.start(standin.Options{Args: []string{flag}})
			restart := fmt.Sprintf("process %d does not look for new binaries (%s): it needs a restart", p.PID(), flag)
			l.tbctl("install", next, l.target, "--dry-run").ends(0, restart).prints("next: tbctl install " + next + " " + l.target + "\n")
			l.tbctl("install", next, l.target, "--dry-run", "--json", "--wait-armed", "10m").ends(1).prints(`"armed": "not-armed"`, `"would_change": true`)
			l.tbctl("install", next, l.target, "--dry-run", "--wait-armed", "10m").ends(1, restart, "not every replica would take it",
				fmt.Sprintf("a replica does not look for new binaries: process %d has %s", p.PID(), flag), "restart that replica")
			start := time.Now()
			l.tbctl("install", next, l.target, "--wait-armed", "10m").ends(1, restart, "the file is installed, but",
				fmt.Sprintf("a replica does not look for new binaries: process %d has %s", p.PID(), flag), "restart that replica")
			l.tbctl("watch", l.target, "--until", "armed=0.17.7", "--timeout", "10m").ends(1, "does not look for new binaries")
			if waited := time.Since(start); waited > 5*time.Minute {
				t.Errorf("waited %v", waited)
			}
			l.status(p, stands{"0.17.7", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", "does not look for new binaries (" + flag + "): it takes the file when it is restarted"})

			p.Kill()
			p = l.start(standin.Options{Args: []string{flag}})
			l.tbctl("install", next, l.target, "--wait-armed", "10m").ends(0, "armed:", "tbctl watch "+l.target+" --until running=0.17.7").prints("already")
			l.tbctl("install", next, l.target, "--wait-armed", "10m", "--json").ends(0).prints(`"armed": "armed"`, "--until running=0.17.7")
			l.status(p, stands{"0.17.7", "0.17.6", "0.17.7", "0.17.5, 0.17.6, 0.17.7", "0.17.6", "upgrades to 0.17.7"})
		})
	}
}

// With no replica there is nothing to wait for, and that is said.
func TestLiveNobodyToWaitFor(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.7", "0.17.5", "0.17.6")
	note := "no replica runs from " + l.target + " here: there is nothing to wait for"
	l.tbctl("install", next, l.target, "--dry-run", "--wait-armed", "10m").ends(0, note)
	l.tbctl("install", next, l.target, "--wait-armed", "10m").ends(0, note).prints("installed: 0.17.7")
	l.tbctl("install", next, l.target, "--wait-armed", "10m").ends(0, note).prints("already")
	var document liveDocument
	l.tbctl("install", next, l.target, "--wait-armed", "10m", "--json").ends(0).decode(&document)
	if !slices.Contains(document.Warnings, note) {
		t.Errorf("warnings %q", document.Warnings)
	}
	l.tbctl("install", next, l.target, "--wait-armed", "10m", "--json").ends(0).prints(`"armed": "no-replica"`)
	l.tbctl("install", next, l.target, "--wait-armed", "10m", "--json", "--dry-run").ends(0).prints(`"armed": "no-replica"`, `"would_change": false`, `"next": []`)
	// What runs from the target but is no replica counts for nothing.
	other := standin.Run(t, l.target, standin.Options{}, "wait")
	other.Must("waiting")
	l.tbctl("install", next, l.target, "--wait-armed", "10m").ends(0, note)
	l.tbctl("install", l.binary("0.17.9", "0.17.7"), l.target, "--wait-armed", "10m").ends(0, note)
}

// One target for several replicas: all of them are waited for, and the one that
// does not come is named.
func TestLiveSharedTarget(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.7", "0.17.5", "0.17.6")
	first, second := l.data, l.data+".second"
	if output := standin.Run(t, l.target, standin.Options{}, "format", "--cluster=7", "--replica=1", "--replica-count=2", second); output.Exit() != 0 {
		t.Fatal(output.Log())
	}
	p := l.start(standin.Options{})
	l.data = second
	slow := l.start(standin.Options{Poll: time.Hour})
	l.tbctl("install", next, l.target, "--wait-armed", "3s").ends(1, "the file is installed, but not every replica has taken it", "is not met: no progress for 3s",
		fmt.Sprintf("process %d runs 0.17.6, armed with 0.17.7", p.PID()), fmt.Sprintf("process %d runs 0.17.6, armed with 0.17.6", slow.PID()))
	slow.Kill()
	l.start(standin.Options{})
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed: every replica of this host holds the new binary in memory")
	l.allow("")
	l.until("running=0.17.7")
	for _, l.data = range []string{first, second} {
		if got := l.durable(); got != "0.17.7" {
			t.Errorf("%s: %s", l.data, got)
		}
	}
}
