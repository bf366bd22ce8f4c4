package replica_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
)

// contained runs a shell script in a mount namespace of its own, and waits for the
// first line that the replica says. It skips the test where that is not allowed.
func contained(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a mount namespace needs root")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	if output, err := exec.Command(unshare, "-m", "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("skipped: a mount namespace is not allowed here: %v: %s", err, output)
	}
	cmd := exec.Command(unshare, append([]string{"-m", "sh", "-ec", script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "STANDIN_UPGRADE=never")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the shell's pipeline too
		_ = cmd.Wait()
	})
	said := make([]byte, 4096)
	count, err := output.Read(said)
	if err != nil || !strings.Contains(string(said[:count]), "0.17") {
		t.Fatalf("the replica says %q, %v", said[:count], err)
	}
	go io.Copy(io.Discard, output)
	return cmd
}

// A container sees the binary's directory at another path.
func TestFindInContainer(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	contained(t, `mount --bind "$1" /mnt; exec /mnt/tigerbeetle start --addresses=`+standin.Addresses(1)+` /mnt/0_0.tigerbeetle`, filepath.Dir(binary))
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if got.Command != "/mnt/tigerbeetle" || got.DataFile != "/mnt/0_0.tigerbeetle" || got.Superblock == nil {
		t.Errorf("got %+v", got)
	}
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	checkRunning(t, only(t, binary), "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
}

// A replica that executes from memory in a container names the path there.
func TestFindPastReleaseInContainer(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.5", "0.17.6"))
	cmd := contained(t, `mount --bind "$1" /mnt; exec /mnt/tigerbeetle start --addresses=`+standin.Addresses(1)+` /mnt/0_0.tigerbeetle 2>&1 | grep --line-buffered listening >&2`,
		filepath.Dir(binary))
	_ = cmd
	checkRunning(t, only(t, binary), "0.17.6", replica.SourcePack, true, replica.OriginMemory)
}

// The same path in another mount namespace is another file.
func TestFindSamePathElsewhere(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	other, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	contained(t, `mount --bind "$1" "$2"; exec "$2"/tigerbeetle start --addresses=`+standin.Addresses(1)+` "$2"/0_0.tigerbeetle`, filepath.Dir(other), filepath.Dir(binary))
	if found, err := replica.Find(t.Context(), binary, replica.Options{}); err != nil || len(found.Processes) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	checkRunning(t, only(t, other), "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
}

// installNext puts a binary in the place of the one at a path as tbctl does: the replaced file is kept.
func installNext(t *testing.T, binary string, data []byte) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(binary+"-old"), os.Link(binary, binary+"-old")); err != nil {
		t.Fatal(err)
	}
	standin.Replace(t, binary, data)
}

// The link to a deleted executable is spelled from our root, the command line from the process's.
func TestFindInChrootOfAMount(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	root := t.TempDir()
	cmd := contained(t, `mkdir "$2/tb" "$2/proc"; mount --bind "$1" "$2/tb"; mount -t proc proc "$2/proc"
exec chroot "$2" /tb/tigerbeetle start --addresses=`+standin.Addresses(1)+` /tb/0_0.tigerbeetle`, filepath.Dir(binary), root)
	for _, release := range []string{"0.17.7", "0.17.8", "0.17.9"} {
		installNext(t, binary, standin.Binary(t, release, "0.17.5", "0.17.6"))
		got := only(t, binary)
		checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
		if got.PID != cmd.Process.Pid || got.Sees != replica.SeesTarget {
			t.Errorf("%s: got %+v", release, got)
		}
	}
}

// The same without a mount namespace of its own, where everything has a path from our root.
func TestFindInChrootHere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root")
	}
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	root := filepath.Dir(binary)
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("mount", "-t", "proc", "proc", filepath.Join(root, "proc")).CombinedOutput(); err != nil {
		t.Skipf("skipped: %v: %s", err, output)
	}
	t.Cleanup(func() { _ = syscall.Unmount(filepath.Join(root, "proc"), syscall.MNT_DETACH) })
	chroot, err := exec.LookPath("chroot")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	p := standin.Run(t, chroot, standin.Options{}, root, "/tigerbeetle", "start", "--addresses="+standin.Addresses(1), "/0_0.tigerbeetle")
	p.Must("listening")
	for _, release := range []string{"0.17.7", "0.17.8", "0.17.9"} {
		installNext(t, binary, standin.Binary(t, release, "0.17.5", "0.17.6"))
		got := only(t, binary)
		checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
		if got.Sees != replica.SeesTarget {
			t.Errorf("%s: got %+v", release, got)
		}
	}
}

