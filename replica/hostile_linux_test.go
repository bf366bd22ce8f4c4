package replica_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
	"golang.org/x/sys/unix"
)

// A name is nobody's proof, not even root's: it is shown as what it is.
func TestFindClaimed(t *testing.T) {
	t.Parallel()
	target := installed(t)
	other := program(t)
	for _, uid := range []uint32{0, mallory} {
		command := helper(t, other, "wait", uid, target, "start", "--addresses=3000", "/0_0.tigerbeetle")
		got := processOf(t, look(t, target, replica.Options{}), command.Process.Pid)
		if got.Origin != replica.OriginClaimed || got.Replica || got.Exe != other || got.UID != uid || got.Stranger != (uid == mallory) || got.DataFile != "" {
			t.Errorf("user %d: %+v", uid, got)
		}
	}
}

// forMallory makes a place where mallory can run what is installed with a data file of his own.
func forMallory(t *testing.T, binary, dataFile string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: changing the user needs root")
	}
	for _, each := range []string{filepath.Dir(binary), filepath.Dir(filepath.Dir(binary))} {
		if err := os.Chmod(each, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dataFile, mallory, mallory); err != nil {
		t.Fatal(err)
	}
}

// Everyone may run the target: who executes its very file is a replica, and a stranger all the same.
func TestFindStranger(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	forMallory(t, binary, dataFile)
	p := standin.Start(t, binary, dataFile, standin.Options{User: mallory})
	view := look(t, binary, replica.Options{})
	got := processOf(t, view, p.PID())
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if !got.Stranger || got.UID != mallory || got.Superblock == nil || len(view.Held) != 2 || view.Held[1] != testbin.Release("0.17.6") {
		t.Errorf("got %+v, held %v", got, view.Held)
	}
	if got := processOf(t, look(t, binary, replica.Options{Users: []uint32{mallory}}), p.PID()); got.Stranger {
		t.Errorf("a user who is named is a stranger: %+v", got)
	}
}

// A stranger's replica that has upgraded executes a memory file: its content must be what the target holds.
func TestFindStrangerInMemory(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.5", "0.17.6"))
	forMallory(t, binary, dataFile)
	p := standin.Start(t, binary, dataFile, standin.Options{User: mallory})
	p.Must("0.17.6: listening")
	got := processOf(t, look(t, binary, replica.Options{}), p.PID())
	checkRunning(t, got, "0.17.6", replica.SourcePack, true, replica.OriginMemory)
	if !got.Stranger {
		t.Errorf("got %+v", got)
	}
	standin.Replace(t, binary, standin.Binary(t, "0.18.8", "0.18.5"))
	if got := processOf(t, look(t, binary, replica.Options{}), p.PID()); got.Origin != replica.OriginClaimed || got.Replica {
		t.Errorf("of another binary: %+v", got)
	}
}

// Root reads no file for a stranger that is neither his nor open to him.
func TestFindStrangersDataFile(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	forMallory(t, binary, dataFile)
	target := program(t)
	command := helper(t, target, "wait", mallory, target, "start", "--addresses=3000", dataFile)
	got := processOf(t, look(t, target, replica.Options{}), command.Process.Pid)
	if got.Superblock == nil || got.Superblock.Release != testbin.Release("0.17.6") {
		t.Errorf("of his own: %+v", got)
	}
	if err := os.Chown(dataFile, 0, 0); err != nil {
		t.Fatal(err)
	}
	got = processOf(t, look(t, target, replica.Options{}), command.Process.Pid)
	if got.Superblock != nil || !strings.Contains(fmt.Sprint(got.Unreadable), "does not have it open") || got.DataFilePath != dataFile {
		t.Errorf("got %+v", got)
	}
}

// A process whose first thread has ended is still there, and so is what it executes.
func TestFindWithoutFirstThread(t *testing.T) {
	t.Parallel()
	target := program(t)
	command := helper(t, target, "thread", 0, target, "start", "--addresses=3000", "/none")
	got := processOf(t, look(t, target, replica.Options{}), command.Process.Pid)
	if got.Origin != replica.OriginTarget || !got.Replica || got.Started.IsZero() || got.Command != target {
		t.Errorf("got %+v", got)
	}
}

