package host

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSteady holds that limits, umask and signals of whoever started the process are gone after it, in a process of its own.
func TestSteady(t *testing.T) {
	const variable = "TBCTL_TEST_STEADY"
	if os.Getenv(variable) != "" {
		Steady()
		var size unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &size); err != nil {
			t.Fatal(err)
		}
		if umask := unix.Umask(0); umask != 0o022 || size.Cur != size.Max {
			t.Errorf("umask %#o, a file has at most %d of %d bytes", umask, size.Cur, size.Max)
		}
		if err := unix.Kill(os.Getpid(), unix.SIGTSTP); err != nil { // where it is not ignored, this process stops here
			t.Error(err)
		}
		return
	}
	t.Parallel()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c", `umask 0777; ulimit -S -f 8; exec "$0" -test.run '^TestSteady$' -test.v`, name)
	command.Env = append(os.Environ(), variable+"=yes")
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestSteady") {
		t.Errorf("%v\n%s", err, output)
	}
}
