package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// A replica that was started by another hard link of the target's file looks for the next one there, where nothing changes:
// that is said before and after a swap, and it is not waited for.
func TestLiveByAnotherName(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.7", "0.17.5", "0.17.6")
	other := filepath.Join(l.dir, "other")
	if err := os.Link(l.target, other); err != nil {
		t.Fatal(err)
	}
	p := standin.Start(t, other, l.data, standin.Options{Upgrade: l.permit})
	looks := fmt.Sprintf("it was started as %q, and looks for a new binary there alone: it never sees what takes the target's place", other)
	hint := fmt.Sprintf("tbctl: hint: stop process %d, and start it as %s", p.PID(), l.target)
	l.status(p, stands{"0.17.6", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", "stays at 0.17.6: the file has nothing newer; of the next file: " + looks})
	l.tbctl("install", next, l.target, "--dry-run").ends(0, looks)
	l.tbctl("install", next, l.target, "--dry-run", "--wait-armed", "10m").ends(1, "not every replica would take it", looks, hint)
	l.tbctl("install", next, l.target, "--wait-armed", "10m").ends(1, "the file is installed, but not every replica has taken it", looks, hint)
	l.status(p, stands{"0.17.7", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", looks})
	l.tbctl("watch", l.target, "--until", "armed=0.17.7", "--timeout", "10m").ends(1, looks, hint).prints(fmt.Sprintf("replica %d at 0.17.6: %s", p.PID(), looks))
	l.refused([]string{looks, "a replica that runs 0.17.6 may have offered 0.17.7 already"}, "rollback", l.target)
}