// A memory file is read once, in however many descriptors it is.
func TestFindManyDescriptors(t *testing.T) {
	t.Parallel()
	target := program(t)
	content := testbin.BuildFile(t, testbin.Spec{}, t.TempDir())
	command := helper(t, target, "descriptors "+content, 0, target, "start", "--addresses=3000", "/none")
	got := processOf(t, look(t, target, replica.Options{}), command.Process.Pid)
	if got.Armed == nil || got.Armed.Current != testbin.Release("0.17.8") || strings.Contains(fmt.Sprint(got.Unreadable), "descriptors") {
		t.Errorf("armed %+v, unreadable %v", got.Armed, got.Unreadable)
	}
	command = helper(t, target, "files "+content, 0, target, "start", "--addresses=3000", "/none")
	got = processOf(t, look(t, target, replica.Options{}), command.Process.Pid)
	said := 0
	for _, unreadable := range got.Unreadable {
		if errors.Is(unreadable.Err, replica.ErrTooMany) {
			said++
		}
	}
	if said != 1 || len(got.Unreadable) > 8 {
		t.Errorf("unreadable %v", got.Unreadable)
	}
}

// A file of a memory file's name is none, and is not opened.
func TestFindFalseMemoryFile(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	cmd := contained(t, `mount -t tmpfs none /mnt
cp "$1/tigerbeetle" "/mnt/memfd:$2"
exec 9<"/mnt/memfd:$2"
umount -l /mnt
exec "$1/tigerbeetle" start --addresses=`+standin.Addresses(1)+` "$1/0_0.tigerbeetle"`, filepath.Dir(binary), replica.MemfdName)
	fd := fmt.Sprintf("/proc/%d/fd/9", cmd.Process.Pid)
	if link, err := os.Readlink(fd); err != nil || !strings.HasPrefix(link, "/memfd:"+replica.MemfdName) {
		t.Skipf("skipped: the descriptor is %q here, %v", link, err)
	}
	watched := watchOpens(t, fd)
	got := only(t, binary)
	if got.Armed == nil || got.Armed.FD == 9 || len(got.Unreadable) > 0 {
		t.Errorf("armed %+v, unreadable %v", got.Armed, got.Unreadable)
	}
	if watched() {
		t.Error("the file was opened")
	}
}

// Nothing but a regular file is opened where a binary should be.
func TestFindOpensNoPipe(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Start(t, binary, dataFile, standin.Options{})
	if err := syscall.Mkfifo(binary+"-old", 0o600); err != nil {
		t.Fatal(err)
	}
	watched := watchOpens(t, binary+"-old")
	checkRunning(t, only(t, binary), "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if watched() {
		t.Error("the pipe was opened")
	}
}

// watchOpens returns a function that reports whether a file has been opened meanwhile.
func watchOpens(t *testing.T, path string) func() bool {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN); err != nil {
		t.Skipf("skipped: %v", err)
	}
	return func() bool {
		count, err := unix.Read(fd, make([]byte, 4096))
		return err == nil && count > 0
	}
}

// A process that executes from a mount which answers no more is neither waited for nor told of.
func TestFindHungExecutable(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	source, place := t.TempDir(), t.TempDir()
	testbin.WriteFile(t, filepath.Join(source, "other"), testbin.Self(t))
	server := mountFUSE(t, source, place)
	helper(t, filepath.Join(place, "other"), "wait", 0, "other")
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer server.Signal(syscall.SIGCONT)
	target, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, target, dataFile, standin.Options{})
	view := look(t, target, replica.Options{})
	checkRunning(t, processOf(t, view, p.PID()), "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if len(view.Processes) != 1 || len(view.Unseen) != 0 {
		t.Errorf("got %+v", view)
	}
}

// mountFUSE mounts a directory a second time, through a server that can be stopped.
func mountFUSE(t *testing.T, source, place string) *os.Process {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounting needs root")
	}
	bindfs, err := exec.LookPath("bindfs")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	server := exec.Command(bindfs, "-f", "-o", "attr_timeout=0,entry_timeout=0,allow_other", source, place)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGCONT)
		_ = syscall.Unmount(place, syscall.MNT_DETACH)
		_ = server.Process.Kill()
		<-ended
	})
	for range time.Tick(10 * time.Millisecond) {
		var there, here syscall.Stat_t
		if err := errors.Join(syscall.Stat(place, &there), syscall.Stat(source, &here)); err == nil && there.Dev != here.Dev {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Skipf("skipped: bindfs: %v", err)
		default:
		}
	}
	return server.Process
}
