package replica_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// A stranger's process that does not answer, whether it says what it calls itself or not, hinders nothing, though it executes the target. One
// in a service does.
func TestFindSilentStranger(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: whose a process is is told by the owner of its directory, unless that is root")
	}
	for _, silent := range []string{"2/cmdline", "2/stat"} {
		for cgroup, login := range map[string]string{"0::/user.slice/user-1500.slice/session-1.scope\n": "1500", "0::/system.slice/tigerbeetle.service\n": "4294967295"} {
			t.Run(silent+" "+login, func(t *testing.T) {
				t.Parallel()
				target, service := installed(t), strings.Contains(cgroup, "system.slice")
				tr := newTree(t)
				tr.process(2, target, "mnt:[1]", target, "start", "--addresses=3000", "/none")
				tr.write("2/status", "Name:\tx\nUid:\t1500\t0\t0\t0\n")
				tr.write("2/cgroup", cgroup)
				tr.write("2/loginuid", login)
				pipe := filepath.Join(tr.root, silent) // who opens it waits
				tr.unlink(silent)
				if err := syscall.Mkfifo(pipe, 0o644); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if writer, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
						writer.Close()
					}
				})
				view := look(t, target, replica.Options{Proc: tr.root})
				told := len(view.Unseen) == 1 && view.Unseen[0].Kind == replica.UnseenNoAnswer && view.Unseen[0].PID == 2
				if told != service || !service && (len(view.Unseen) > 0 || view.Skipped != 1) || len(view.Processes) > 0 {
					t.Errorf("%+v", view)
				}
			})
		}
	}
}

// For a lease that is never given back nothing is waited where it is on what a process has: the process is seen for what it is.
func TestFindLease(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	for _, uid := range []uint32{mallory, 998} {
		binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
		forMallory(t, binary, dataFile)
		target := program(t)
		command := helper(t, target, "wait", uid, target, "start", "--addresses=3000", dataFile)
		if err := os.Chown(dataFile, int(uid), int(uid)); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(dataFile, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
			t.Skipf("skipped: no leases here: %v", err)
		}
		view := look(t, target, replica.Options{})
		got := processOf(t, view, command.Process.Pid)
		var lease *vfs.LeaseError
		for _, each := range got.Unreadable {
			if each.What == replica.UnreadableDataFile && !errors.As(each.Err, &lease) {
				t.Errorf("user %d: the data file: %v", uid, each.Err)
			}
		}
		if lease == nil || got.Origin != replica.OriginTarget || got.Stranger != (uid == mallory) || got.DataFilePath != dataFile {
			t.Errorf("user %d: %+v", uid, got)
		}
		for _, unseen := range view.Unseen {
			if unseen.PID == got.PID {
				t.Errorf("user %d: unseen: %s", uid, unseen.Reason)
			}
		}
	}
}
