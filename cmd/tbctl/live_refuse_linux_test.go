package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/internal/testbin"
)

// refused runs tbctl and requires exit code 4, texts on standard error, and that
// neither file has been touched.
func (l *live) refused(texts []string, args ...string) {
	l.t.Helper()
	state := func() string {
		var text string
		for _, path := range []string{l.target, l.target + "-old"} {
			if info, err := os.Stat(path); err == nil {
				text += fmt.Sprintf("%s %+v\n", path, withoutAtime(info))
			}
		}
		return text
	}
	before := state()
	l.tbctl(args...).ends(4, texts...)
	if after := state(); after != before {
		l.t.Errorf("tbctl %v: the files were touched:\n%s\n%s", args, before, after)
	}
}

// What a replica on this host would refuse or could not start from is refused
// by looking at the replica, with no flag.
func TestLiveRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		current string
		past    []string
		want    []string
	}{
		{"without what runs", "0.17.9", []string{"0.17.8"}, []string{"RunningVersionNotIncluded: the new file lacks release 0.17.6, which a replica runs (process %d)",
			"install a release in between first"}},
		{"without what runs, but with all that is newer", "0.17.9", []string{"0.17.7", "0.17.8"}, []string{"the new file lacks release 0.17.6, which a replica runs"}},
		{"an offered one dropped", "0.17.9", []string{"0.17.6", "0.17.8"}, []string{"NotSuperset: a replica that runs 0.17.6 has offered 0.17.7 already"}},
		{"an offered one behind a stop", "0.17.9", []string{"0.17.6", "0.17.7v", "0.17.8"}, []string{"NotSuperset: a replica that runs 0.17.6 has offered 0.17.8 already"}},
		{"older than installed, and without what runs", "0.17.5", []string{"0.17.4"}, []string{"the new file lacks release 0.17.6", "a cluster does not go back: install a release that holds 0.17.6"}},
	}
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	l.tbctl("install", l.binary("0.17.8", "0.17.6", "0.17.7"), l.target, "--wait-armed", "2m").ends(0)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := *l
			l.t = t
			want := append([]string(nil), test.want...)
			for index := range want {
				if bytes.Contains([]byte(want[index]), []byte("%d")) {
					want[index] = fmt.Sprintf(want[index], p.PID())
				}
			}
			next := l.binary(test.current, test.past...)
			l.refused(want, "install", next, l.target, "--allow-downgrade")
			l.refused(want, "install", next, l.target, "--allow-downgrade", "--dry-run")
		})
	}
	// The running release is older than the installed file's current one: that decides (and
	// the stop at 0.17.10 comes behind all that is offered).
	l.tbctl("install", l.binary("0.17.9", "0.17.6", "0.17.7", "0.17.8"), l.target, "--wait-armed", "2m").ends(0, "armed:").prints("0.17.6 → 0.17.9")
	p.Must("releases_bundled new: [0.17.6 0.17.7 0.17.8 0.17.9]")
	l.status(p, stands{"0.17.9", "0.17.6", "0.17.9", "0.17.6, 0.17.7, 0.17.8, 0.17.9", "0.17.6", "upgrades to 0.17.9"})
	l.allow("")
	l.until("running=0.17.9")
}

// The release of the data file counts beside the one that runs.
func TestLiveRefusedForDataFile(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	l.rewrite("0.17.5") // as if the replica were about to go there
	next := l.binary("0.17.8", "0.17.6", "0.17.7")
	want := "the new file lacks release 0.17.5, which the data file was last checkpointed with (" + l.data + ")"
	l.refused([]string{want, "about to change its release"}, "install", next, l.target)
	p.Kill()
	l.refused([]string{want}, "install", next, l.target, "--data-file", l.data)
	l.refused([]string{want}, "install", next, l.target, "--data-file", l.data, "--stopped")
	l.rewrite("0.17.6")
	l.tbctl("install", next, l.target, "--data-file", l.data).ends(0)
}