// Where the file alone is mounted nothing that takes its place is seen, and nothing but the
// mount tells any more where the file came from.
func TestFindMountedAlone(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	contained(t, `mount -t tmpfs none /mnt; touch /mnt/tb; mount --bind "$1/tigerbeetle" /mnt/tb
exec /mnt/tb start --addresses=`+standin.Addresses(1)+` "$1/0_0.tigerbeetle"`, filepath.Dir(binary))
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if got.Sees != replica.SeesMounted {
		t.Errorf("sees %q", got.Sees)
	}
	for _, release := range []string{"0.17.7", "0.17.8", "0.17.9"} {
		if err := os.Rename(binary, binary+"-old"); err != nil {
			t.Fatal(err)
		}
		standin.Replace(t, binary, standin.Binary(t, release, "0.17.5", "0.17.6"))
		got := only(t, binary)
		checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
		if got.Sees != replica.SeesOther {
			t.Errorf("%s: sees %q", release, got.Sees)
		}
	}
}

// The same for one that executes from memory: its command line says where it came from.
func TestFindMountedAloneInMemory(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	contained(t, `mount -t tmpfs none /mnt; touch /mnt/tb; mount --bind "$1/tigerbeetle" /mnt/tb
exec /mnt/tb start --addresses=`+standin.Addresses(1)+` "$1/0_0.tigerbeetle" 2>&1 | grep --line-buffered listening >&2`, filepath.Dir(binary))
	sees := replica.SeesMounted
	for _, release := range []string{"0.17.8", "0.17.9", "0.17.10"} {
		got := only(t, binary)
		checkRunning(t, got, "0.17.6", replica.SourcePack, true, replica.OriginMemory)
		if got.Sees != sees {
			t.Errorf("before %s: sees %q, want %q", release, got.Sees, sees)
		}
		if err := os.Rename(binary, binary+"-old"); err != nil {
			t.Fatal(err)
		}
		standin.Replace(t, binary, standin.Binary(t, release, "0.17.5", "0.17.6"))
		sees = replica.SeesOther
	}
}

// A replica that is stopped does not look for anything.
func TestFindStopped(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	if got := only(t, binary); got.Stopped || got.Sees != replica.SeesTarget {
		t.Errorf("got %+v", got)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.PID(), &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", status, err)
	}
	if got := only(t, binary); !got.Stopped {
		t.Errorf("got %+v", got)
	}
}

// A replica whose control group is frozen does nothing either, though no state of its process says so.
func TestFindFrozen(t *testing.T) {
	t.Parallel()
	for hierarchy := range standin.Freezers() {
		t.Run(hierarchy, func(t *testing.T) {
			t.Parallel()
			binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
			p := standin.Start(t, binary, dataFile, standin.Options{})
			if got := only(t, binary); got.Frozen || got.Stopped {
				t.Errorf("before: %+v", got)
			}
			thaw := standin.Freeze(t, hierarchy, p.PID())
			got := only(t, binary)
			for !got.Frozen { // the system freezes one thread after the other
				got = only(t, binary)
			}
			if hindrance, why := got.Hindrance(); !got.Stopped || got.State != replica.StateStopped || hindrance != replica.HindranceStopped || !strings.Contains(why, "frozen with its control group") {
				t.Errorf("frozen: %+v, %s", got, why)
			}
			thaw()
			for got.Frozen {
				got = only(t, binary)
			}
			if got.Stopped || got.State != replica.StateRunning {
				t.Errorf("after: %+v", got)
			}
		})
	}
}

// A changed root directory, with an absolute symlink on the way to the data file.
func TestFindInChroot(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	dir := filepath.Dir(binary)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dataFile, filepath.Join(dir, "data", "real")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/data/real", filepath.Join(dir, "0_0.tigerbeetle")); err != nil {
		t.Fatal(err)
	}
	contained(t, `mkdir "$1/proc"; mount -t proc proc "$1/proc"; exec chroot "$1" /tigerbeetle start --addresses=`+standin.Addresses(1)+` /0_0.tigerbeetle`, dir)
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if got.DataFile != "/0_0.tigerbeetle" {
		t.Errorf("data file %s", got.DataFile)
	}
}

// What executes a memory file by a relative name is the target's if that leads there from its working directory, and no other's.
func TestFindRelative(t *testing.T) {
	t.Parallel()
	for user, want := range map[uint32]replica.Origin{0: replica.OriginMemory, mallory: replica.OriginClaimed} { // a stranger's is in no pack of it
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			target, other := program(t), program(t)
			pid := helper(t, target, "execute "+target, user, strings.TrimPrefix(target, "/"), "start", "--addresses=3000", "/none").Process.Pid
			if got := processOf(t, look(t, target, replica.Options{}), pid); got.Origin != want {
				t.Errorf("got %+v", got)
			}
			for _, process := range look(t, other, replica.Options{}).Processes {
				if process.PID == pid {
					t.Errorf("of another target: %+v", process)
				}
			}
		})
	}
}
