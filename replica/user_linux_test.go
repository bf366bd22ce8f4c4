package replica

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestUserOfNamespace holds that a process in a user namespace of its own is nobody's that is believed, though its
// directory belongs to root: its list of groups may be so long that reading it takes the time of others.
func TestUserOfNamespace(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: root alone has a process there whose directory belongs to root")
	}
	for own, want := range map[bool]uint32{false: 0, true: userUnknown} {
		command := exec.Command("sleep", "60")
		if own {
			command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		}
		if err := command.Start(); err != nil {
			t.Skipf("skipped: no user namespace: %v", err)
		}
		t.Cleanup(func() {
			command.Process.Kill()
			command.Wait() // a signal ended it
		})
		entry, err := openEntry(fmt.Sprintf("/proc/%d", command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		defer entry.close()
		if got := entry.user(); got != want {
			t.Errorf("in a user namespace: %v: user %d, want %d", own, got, want)
		}
	}
}