// rewrite gives the data file's last checkpoint another release.
func (l *live) rewrite(release string) {
	l.t.Helper()
	superblock, err := datafile.ReadFile(l.t.Context(), l.data)
	if err != nil {
		l.t.Fatal(err)
	}
	superblock.Parent, superblock.Release = superblock.Checksum, testbin.Release(release)
	superblock.Sequence++
	raw, err := zone.Encode(&superblock)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(l.data, raw[:], 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// Undoing only the file under an armed replica is refused, the safe way works,
// and after the cluster has upgraded there is none.
func TestLiveRollback(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	base := l.binary("0.17.6", "0.17.5")
	next := l.binary("0.17.7", "0.17.5", "0.17.6")
	p := l.start(standin.Options{})
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:")

	trap := []string{"NotSuperset: a replica that runs 0.17.6 has offered 0.17.7 already", "stop the replica, say --stopped --data-file FILE, and start it again"}
	l.refused(trap, "rollback", l.target)
	l.refused(trap[:2], "rollback", l.target, "--running", "0.17.6")
	l.refused(trap[:2], "install", base, l.target, "--allow-downgrade")
	runs := []string{fmt.Sprintf("--stopped, but process %d is a replica that runs from", p.PID()), "stop it"}
	l.refused(runs, "rollback", l.target, "--stopped")
	l.refused(runs, "install", base, l.target, "--stopped", "--allow-downgrade")
	l.refused(runs, "rollback", l.target, "--stopped", "--dry-run")
	l.refused(runs, "install", base, l.target, "--stopped", "--allow-downgrade", "--dry-run")
	for _, more := range [][]string{nil, {"--dry-run"}} { // it is no matter where nothing is to be changed
		l.tbctl(append([]string{"install", next, l.target, "--stopped"}, more...)...).ends(0, "warning: "+runs[0]).prints("already")
	}

	p.Kill()
	l.tbctl("rollback", l.target, "--stopped", "--data-file", l.data).ends(0).prints("rolled back: 0.17.6")
	p = l.start(standin.Options{})
	l.status(p, stands{"0.17.6", "0.17.6", "0.17.6", "0.17.5, 0.17.6", "0.17.6", "stays at 0.17.6"})

	// Forth again, and over the point of no return.
	l.tbctl("rollback", l.target).ends(0).prints("already")
	l.tbctl("rollback", l.target, "--again").ends(0).prints("rolled back: 0.17.7")
	l.until("offered=0.17.7")
	l.allow("")
	l.until("running=0.17.7")
	l.refused([]string{"the new file lacks release 0.17.7, which a replica runs"}, "rollback", l.target)
	p.Kill()
	lost := "the new file lacks release 0.17.7, which the data file was last checkpointed with (" + l.data + ")"
	l.refused([]string{lost}, "rollback", l.target, "--data-file", l.data)
	l.refused([]string{lost}, "rollback", l.target, "--stopped", "--data-file", l.data)
	l.refused([]string{lost}, "install", base, l.target, "--stopped", "--allow-downgrade", "--data-file", l.data)
	l.start(standin.Options{}).Must("0.17.7: listening")
}

// Someone has put the old file back by hand: status tells what that leads to, and
// it does.
func TestLiveUndoneByHand(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	l.tbctl("install", l.binary("0.17.7", "0.17.5", "0.17.6"), l.target, "--wait-armed", "2m").ends(0)
	if err := os.Rename(l.target+"-old", l.target); err != nil {
		t.Fatal(err)
	}
	p.Must("error.NotSuperset")
	l.status(p, stands{"0.17.6", "0.17.6", "0.17.7", "0.17.5, 0.17.6, 0.17.7", "0.17.6", "it still upgrades to 0.17.7 with its cluster, and its next restart fails"})
	l.outOfTime([]string{"armed=0.17.9 is not met in time", "armed with 0.17.7", "NotSuperset", "tbctl status " + l.target}, "watch", l.target, "--until", "armed=0.17.9")
	l.allow("")
	l.until("running=0.17.7")
	l.tbctl("status", l.target).ends(0).prints("a restart would fail: the file does not hold release 0.17.7 of its data file")

	// Forward is the way out, without a restart.
	l.tbctl("install", l.dir+"/new-0.17.7", l.target, "--wait-armed", "2m").ends(0, "armed:")
	p.Kill()
	l.start(standin.Options{}).Must("0.17.7: listening")
}
