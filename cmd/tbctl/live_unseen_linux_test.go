package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
)

// within runs tbctl in namespaces of its own, after a shell command that sets them up. As
// nobody, if the target was given away.
func (l *live) within(setup string, args ...string) said {
	l.t.Helper()
	if os.Geteuid() != 0 {
		l.t.Skip("skipped: making namespaces needs root")
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), liveMax)
	defer cancel()
	program := "tbctl"
	if _, err := os.Stat(filepath.Join(l.dir, "tbctl")); err == nil {
		program = fmt.Sprintf("setpriv --reuid %d --regid %d --clear-groups %s/tbctl", nobody, nobody, l.dir)
	}
	script := "mount --make-rprivate /\n" + setup + "\nexec " + program + ` "$@"`
	command := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-ec", script, "sh"}, args...)...)
	if output, err := exec.Command("unshare", "-m", "sh", "-ec", "mount --make-rprivate /\n"+setup).CombinedOutput(); err != nil {
		l.t.Skipf("skipped: not possible here: %v: %s", err, output)
	}
	return l.run(command)
}

const hidden = "mount -t proc -o hidepid=2 proc /proc"

// What a user cannot see is no permission: where a hidden replica could be left without its
// release the operator must say what runs.
func TestLiveUnseen(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	full, lacking := l.binary("0.17.7", "0.17.5", "0.17.6"), l.binary("0.17.8", "0.17.6", "0.17.7")
	if os.Geteuid() == 0 {
		l.giveAway()
	}
	p := l.start(standin.Options{})
	why := "/proc is mounted with hidepid=invisible: other users' processes are hidden from this user"
	l.within(hidden, "status", l.target).ends(0).prints("Running replicas cannot be seen from here:\n  "+why, "sudo tbctl status "+l.target)
	refused := []string{"the new file no longer holds 0.17.5, and whether a replica runs it cannot be seen from here: " + why, "--running RELEASE, or --data-file FILE"}
	l.within(hidden, "install", lacking, l.target).ends(4, refused...)
	l.within(hidden, "install", lacking, l.target, "--dry-run").ends(4, refused...)
	l.within(hidden, "install", lacking, l.target, "--running", "0.17.5").ends(4, "RunningVersionNotIncluded", "(--running)")
	if strings.Contains(p.Log(), "change detected") {
		t.Fatalf("the target was touched:\n%s", p.Log())
	}

	// Where the new file holds all there is no risk, and a wait does not end well all the same.
	unseen := "whether every replica has taken it cannot be seen from here: " + why
	l.within(hidden, "install", full, l.target, "--dry-run", "--wait-armed", "1m").ends(1, "the file can be installed, but then "+unseen, "sudo tbctl status "+l.target)
	l.within(hidden, "install", full, l.target).ends(0, "replicas may run from the installed file that cannot be seen from here: "+why).prints("installed: 0.17.7")
	l.within(hidden, "install", full, l.target, "--wait-armed", "10m").ends(1, unseen, "look as root").prints("already")
	for _, until := range []string{"armed=0.17.7", "running", "serving", "durable=0.17.6"} {
		l.within(hidden, "watch", l.target, "--until", until, "--timeout", "10m").ends(1, until+" is not met: there may be replicas that are not seen: "+why, "look as root").
			prints("unseen: there may be replicas that are not seen: " + why)
	}
	var document struct {
		Result struct {
			Observed bool `json:"replicas_observed"`
			Unseen   []struct{ Kind, Reason string }
		}
	}
	l.within(hidden, "status", l.target, "--json").ends(0).decode(&document)
	if document.Result.Observed {
		t.Errorf("got %+v", document)
	}
	p.Must("releases_bundled new: [0.17.5 0.17.6 0.17.7]")
	l.within(hidden, "rollback", l.target).ends(4, "0.17.7")
	p.Kill()
	l.within(hidden, "rollback", l.target, "--stopped", "--running", "0.17.6").ends(0).prints("rolled back: 0.17.6")
}

