package watch_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/watch"
)

// Where /proc hides other users' processes nothing is claimed of them. The test runs itself again as
// such a user.
func TestUntilHidden(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("WATCH_HIDDEN"); path != "" {
		condition := watch.Condition{What: watch.ConditionRunning}
		var events []string
		outcome, err := watch.Until(t.Context(), path, condition, quick, func(event watch.Event) { events = append(events, string(event.Kind)) })
		if !errors.Is(err, watch.ErrUnseen) || outcome.Met || len(outcome.Unseen) == 0 || !strings.Contains(err.Error(), "hidepid") || !slices.Contains(events, "unseen") {
			t.Errorf("%+v, %v, events %v", outcome, err, events)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root, for a /proc of its own")
	}
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Start(t, binary, dataFile, standin.Options{})
	script := `mount --make-rprivate / && mount -t proc -o hidepid=2 proc /proc || exit 77
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" -test.run '^TestUntilHidden$' -test.v`
	for _, program := range []string{"unshare", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("unshare", "-m", "sh", "-c", script, "/proc/self/fd/3")
	program, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	command.ExtraFiles = []*os.File{program}
	command.Env = append(os.Environ(), "WATCH_HIDDEN="+binary)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := command.CombinedOutput()
	if command.ProcessState != nil && command.ProcessState.ExitCode() == 77 {
		t.Skipf("skipped: a /proc with hidepid is not allowed here: %s", output)
	}
	if err != nil || !strings.Contains(string(output), "--- PASS: TestUntilHidden") {
		t.Errorf("%v\n%s", err, output)
	}
}
