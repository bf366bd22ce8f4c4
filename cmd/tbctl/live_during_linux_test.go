package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/multiversion"
)

// However often one looks in the middle of an upgrade: there is always one
// replica, and its releases only ever grow.
func TestLiveStatusDuring(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	l.tbctl("install", l.binary("0.17.8", "0.17.6", "0.17.7v"), l.target, "--wait-armed", "2m").ends(0)
	l.allow("")
	var running, durable multiversion.Release
	for range 200 {
		var document liveDocument
		l.tbctl("status", l.target, "--json").ends(0).decode(&document)
		found := document.Result.Replicas
		if len(found) != 1 || found[0].PID != p.PID() || found[0].Superblock == nil || found[0].Running.Release == 0 {
			t.Fatalf("replicas %+v, want process %d, with what it runs and a superblock", found, p.PID())
		}
		// Only what is certain must not go back: the newest release starts for a moment.
		if now := found[0].Running; now.Certain {
			if now.Release < running {
				t.Errorf("it runs %s after %s", now.Release, running)
			}
			running = now.Release
		}
		if now := found[0].Superblock.Release; now < durable {
			t.Errorf("the data file is at %s after %s", now, durable)
		} else {
			durable = now
		}
		if running.String() == "0.17.8" {
			return
		}
	}
	t.Fatalf("it is still at %s", running)
}

// The host that promotes: its replica upgrades as soon as it is armed, so that the
// wait falls into the upgrade.
func TestLivePromotesAtOnce(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{Upgrade: "now"})
	l.tbctl("install", l.binary("0.17.8", "0.17.6", "0.17.7v"), l.target, "--wait-armed", "2m").ends(0, "armed:")
	l.runs("0.17.8")
	l.status(p, stands{"0.17.8", "0.17.8", "0.17.8", "0.17.6, 0.17.7, 0.17.8", "0.17.8", "stays at 0.17.8"})
}

// The next file comes in the middle of an upgrade. It lacks the release where the upgrade
// began: whether it is refused depends on the moment, but the replica goes on, and
// it starts again from what is there.
func TestLiveInstallDuring(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	l.tbctl("install", l.binary("0.17.8", "0.17.6", "0.17.7v"), l.target, "--wait-armed", "2m").ends(0)
	next := l.binary("0.17.9", "0.17.7", "0.17.8")
	l.allow("")
	const refusedMax = 200
	for refused := 0; ; refused++ {
		tried := l.tbctl("install", next, l.target)
		if tried.code == 0 || refused == refusedMax {
			tried.ends(0)
			break
		}
		tried.ends(4, "lacks release 0.17.6, which")
	}
	l.runs("0.17.9")
	l.status(p, stands{"0.17.9", "0.17.9", "0.17.9", "0.17.7, 0.17.8, 0.17.9", "0.17.9", "stays at 0.17.9"})
	p.Kill()
	l.start(standin.Options{}).Must("0.17.9: listening")
}

// The target is named by a symbolic link, by tbctl and by whoever starts the replica.
func TestLiveLink(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	link := filepath.Join(l.dir, "bin", "tigerbeetle")
	if err := os.Mkdir(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../tigerbeetle", link); err != nil {
		t.Fatal(err)
	}
	p := standin.Start(t, link, l.data, standin.Options{Upgrade: l.permit})
	l.refused([]string{"RunningVersionNotIncluded"}, "install", l.binary("0.17.9", "0.17.8"), link)
	l.tbctl("install", l.binary("0.17.8", "0.17.6", "0.17.7v"), link, "--wait-armed", "2m").ends(0, "armed:").prints("is a symbolic link")
	l.refused([]string{"NotSuperset"}, "rollback", link)
	l.allow("")
	for _, condition := range []string{"running=0.17.8", "offered=0.17.8"} { // what it offers it knows a moment later
		l.tbctl("watch", link, "--until", condition, "--timeout", "2m", "--interval", "20ms").ends(0)
	}
	l.status(p, stands{"0.17.8", "0.17.8", "0.17.8", "0.17.6, 0.17.7, 0.17.8", "0.17.8", "stays at 0.17.8"})
	if target, err := os.Readlink(link); err != nil || target != "../tigerbeetle" {
		t.Errorf("the link is %q: %v", target, err)
	}
}
