package host

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
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
		if os.Geteuid() == 0 {
			steadyThreads(t)
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
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // it ends with this test
		var first, all unix.CPUSet
		err := unix.SchedGetaffinity(0, &all)
		for cpu := 0; first.Count() == 0 && cpu < 1024; cpu++ {
			if all.IsSet(cpu) {
				first.Set(cpu)
			}
		}
		_, _, idle := unix.Syscall(unix.SYS_IOPRIO_SET, 1, 0, 3<<13) // IOPRIO_CLASS_IDLE
		if err := errors.Join(err, unix.SchedSetaffinity(0, &first), unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: 5}, 0)); err != nil || idle != 0 {
			t.Fatal(err, idle)
		}
	}
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestSteady") {
		t.Errorf("%v\n%s", err, output)
	}
}

// steadyThreads holds that each thread of this process is scheduled like the host's own services.
func steadyThreads(t *testing.T) {
	var want unix.CPUSet
	runtime.LockOSThread()
	// A thread that asks for those of the first process gets what this process may have of them.
	if err := errors.Join(unix.SchedGetaffinity(1, &want), unix.SchedSetaffinity(0, &want), unix.SchedGetaffinity(0, &want)); err != nil {
		t.Fatal(err)
	}
	threads := 0
	eachThread(func(thread int) {
		threads++
		attr, err := unix.SchedGetAttr(thread, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice != 0 {
			t.Errorf("thread %d: %+v, %v", thread, attr, err)
		}
		var has unix.CPUSet
		if err := unix.SchedGetaffinity(thread, &has); err != nil || has != want {
			t.Errorf("thread %d has %d processors, %v, and may have %d", thread, has.Count(), err, want.Count())
		}
		if class, _, err := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(thread), 0); err != 0 || class>>13 == 3 {
			t.Errorf("thread %d: its reads and writes are of class %d, %v", thread, class>>13, err)
		}
	})
	if threads < 2 {
		t.Errorf("%d threads were looked at", threads)
	}
}
