package replica_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
)

// lockFile has another process hold a file's lock.
func lockFile(t *testing.T) (name string, pid int) {
	t.Helper()
	program, err := exec.LookPath("flock")
	if err != nil {
		t.Skip("there is no flock, util-linux, to hold a lock with")
	}
	name = filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(program, "--no-fork", name, "sh", "-c", "echo; read line")
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holder.Process.Kill(); in.Close(); holder.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has it
		t.Fatal(err)
	}
	return name, holder.Process.Pid
}

// Who has a lock and was stopped is found, and nobody who goes on, or has another file's.
func TestHoldsStill(t *testing.T) {
	t.Parallel()
	name, pid := lockFile(t)
	other, _ := lockFile(t)
	if still := replica.HoldsStill(name); still != nil {
		t.Errorf("before: %+v", still)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", status, err)
	}
	if still := replica.HoldsStill(name); still == nil || *still != (replica.Still{PID: pid}) {
		t.Errorf("stopped: %+v, want %d", still, pid)
	}
	if still := replica.HoldsStill(other); still != nil {
		t.Errorf("another file: %+v", still)
	}
	if still := replica.HoldsStill(filepath.Join(t.TempDir(), "none")); still != nil {
		t.Errorf("no file: %+v", still)
	}
}

// A control group says that it is frozen, and that of version 1 how it is thawed, which must come before its processes end.
func TestHoldsFrozen(t *testing.T) {
	t.Parallel()
	for hierarchy := range standin.Freezers() {
		t.Run(hierarchy, func(t *testing.T) {
			t.Parallel()
			name, pid := lockFile(t)
			thaw := standin.Freeze(t, hierarchy, pid)
			defer thaw()
			still := replica.HoldsStill(name)
			for still == nil { // the system freezes one thread after the other
				still = replica.HoldsStill(name)
			}
			file := "cgroup.freeze"
			if still.Thaws {
				file = "freezer.state"
			}
			if _, err := os.Stat(filepath.Join(still.Group, file)); err != nil || still.PID != pid {
				t.Errorf("%+v, want %d: %v", still, pid, err)
			}
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
			if err != nil || !strings.Contains(string(text), filepath.Base(still.Group)) {
				t.Errorf("its groups are\n%s%v", text, err)
			}
		})
	}
}