// In a container there is a first installation, and another where nothing is lost.
func TestLiveInContainer(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	container := "exec unshare -p -f --mount-proc tbctl \"$@\""
	why := "this is a container: processes outside of its PID namespace are not seen"
	fresh := filepath.Join(l.dir, "fresh")
	l.within(container, "install", l.binary("0.17.7", "0.17.6"), fresh).ends(0).prints("installed: 0.17.7")
	l.within(container, "install", l.binary("0.17.8", "0.17.6", "0.17.7"), fresh).ends(0, why).prints("installed: 0.17.8")
	l.within(container, "install", l.binary("0.17.9", "0.17.8"), fresh).ends(4, "no longer holds 0.17.6, 0.17.7, and whether a replica runs one of them", why)
	l.within(container, "install", l.binary("0.17.9", "0.17.8"), fresh, "--running", "0.17.8").ends(0, why).prints("installed: 0.17.9")
	beside := fmt.Sprintf(`exec unshare -p -f --mount-proc sh -ec '[ "$1" ] || exit 0; STANDIN_UPGRADE=never %s start --addresses=`+standin.Addresses(1)+` %s >/dev/null 2>&1 & exec tbctl "$@"' sh "$@"`, l.target, l.data)
	unmet := l.within(beside, "watch", l.target, "--until", "running", "--timeout", "2m")
	unmet.ends(1, "running is not met: there may be replicas that are not seen: "+why, " runs 0.17.6, armed with 0.17.6", "look from outside of the container")
	l.within(container, "status", fresh).ends(0).prints("Running replicas cannot be seen from here:\n  "+why, "look from outside of the container")
}

// An ordinary user who installs for himself, where nothing runs, is told nothing of this.
func TestLiveOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to become another user")
	}
	l := newLive(t, "0.17.6", "0.17.5")
	l.giveAway()
	said := l.leavingOut("install", l.binary("0.17.8", "0.17.6"), l.target)
	if said.ends(0).prints("installed: 0.17.8"); strings.Contains(said.err, "seen") {
		t.Errorf("it says:\n%s", said.err)
	}
	l.asNobody("status", l.target).ends(0).prints("sudo tbctl status " + l.target)
	l.asNobody("install", l.target, l.target, "--wait-armed", "1m").ends(1, "cannot be seen from here", "sudo tbctl status "+l.target)
}

// leavingOut runs tbctl as nobody, and leaves out the replicas of other tests, which nobody may look into: as the
// hint says.
func (l *live) leavingOut(args ...string) said {
	l.t.Helper()
	others := regexp.MustCompile(`process (\d+) is a replica by its command line`)
	for attempt := 1; ; attempt++ {
		said := l.asNobody(args...)
		found := others.FindAllStringSubmatch(said.err, -1)
		if len(found) == 0 || attempt == 20 {
			return said
		}
		for _, process := range found {
			if !strings.Contains(said.err, " --ignore-process ") {
				l.t.Errorf("no hint:\n%s", said.err)
			}
			args = append(args, "--ignore-process", process[1])
		}
	}
}

