package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
)

// The way back killed at the n-th change in the target's directory, for every n:
// one of the two files is at the target, whole, the replica starts from it, and
// tbctl status tells which one it is, so that it can be finished.
func TestLiveRollbackKilled(t *testing.T) {
	t.Parallel()
	const changes = 8
	for n := 1; n <= changes; n++ {
		if !testbin.Full() && n%4 != 1 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			p := l.start(standin.Options{})
			l.tbctl("install", l.binary("0.17.7", "0.17.5", "0.17.6"), l.target, "--wait-armed", "2m").ends(0)
			p.Kill()
			before, after := l.read(l.target), l.read(l.target+"-old")
			code := l.killAt(n, fsnotify.Write|fsnotify.Rename|fsnotify.Create, "rollback", l.target, "--stopped", "--data-file", l.data)
			found := l.read(l.target)
			if !bytes.Equal(found, before) && !bytes.Equal(found, after) || code == 0 && !bytes.Equal(found, after) {
				t.Fatalf("exit code %d: the target has %d bytes that are neither file, or not the right one", code, len(found))
			}
			var document liveDocument
			l.tbctl("status", l.target, "--json").ends(0).decode(&document)
			want := "0.17.7"
			if bytes.Equal(found, after) {
				want = "0.17.6"
			}
			if got := document.Result.Installed.Release.String(); got != want {
				t.Errorf("status says %s, the file is %s", got, want)
			}
			if want != "0.17.6" {
				l.tbctl("rollback", l.target, "--stopped", "--data-file", l.data).ends(0).prints("rolled back: 0.17.6")
			}
			if !bytes.Equal(l.read(l.target), after) || !bytes.Equal(l.read(l.target+"-old"), before) {
				t.Error("the files are not in their places")
			}
			p = l.start(standin.Options{})
			l.statusJSON(p, stands{"0.17.6", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", "stays at 0.17.6"})
			l.tbctl("rollback", l.target).ends(0)
		})
	}
}
