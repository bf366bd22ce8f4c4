package host

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bends has for each trait how an ordinary user bends it in a process that then starts sudo.
var bends = map[string]func() error{
	"the class of scheduling": func() error {
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: 5}, 0)
	},
	"the processors that it may use": func() error {
		var first, all unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return err
		}
		for cpu := 0; first.Count() == 0 && cpu < 1024; cpu++ {
			if all.IsSet(cpu) {
				first.Set(cpu)
			}
		}
		return unix.SchedSetaffinity(0, &first)
	},
	"the priority of its session":      func() error { return writeTo("/proc/self/autogroup", "19") },
	"the priority of reads and writes": func() error { return called(unix.SYS_IOPRIO_SET, ioprioProcess, 0, ioprioIdle<<ioprioShift) },
	"the timer slack":                  func() error { return unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Second), 0, 0, 0) },
	"the mask of signals":              func() error { return unix.PthreadSigmask(unix.SIG_BLOCK, maskOf(unix.SIGUSR1), nil) },
	"the timers that send signals":     func() error { return setTimer(time.Hour) },
	"the personality":                  func() error { return called(unix.SYS_PERSONALITY, olderName, 0, 0) },
	"the policy of memory":             preferLocal,
	"the lack of large pages":          func() error { return unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) },
	"the keyring of the session":       keysOfAnother,
	"what memory a core file has":      func() error { return writeTo("/proc/self/"+coreFilter, "0x7f") },
	"that it is given orphans":         func() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) },
	"the place in the order in which processes are ended for memory": func() error { return writeTo("/proc/self/"+oomAdjust, "1000") },
}

const olderName = 0x0020000 // UNAME26

func maskOf(number unix.Signal) *unix.Sigset_t {
	set := new(unix.Sigset_t)
	set.Val[0] = 1 << (number - 1)
	return set
}

func setTimer(after time.Duration) error {
	_, err := unix.Setitimer(unix.ITIMER_REAL, unix.Itimerval{Value: unix.NsecToTimeval(after.Nanoseconds())})
	return err
}

// preferLocal asks for memory of the processor's own node: it does what the default does, and is another policy.
func preferLocal() error {
	const local = 4 // MPOL_LOCAL
	return called(unix.SYS_SET_MEMPOLICY, local, 0, 0)
}

// keysOfAnother joins a keyring and gives it to another user.
func keysOfAnother() error {
	if err := joinNoKeys(); err != nil {
		return err
	}
	_, err := unix.KeyctlInt(unix.KEYCTL_CHOWN, unix.KEY_SPEC_SESSION_KEYRING, 65534, -1, 0)
	return err
}

// bentLimits are limits at which a replica that is restarted would not start, or ends.
var bentLimits = map[int]uint64{
	unix.RLIMIT_FSIZE: 1 << 30, unix.RLIMIT_CPU: 1000, unix.RLIMIT_DATA: 1 << 40, unix.RLIMIT_AS: 1 << 42, unix.RLIMIT_NOFILE: 40, unix.RLIMIT_MEMLOCK: 0,
	unix.RLIMIT_STACK: 1 << 20, unix.RLIMIT_CORE: 0, unix.RLIMIT_NPROC: 4000, unix.RLIMIT_SIGPENDING: 100, unix.RLIMIT_MSGQUEUE: 0, unix.RLIMIT_LOCKS: 10,
}

// TestSteady starts a process that bends all that an ordinary user can leave with what he starts by sudo, one thing at a time and all together, and holds that
// after Steady each thread of the program that it becomes, and what that starts, have it like the first process.
func TestSteady(t *testing.T) {
	const variable = "TBCTL_TEST_STEADY"
	switch mode, name, _ := strings.Cut(os.Getenv(variable), ":"); mode {
	case "bend":
		t.Setenv(variable, "look")
		bendAndStart(t, name)
		return
	case "look":
		for _, each := range traits {
			if each.bent() {
				fmt.Println("bent:", each.name)
			}
		}
		warnings, err := Steady()
		if err != nil || len(warnings) > 0 {
			t.Fatal(warnings, err)
		}
		looksSteady(t)
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("what was taken away is set by root alone")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range traits {
		if bends[each.name] == nil {
			t.Errorf("%s: the test does not bend it", each.name)
		}
	}
	for _, name := range append([]string{"all", "limits"}, slices.Sorted(maps.Keys(bends))...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), "/bin/sh", "-c", `"$0" -test.run '^TestSteady$' -test.v; exit $?`, exe)
			command.Env = append(os.Environ(), variable+"=bend:"+name)
			command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the priority is of a session of its own
			output, err := command.CombinedOutput()
			text := string(output)
			if err != nil || !strings.Contains(text, "--- PASS: TestSteady") {
				t.Errorf("%v\n%s", err, text)
			}
			for each := range bends {
				wanted := name == "all" || name == each
				if strings.Contains(text, "not here: "+each) {
					t.Logf("this kernel does not let it be bent: %s", each)
				} else if strings.Contains(text, "bent: "+each+"\n") != wanted && each != "the processors that it may use" {
					t.Errorf("%s was bent before: %v", each, !wanted)
				}
			}
		})
	}
}

