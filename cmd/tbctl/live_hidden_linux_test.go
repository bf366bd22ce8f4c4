package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

const nobody = 65534

// asNobody runs tbctl as a user who may write the target, but not look into the
// replicas of root.
func (l *live) asNobody(args ...string) said {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), liveMax)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(l.dir, "tbctl"), args...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return l.run(command)
}

// giveAway makes nobody the owner of the target and its directory, with a tbctl that
// nobody can execute. The data file stays root's.
func (l *live) giveAway() {
	l.t.Helper()
	program, err := exec.LookPath("tbctl")
	if err != nil {
		l.t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		l.t.Fatal(err)
	}
	standin.Replace(l.t, filepath.Join(l.dir, "tbctl"), data)
	if err := os.Chmod(filepath.Dir(l.dir), 0o755); err != nil {
		l.t.Fatal(err)
	}
	for _, path := range []string{l.dir, l.target} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			l.t.Fatal(err)
		}
	}
	probe := exec.Command(filepath.Join(l.dir, "tbctl"), "version")
	probe.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if output, err := probe.CombinedOutput(); err != nil {
		l.t.Skipf("skipped: nobody cannot execute tbctl below the temporary directory: %v\n%s", err, output)
	}
}

// A replica that may not be looked into is refused until the operator says what runs.
// Other tests' replicas are as hidden, so that any process may be named.
func TestLiveHidden(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to run tbctl as another user than the replica")
	}
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.7", "0.17.5", "0.17.6")
	stranger := l.binary("0.17.9", "0.17.8")
	l.giveAway()
	p := l.start(standin.Options{})

	l.asNobody("status", l.target).ends(0).prints(fmt.Sprintf("%d  replica  ?        -      -       -        %s", p.PID(), l.data), "which release it runs is not known", "permission denied")
	unknown := []string{"may be a replica that runs from the target, and which release it runs could not be found out", "permission denied",
		"run it as root, or say which release runs: --running RELEASE; or, if that is no replica of this cluster, leave it out: --ignore-process "}
	for _, args := range [][]string{{"install", next, l.target}, {"install", next, l.target, "--dry-run"}, {"rollback", l.target}} {
		l.asNobody(args...).ends(4, unknown...)
	}
	l.asNobody("install", stranger, l.target, "--running", "0.17.6").ends(4, "RunningVersionNotIncluded", "(--running)")
	if strings.Contains(p.Log(), "change detected") {
		t.Fatalf("the target was touched:\n%s", p.Log())
	}

	// With the release said it goes on; nobody cannot see that it arms, and is told so.
	l.asNobody("install", next, l.target, "--running", "0.17.6", "--wait-armed", "1m").ends(1, "the file is installed, but", "permission denied", "run it as root")
	p.Must("releases_bundled new: [0.17.5 0.17.6 0.17.7]")
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:")
	l.asNobody("watch", l.target, "--until", "armed=0.17.7", "--timeout", "1m").ends(1, "permission denied", "run it as root")

	// --stopped is taken for the truth, but says nothing of a data file that was seen before.
	p.Kill()
	l.asNobody("rollback", l.target, "--stopped").ends(4, "was seen with this target before, and what it needs cannot be seen", "--running RELEASE")
	l.asNobody("rollback", l.target, "--stopped", "--running", "0.17.6").ends(0).prints("rolled back: 0.17.6")
	l.start(standin.Options{}).Must("0.17.6: listening")
}

// Of a target that this user may not read nothing is said that was not seen: neither what it is, nor what a replica makes of it.
func TestLiveUnreadTarget(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, to run tbctl as another user")
	}
	l := newLive(t, "0.17.6", "0.17.5")
	l.giveAway()
	p := l.start(standin.Options{})
	if err := errors.Join(os.Chown(l.target, 0, 0), os.Chmod(l.target, 0o700)); err != nil {
		t.Fatal(err)
	}
	var document struct {
		Result struct {
			Installed *struct{}
			Hidden    []string
			Replicas  []struct {
				PID     int
				Kind    string `json:"outlook_kind"`
				Outlook string
			}
		}
	}
	l.asNobody("status", l.target, "--json").ends(1).decode(&document)
	if document.Result.Installed != nil || !slices.Contains(document.Result.Hidden, l.target) {
		t.Errorf("got %+v", document)
	}
	for _, replica := range document.Result.Replicas {
		if replica.PID != p.PID() {
			continue
		}
		if replica.Kind != "unknown" || replica.Outlook != "what is at the target cannot be seen from here, and so not what it makes of that" {
			t.Errorf("got %+v", replica)
		}
		return
	}
	t.Errorf("the replica is not among %+v", document.Result.Replicas)
}
