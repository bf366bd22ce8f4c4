package replica_test

import (
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
	contained(t, `mount --bind "$1" /mnt; exec /mnt/tigerbeetle start --addresses=3000 /mnt/0_0.tigerbeetle`, filepath.Dir(binary))
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
	cmd := contained(t, `mount --bind "$1" /mnt; exec /mnt/tigerbeetle start --addresses=3000 /mnt/0_0.tigerbeetle 2>&1 | grep --line-buffered listening >&2`,
		filepath.Dir(binary))
	_ = cmd
	checkRunning(t, only(t, binary), "0.17.6", replica.SourcePack, true, replica.OriginMemory)
}

// The same path in another mount namespace is another file.
func TestFindSamePathElsewhere(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	other, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	contained(t, `mount --bind "$1" "$2"; exec "$2"/tigerbeetle start --addresses=3000 "$2"/0_0.tigerbeetle`, filepath.Dir(other), filepath.Dir(binary))
	if found, err := replica.Find(t.Context(), binary, replica.Options{}); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	checkRunning(t, only(t, other), "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
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
	contained(t, `mkdir "$1/proc"; mount -t proc proc "$1/proc"; exec chroot "$1" /tigerbeetle start --addresses=3000 /0_0.tigerbeetle`, dir)
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if got.DataFile != "/0_0.tigerbeetle" {
		t.Errorf("data file %s", got.DataFile)
	}
}