// A replica of another user's in a mount namespace, where the target has another path, cannot be seen from here: a file
// that it could not be started from is refused, and nothing is said to be running or armed.
func TestLiveElsewhere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to become another user")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	l := newLive(t, "0.17.6", "0.17.5")
	l.giveAway()
	script := `mount --make-rprivate / && mount --bind "$1" /mnt || exit 77
exec /mnt/tigerbeetle start --addresses=` + standin.Addresses(1) + ` /mnt/` + filepath.Base(l.data)
	p := standin.Run(t, unshare, standin.Options{}, "-m", "sh", "-c", script, "sh", l.dir)
	if !p.Wait("listening") {
		if p.Exit() == 77 {
			t.Skip("skipped: mounting is not allowed here")
		}
		t.Fatal(p.Log())
	}
	const ( // other tests' replicas are as hidden, so that any process may be named
		why   = " is a replica by its command line, and which file it executes may not be looked into"
		leave = "leave it out: --ignore-process "
	)
	lacking, full := l.binary("0.17.7", "0.17.6"), l.binary("0.17.8", "0.17.5", "0.17.6")
	l.asNobody("status", l.target).ends(0).prints("Running replicas cannot be seen from here:", why)
	l.asNobody("install", lacking, l.target).ends(4, "the new file no longer holds 0.17.5, and whether a replica runs it cannot be seen from here: ", why, "--running RELEASE, or --data-file FILE", leave)
	l.asNobody("install", lacking, l.target, "--running", "0.17.5").ends(4, "RunningVersionNotIncluded")
	l.asNobody("watch", l.target, "--until", "running").ends(1, "running is not met: there may be replicas that are not seen", why, leave)
	l.asNobody("install", full, l.target, "--wait-armed", "1m").ends(1, "the file is installed, but whether every replica has taken it cannot be seen from here", why)
	l.tbctl("watch", l.target, "--until", "armed=0.17.8", "--timeout", "2m").ends(0).prints("met:")
}

// A stranger's process stops nothing of root's by its name, and by what it executes only what
// would leave it without its release; that is settled by leaving it out.
func TestLiveStranger(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to become another user")
	}
	l := newLive(t, "0.17.6", "0.17.5")
	for _, dir := range []string{l.dir, filepath.Dir(l.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := l.data
	l.data = filepath.Join(t.TempDir(), "mallorys.tigerbeetle") // where root's has never been
	if output, err := exec.Command(l.target, "format", "--cluster=7", "--replica=0", "--replica-count=1", l.data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, dir := range []string{filepath.Dir(l.data), filepath.Dir(filepath.Dir(l.data))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(l.data, 45551, 45551); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(l.dir, "other")
	testbin.WriteFile(t, other, standin.Executable(t, testbin.Release("0.1.1")))
	named := &exec.Cmd{Path: other, Args: []string{l.target, "wait", "start"}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 45551, Gid: 45551}}}
	if err := named.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { named.Process.Kill(); named.Wait() })
	says := fmt.Sprintf("process %d of user 45551 calls itself like the target, but executes %q: it is left out", named.Process.Pid, other)
	l.tbctl("status", l.target).ends(0).prints(says, "No process runs from this binary.")
	l.tbctl("install", l.binary("0.17.7", "0.17.6"), l.target).ends(0, says).prints("installed: 0.17.7")
	l.tbctl("rollback", l.target, "--stopped", "--running", "0.17.6").ends(0, says).prints("rolled back: 0.17.6")

	p := l.start(standin.Options{User: 45551})
	who := fmt.Sprintf("process %d of user 45551", p.PID())
	l.tbctl("status", l.target).ends(0).prints(who+": stays at 0.17.6", "replica  0.17.6")
	lacking := l.binary("0.17.9", "0.17.8")
	l.refused([]string{"the new file lacks release 0.17.6, which a replica runs (" + who + ")", fmt.Sprintf("--ignore-process %d", p.PID())}, "install", lacking, l.target)
	l.tbctl("install", l.binary("0.17.8", "0.17.6"), l.target, "--stopped").ends(0, who+" runs from the target, and is left out").prints("installed: 0.17.8")

	// It neither meets nor hinders what is waited for, until its data file is named.
	watched := []string{"watch", l.target, "--until", "running"}
	alone := []string{"a replica of a user who is not known to run any for this binary does not count: " + who,
		"if that is a replica of yours, name its data file: tbctl watch " + l.target + " --until running --data-file " + l.data + "; if not, leave it out: " + fmt.Sprintf("--ignore-process %d", p.PID())}
	l.tbctl(watched...).ends(1, alone...).prints(who[len("process "):] + ", which does not count, runs 0.17.6")
	l.outOfTime(append(alone, "running is not met in time"), watched...)
	l.tbctl("status", l.target).ends(0).prints("watch --until and install --wait-armed do not count it")
	l.tbctl("install", l.target, l.target, "--wait-armed", "10m").ends(1, "the file is installed, but no replica that counts has taken it", "--until armed=0.17.8 --data-file "+l.data)
	l.tbctl(append(watched, "--data-file", l.data)...).ends(0).prints("met: running")
	l.tbctl(append(watched, "--data-file", l.data+".none")...).ends(1, l.data+".none", "no such file")
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	own := standin.Start(t, l.target, data, standin.Options{})
	own.Must("0.17.6: listening")
	for _, until := range []string{"running=0.17.6", "serving", "armed=0.17.8", "durable=0.17.6"} {
		l.tbctl("watch", l.target, "--until", until, "--timeout", "2m").ends(0).prints("met: " + until)
	}
	l.tbctl("install", l.target, l.target, "--wait-armed", "2m").ends(0, "armed: the replica of this host holds the new binary")
	own.Kill()
	if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	l.tbctl("install", lacking, l.target, "--forget-data-file", data, "--ignore-process", fmt.Sprint(p.PID())).ends(0, fmt.Sprintf("process %d is left out, as asked for\n", p.PID())).prints("installed: 0.17.9")
}

