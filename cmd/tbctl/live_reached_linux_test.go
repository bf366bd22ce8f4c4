package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// second gives the target a second replica, whose data file is as the first one's was formatted.
func (l *live) second() string {
	l.t.Helper()
	path := filepath.Join(l.dir, "second.tigerbeetle")
	data, err := os.ReadFile(l.data)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return path
}

// A replica that no installation saw, and that went on: every run that sees it remembers it, so that
// it still counts after it is stopped, with its data file and without.
func TestLiveReached(t *testing.T) {
	t.Parallel()
	for name, sees := range map[string]func(l *live, file string){
		"already":          func(l *live, file string) { l.tbctl("install", file, l.target, "--wait-armed", "2m").ends(0) },
		"rollback refused": func(l *live, _ string) { l.tbctl("rollback", l.target).ends(4, "which a replica runs") },
		"against --stopped": func(l *live, _ string) {
			l.tbctl("rollback", l.target, "--stopped").ends(4, "is a replica that runs from the target")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			other, file := l.second(), l.binary("0.17.7", "0.17.5", "0.17.6")
			first := l.start(standin.Options{Upgrade: "never"})
			l.tbctl("install", file, l.target, "--wait-armed", "2m").ends(0)
			first.Kill()
			late := standin.Start(t, l.target, other, standin.Options{Upgrade: "now"})
			l.until("running=0.17.7")
			l.until("durable=0.17.7")
			state := l.read(filepath.Join(l.dir, ".tigerbeetle.tbctl-state"))
			if bytes.Contains(state, []byte(other)) {
				t.Fatalf("it is known before a run saw it: %s", state)
			}
			l.tbctl("rollback", l.target, "--dry-run").ends(4)
			if after := l.read(filepath.Join(l.dir, ".tigerbeetle.tbctl-state")); !bytes.Equal(after, state) {
				t.Errorf("a dry run left %s", after)
			}
			sees(l, file)
			late.Kill()
			before := l.read(l.target)
			l.tbctl("rollback", l.target, "--stopped").ends(4, "lacks release 0.17.7")
			if err := os.Rename(other, other+".moved"); err != nil {
				t.Fatal(err)
			}
			l.tbctl("rollback", l.target, "--stopped").ends(4, "which the cluster has reached", other, "--running RELEASE")
			l.tbctl("verify", l.target+"-old", "--against", l.target, "--stopped", "--allow-downgrade").ends(4, "which the cluster has reached")
			if !bytes.Equal(l.read(l.target), before) {
				t.Fatal("the target changed")
			}
			l.tbctl("rollback", l.target, "--stopped", "--running", "0.17.6").ends(0, "is believed instead").prints("rolled back: 0.17.6")
		})
	}
}