// bendAndStart bends something, and becomes another program as sudo does.
func bendAndStart(t *testing.T, name string) {
	runtime.LockOSThread()
	bend := func(each string) {
		switch err := bends[each](); {
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EACCES):
			fmt.Println("not here:", each, err)
		case err != nil:
			t.Fatal(each, err)
		}
	}
	switch name {
	case "all", "limits":
		unix.Umask(0o777)
		signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTSTP)
		for resource, limit := range bentLimits {
			var own unix.Rlimit
			err := unix.Getrlimit(resource, &own)
			if mayRaise := capable(unix.CAP_SYS_RESOURCE); mayRaise {
				own.Max = limit
			}
			own.Cur = limit
			if err = errors.Join(err, unix.Setrlimit(resource, &own)); err != nil {
				t.Fatal(resource, err)
			}
		}
		if name == "all" {
			for _, each := range slices.Sorted(maps.Keys(bends)) {
				bend(each)
			}
		}
	default:
		bend(name)
	}
	exe, err := os.Executable()
	if err == nil {
		err = unix.Exec(exe, os.Args, os.Environ())
	}
	t.Fatal(err)
}

// capable says whether this process has a capability.
func capable(number uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[number/32].Effective&(1<<(number%32)) != 0
}

// looksSteady holds that each trait is like that of the first process, on threads that were there and on new ones, and in what is started.
func looksSteady(t *testing.T) {
	for range 8 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // it ends with its thread
			for _, each := range traits {
				if each.bent() {
					t.Errorf("a thread has it still: %s", each.name)
				}
			}
		}()
		<-done
	}
	if session, err := unix.Getsid(0); err != nil || session != os.Getpid() {
		t.Errorf("process %d is in the session %d, %v", os.Getpid(), session, err)
	}
	if umask := unix.Umask(0o022); umask != 0o022 {
		t.Errorf("umask %#o", umask)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGTSTP); err != nil { // where it stops a process, this one stops here
		t.Error(err)
	}
	said, err := runProgram(t.Context(), program{command: []string{"sh", "-c", `grep -E '^Sig(Blk|Ign):' /proc/self/status; ulimit -Sn; umask; cat /proc/self/autogroup; uname -r`}})
	if err != nil {
		t.Fatal(err)
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{fmt.Sprintf("\n%d\n", min(files.Max, filesMax)), "SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "\n0022\n", " nice 0\n"} {
		if !strings.Contains(said, want) && (want != " nice 0\n" || strings.Contains(said, "autogroup-")) {
			t.Errorf("what is started has no %q:\n%s", want, said)
		}
	}
	if strings.HasSuffix(strings.TrimSpace(said), " 2.6") {
		t.Errorf("%s", said)
	}
	for resource, bent := range bentLimits {
		var own, of unix.Rlimit
		if err := errors.Join(unix.Getrlimit(resource, &own), unix.Prlimit(1, resource, nil, &of)); err != nil {
			t.Fatal(err)
		}
		if !capable(unix.CAP_SYS_RESOURCE) {
			of.Max, of.Cur = 0, min(of.Cur, own.Max)
		}
		if own.Max < of.Max || resource != unix.RLIMIT_CORE && own.Cur < min(of.Cur, filesMax) {
			t.Errorf("limit %d: %+v, and the first process has %+v (bent: %d)", resource, own, of, bent)
		}
	}
}