// unmet runs a command that waits for a time, which is its last argument, until that is long enough for a look.
func (l *live) unmet(args ...string) said {
	for wait := 200 * time.Millisecond; ; wait *= 2 {
		if told := l.tbctl(append(args, wait.String())...); !strings.Contains(told.err, "could not be looked at") {
			return told
		}
	}
}

// A replica that is frozen with its control group is shown as such, and neither runs nor serves nor is armed, though it holds the file in memory.
func TestLiveFrozen(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	for hierarchy := range standin.Freezers() {
		thaw := standin.Freeze(t, hierarchy, p.PID())
		for !strings.Contains(l.tbctl("status", l.target).ends(0).out, fmt.Sprintf("%d  replica  frozen   0.17.6", p.PID())) {
		}
		l.tbctl("status", l.target).ends(0).prints(fmt.Sprintf("%d: it is frozen with its control group", p.PID()))
		for _, until := range []string{"running", "serving", "armed=0.17.6"} {
			l.unmet("watch", l.target, "--until", until, "--timeout").ends(1, fmt.Sprintf("process %d is frozen with its control group", p.PID()))
		}
		l.unmet("install", l.target, l.target, "--wait-armed").ends(1, fmt.Sprintf("process %d is frozen with its control group", p.PID()))
		thaw()
		l.tbctl("watch", l.target, "--until", "serving", "--timeout", "30s").ends(0)
		return
	}
	t.Skip("this system has no control groups that freeze")
}

