package replica

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

// TestUserOfNamespace holds that a process belongs to who it is here, also in a user namespace of its own, in which its
// user may be root.
func TestUserOfNamespace(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it makes processes of root and of another user")
	}
	const other = 45552
	for _, test := range []struct {
		name      string
		namespace bool
		user      uint32
	}{{"root", false, 0}, {"root's namespace", true, 0}, {"a user", false, other}, {"a user's namespace", true, other}} {
		command := exec.Command("sleep", "60")
		if test.namespace {
			command = exec.Command("unshare", "-Ur", "sleep", "60")
		}
		command.Dir = "/"
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: test.user, Gid: test.user}}
		if err := command.Start(); err != nil {
			t.Skipf("skipped: %v", err)
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
		awaitSleep(t, entry)
		if got := entry.user(vfs.IDMap{}); got != test.user {
			t.Errorf("%s: user %d, want %d", test.name, got, test.user)
		}
	}
}

// awaitSleep returns when a process executes sleep.
func awaitSleep(t *testing.T, entry *entry) {
	t.Helper()
	for {
		link, err := entry.link("exe")
		if err != nil {
			t.Skipf("skipped: no user namespace: %v", err)
		}
		if filepath.Base(link) == "sleep" || filepath.Base(link) == "coreutils" {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestUserNotHere holds that of a user who does not exist in our user namespace nothing is concluded, least of all from the
// number that all of those have.
func TestUserNotHere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it makes a process of another user")
	}
	command := exec.Command("sleep", "60")
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := command.Start(); err != nil {
		t.Skipf("skipped: %v", err)
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
	some := vfs.IDMap{Ranges: []vfs.IDRange{{First: 0, Last: 0}}, Nobody: 65534}
	if got := entry.user(some); got != userUnknown {
		t.Errorf("user %d", got)
	}
	if got := entry.user(vfs.IDMap{}); got != 65534 {
		t.Errorf("where all users exist: user %d", got)
	}
	process := Process{PID: 7, UID: userUnknown, Replica: true}
	if !process.Counts() || strings.Contains(process.User(), "4294967295") {
		t.Errorf("counts %t, user %q", process.Counts(), process.User())
	}
}