// A replica that is stopped, and one that has the file alone mounted, do not take the next one.
func TestLiveTakesNothing(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	p := l.start(standin.Options{})
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.PID(), &status, syscall.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	l.tbctl("install", l.binary("0.17.7", "0.17.6"), l.target).ends(0, fmt.Sprintf("process %d: it is stopped by a signal", p.PID()))
	l.tbctl("status", l.target).ends(0).prints(fmt.Sprintf("%d: it is stopped by a signal: it looks for a new binary only after it is continued", p.PID()), fmt.Sprintf("%d  replica  stopped  0.17.6", p.PID()))
	for _, until := range []string{"running", "serving"} {
		l.outOfTime([]string{fmt.Sprintf("%s is not met in time; process %d is stopped by a signal, with 0.17.6, armed with 0.17.6", until, p.PID())}, "watch", l.target, "--until", until).
			prints(fmt.Sprintf("replica %d is stopped by a signal", p.PID()))
	}
	var document struct {
		Result struct{ Replicas []struct{ State string } }
	}
	l.tbctl("status", l.target, "--json").ends(0).decode(&document)
	if len(document.Result.Replicas) != 1 || document.Result.Replicas[0].State != "stopped" {
		t.Errorf("status says %+v", document)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.Must("releases_bundled new: [0.17.6 0.17.7]")
}

// A replica in a container that has the file alone mounted never sees the next one, and is not waited for.
func TestLiveMountedAlone(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting needs root")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	l := newLive(t, "0.17.6", "0.17.5")
	script := `mount --make-rprivate / && mount -t tmpfs none /mnt && touch /mnt/tb && mount --bind "$1" /mnt/tb || exit 77
exec /mnt/tb start --addresses=` + standin.Addresses(1) + ` "$2"`
	p := standin.Run(t, unshare, standin.Options{}, "-m", "sh", "-c", script, "sh", l.target, l.data)
	if !p.Wait("listening") && p.Exit() == 77 {
		t.Skip("skipped: mounting is not allowed here")
	}
	alone := fmt.Sprintf("process %d: the file alone is mounted where it runs", p.PID())
	l.tbctl("install", l.binary("0.17.7", "0.17.5", "0.17.6"), l.target, "--wait-armed", "10m").ends(1, alone, "a replica does not see the file at the target",
		"mount the directory, not the file", "start its container again")
	l.tbctl("status", l.target).ends(0).prints(fmt.Sprintf("%d: the process sees another file at that path: mount the directory, not the file", p.PID()))
	l.tbctl("install", l.binary("0.17.8", "0.17.6", "0.17.7"), l.target).ends(0).prints("installed: 0.17.8")
	l.refused([]string{"the new file lacks release 0.17.6, which a replica runs"}, "install", l.binary("0.17.9", "0.17.7", "0.17.8"), l.target)
	var document struct {
		Result struct {
			Replicas []struct {
				PID         int
				Sees        string
				OutlookKind string `json:"outlook_kind"`
			}
		}
	}
	l.tbctl("status", l.target, "--json").ends(0).decode(&document)
	if got := document.Result.Replicas; len(got) != 1 || got[0].PID != p.PID() || got[0].Sees != "other" || got[0].OutlookKind != "other-file" {
		t.Errorf("got %+v", got)
	}
}

// A replica that was started by a relative path may be any target's, as far as a user can see who may not look into it: it is
// told once, as one that cannot be seen, is no row of this target, and is in the way of nothing that it could not need.
func TestLiveRelative(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to become another user")
	}
	l := newLive(t, "0.17.6", "0.17.5")
	l.giveAway()
	other, data := standin.Install(t, standin.Binary(t, "0.17.1", "0.17.0"))
	p := standin.Run(t, "/bin/sh", standin.Options{}, "-ec", `cd "$1"; shift; exec "$@"`, "sh", filepath.Dir(other),
		"./tigerbeetle", "start", "--addresses="+standin.Addresses(1), data)
	p.Must("listening")
	why := fmt.Sprintf("process %d is a replica by its command line, and which file it executes may not be looked into", p.PID())
	var document struct {
		Result struct {
			Observed bool                `json:"replicas_observed"`
			Unseen   []replica.Unseen    `json:"replicas_unseen"`
			Replicas []struct{ PID int } `json:"replicas"`
		}
	}
	l.asNobody("status", l.target, "--json").ends(0).decode(&document)
	for _, row := range document.Result.Replicas {
		if row.PID == p.PID() {
			t.Errorf("it is a row of %s", l.target)
		}
	}
	if document.Result.Observed || len(document.Result.Unseen) == 0 {
		t.Errorf("got %+v", document)
	}
	said := l.asNobody("install", l.binary("0.17.7", "0.17.5", "0.17.6"), l.target).ends(0).prints("installed: 0.17.7")
	if strings.Count(said.err, why) > 1 {
		t.Errorf("it says more than once:\n%s", said.err)
	}
	l.asNobody("install", l.binary("0.17.8", "0.17.7"), l.target).ends(4, "the new file no longer holds 0.17.5, 0.17.6, and whether a replica runs one of them cannot be seen from here: ", "leave it out: --ignore-process ")

	// Who may look sees that it runs from another file.
	if said := l.tbctl("status", l.target).ends(0).prints("No process runs from this binary."); strings.Contains(said.out+said.err, "cannot be seen") {
		t.Errorf("it says:\n%s%s", said.out, said.err)
	}
}
