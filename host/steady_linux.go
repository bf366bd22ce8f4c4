package host

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A trait is something that a process has from the one that started it, through sudo too, and gives to what it starts.
type trait struct {
	name string
	bent func() bool  // it is not what the host's own services have; false too where it cannot be seen
	mend func() error // gives it what the first process has, or the kernel's default
	// thread says that each thread has its own: all have it mended after a new start alone.
	thread bool
	// forever says that with it a target's lock could be held for as long as the user likes.
	forever bool
}

// traits are all that an ordinary user can bend. What he could not (capabilities, securebits, scheduling in real time), what starts sudo or any
// program (no_new_privs, dumpable, a signal at a parent's death), and what sudo sees to (environment, open files) is not among them.
var traits = []trait{
	{name: "the class of scheduling", bent: unfairly, mend: fairly, thread: true},
	{name: "the processors that it may use", bent: onFewer, mend: func() error { return nil }, thread: true},
	{name: "the priority of its session", bent: func() bool { return autogroupNice() > 0 }, mend: func() error { return writeTo("/proc/self/autogroup", "0") }},
	{name: "the priority of reads and writes", bent: readsLate, mend: func() error { return called(unix.SYS_IOPRIO_SET, ioprioProcess, 0, 0) }, thread: true},
	{name: "the timer slack", bent: sleepsLate, mend: func() error { return unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0) }, thread: true, forever: true},
	{name: "the mask of signals", bent: blocksSignals, mend: func() error { return unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil) }, thread: true},
	{name: "the timers that send signals", bent: hasTimers, mend: endTimers},
	{name: "the personality", bent: func() bool { return personality(askPersonality) > 0 }, mend: func() error { return called(unix.SYS_PERSONALITY, 0, 0, 0) }, thread: true},
	{name: "the policy of memory", bent: placesMemory, mend: func() error { return called(unix.SYS_SET_MEMPOLICY, 0, 0, 0) }, thread: true},
	{name: "the lack of large pages", bent: func() bool { return asked(unix.PR_GET_THP_DISABLE) > 0 }, mend: func() error { return unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0) }},
	{name: "the keyring of the session", bent: hasKeys, mend: joinNoKeys, thread: true},
	{name: "what memory a core file has", bent: func() bool { return !likeFirst(coreFilter) }, mend: func() error { return asFirst(coreFilter) }},
	{name: "the place in the order in which processes are ended for memory", bent: endedSooner, mend: func() error { return asFirst(oomAdjust) }},
	{name: "that it is given orphans", bent: isSubreaper, mend: func() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }},
}

// Steady takes from this process, and from what it starts, what the user who started it by sudo could leave with it: a terminal
// that stops it while it holds a target's lock, sleeps that last for as long as he says, limits at which the history or a restarted replica ends, a
// umask, a low priority, a processor that he keeps busy. It is called before anything is read or locked: where threads have something bent, the
// program starts again in the same process, and does not return. What cannot be taken away is told; the error matches [ErrUnsteady].
func Steady() (warnings []string, err error) {
	_, _ = unix.Setsid() // with a session of its own no terminal of his can stop it, nor does his session's priority hold
	unix.Umask(0o022)
	calm()
	warnings = mendLimits()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	again, forever := false, false
	for _, t := range traits {
		if !t.bent() {
			continue
		}
		err := t.mend()
		if err == nil && t.bent() {
			err = errors.New("it stays as it is")
		}
		switch {
		case err != nil && t.forever:
			return warnings, fmt.Errorf("%w: %s: %w", ErrUnsteady, t.name, err)
		case err != nil:
			warnings = append(warnings, stays(t.name, err))
		default:
			again, forever = again || t.thread, forever || t.forever
		}
	}
	if again {
		if err = unix.Exec("/proc/self/exe", os.Args, os.Environ()); forever {
			return warnings, fmt.Errorf("%w: start again: %w", ErrUnsteady, err)
		}
		warnings = append(warnings, stays("what each thread has", err))
	}
	return warnings, nil
}

func stays(name string, err error) string {
	return fmt.Sprintf("this session has not what the services of this host have, and it could not be set: %s: %v", name, err)
}

// calm has the signals of a terminal stop nothing, and what is started from here end by those that he had it ignore.
func calm() {
	stops := []os.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}
	dropped := make(chan os.Signal, 1) // nobody reads it
	if session, err := unix.Getsid(0); err == nil && session == os.Getpid() {
		signal.Notify(dropped, stops...) // not ignored: what is started from here would ignore them too
	} else {
		signal.Ignore(stops...)
	}
	for _, each := range []os.Signal{unix.SIGHUP, unix.SIGINT} {
		if signal.Ignored(each) {
			signal.Notify(dropped, each)
		}
	}
}

// filesMax is how many open files the limit has at most: some programs close each that they could have.
const filesMax = 64 << 10

// mendLimits lets no limit be lower than that of the first process, and none end a program for what it writes, takes or computes.
func mendLimits() (warnings []string) {
	for resource := range unix.RLIMIT_RTTIME + 1 {
		var own, first unix.Rlimit
		if unix.Getrlimit(resource, &own) != nil {
			continue
		}
		if unix.Prlimit(1, resource, nil, &first) != nil {
			first = own
		}
		want := unix.Rlimit{Cur: max(own.Cur, first.Cur), Max: max(own.Max, first.Max)}
		switch resource {
		case unix.RLIMIT_FSIZE, unix.RLIMIT_CPU, unix.RLIMIT_AS, unix.RLIMIT_DATA:
			want = unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
		case unix.RLIMIT_CORE:
			want.Cur = own.Cur // few services write core files
		case unix.RLIMIT_NOFILE:
			want.Cur = min(want.Max, filesMax) // Go shows its own, and gives programs what he had unless it is set
		}
		if want == own && resource != unix.RLIMIT_NOFILE {
			continue
		}
		err := unix.Setrlimit(resource, &want)
		if err == nil {
			continue
		}
		own.Cur = min(want.Cur, own.Max) // not root: as far as it goes
		_ = unix.Setrlimit(resource, &own)
		if err != unix.EPERM { // in a container root may not, either
			warnings = append(warnings, stays(fmt.Sprintf("the limit %d", resource), err))
		}
	}
	return warnings
}

// unfairly says that a thread gets a processor later than a service, or a slower one; fairly ends that. A better place stays.
func unfairly() bool {
	attr, err := unix.SchedGetAttr(0, 0)
	return err == nil && (attr.Policy != unix.SCHED_NORMAL || attr.Nice > 0 || clamped(attr))
}

func clamped(attr *unix.SchedAttr) bool { return attr.Util_max > 0 && attr.Util_max < utilAll }

func fairly() error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return err
	}
	fair := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: min(attr.Nice, 0)}
	if clamped(attr) {
		fair.Flags, fair.Util_max = unix.SCHED_FLAG_UTIL_CLAMP_MAX, utilAll
	}
	return unix.SchedSetAttr(0, &fair, 0)
}

// onFewer gives this thread those processors that the first process has, and says whether it had others. A group of processes may have fewer.
func onFewer() bool {
	var first, was, is unix.CPUSet
	if errors.Join(unix.SchedGetaffinity(1, &first), unix.SchedGetaffinity(0, &was)) != nil || was == first {
		return false
	}
	return unix.SchedSetaffinity(0, &first) == nil && unix.SchedGetaffinity(0, &is) == nil && is != was
}

// autogroupNice is the nice value of the session's processes together; 0 where there is none.
func autogroupNice() int {
	text, _ := os.ReadFile("/proc/self/autogroup") // /autogroup-NUMBER nice VALUE
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return 0
	}
	nice, _ := strconv.Atoi(fields[len(fields)-1])
	return nice
}

// The kernel's numbers that its headers alone have.
const (
	utilAll        = 1024
	ioprioProcess  = 1
	ioprioOthers   = 2 // the class of those that ask for none
	ioprioIdle     = 3
	ioprioMiddle   = 4
	ioprioShift    = 13
	askPersonality = 0xffffffff
	timerSlack     = 50_000 // ns: the kernel's default
)

func readsLate() bool {
	is, _, err := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioProcess, 0, 0)
	class, level := is>>ioprioShift, is&(1<<ioprioShift-1)
	return err == 0 && (class == ioprioIdle || class == ioprioOthers && level > ioprioMiddle)
}

func sleepsLate() bool {
	is, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return err != nil || is < 0 || is > timerSlack // the largest look like errors
}

func blocksSignals() bool {
	var is unix.Sigset_t
	return unix.PthreadSigmask(unix.SIG_BLOCK, nil, &is) == nil && is != unix.Sigset_t{}
}

var itimers = []unix.ItimerWhich{unix.ITIMER_REAL, unix.ITIMER_VIRTUAL, unix.ITIMER_PROF}

func hasTimers() bool {
	return slices.ContainsFunc(itimers, func(which unix.ItimerWhich) bool {
		is, err := unix.Getitimer(which)
		return err == nil && is != unix.Itimerval{}
	})
}

func endTimers() error {
	var errs []error
	for _, which := range itimers {
		_, err := unix.Setitimer(which, unix.Itimerval{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// personality sets one unless it is asked for, and returns the one before.
func personality(one uintptr) int {
	is, _, err := unix.Syscall(unix.SYS_PERSONALITY, one, 0, 0)
	if err != 0 {
		return 0
	}
	return int(is)
}

func placesMemory() bool {
	var mode int32
	_, _, err := unix.Syscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&mode)), 0, 0, 0, 0, 0)
	return err == 0 && mode != 0
}

// hasKeys says that the keys of this session are another user's; joinNoKeys gives it a keyring of its own.
func hasKeys() bool {
	ring, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	if err != nil {
		return false
	}
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, ring) // keyring;UID;GID;RIGHTS;NAME
	fields := strings.Split(text, ";")
	return err == nil && len(fields) > 1 && fields[1] != strconv.Itoa(os.Geteuid())
}

func joinNoKeys() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	return err
}

const (
	coreFilter = "coredump_filter"
	oomAdjust  = "oom_score_adj"
)

// ofProcess is a number that the kernel shows of a process in a file.
func ofProcess(process, file string) (string, error) {
	text, err := os.ReadFile("/proc/" + process + "/" + file)
	return strings.TrimSpace(string(text)), err
}

func likeFirst(file string) bool {
	own, err := ofProcess("self", file)
	first, firstErr := ofProcess("1", file)
	return own == first || errors.Join(err, firstErr) != nil
}

func asFirst(file string) error {
	first, err := ofProcess("1", file)
	if err != nil {
		return err
	}
	if file == coreFilter {
		first = "0x" + first // as it is shown, without the base
	}
	return writeTo("/proc/self/"+file, first)
}

// endedSooner says that the kernel, when memory is short, ends this process before the first one's services.
func endedSooner() bool {
	own, err := ofProcess("self", oomAdjust)
	first, firstErr := ofProcess("1", oomAdjust)
	is, isErr := strconv.Atoi(own)
	least, leastErr := strconv.Atoi(first)
	return errors.Join(err, firstErr, isErr, leastErr) == nil && is > least
}

func isSubreaper() bool {
	var is int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&is)), 0, 0, 0)
	return err == nil && is != 0
}

// asked is a number that the kernel gives for the asking; 0 if it does not know it.
func asked(option int) int {
	is, err := unix.PrctlRetInt(option, 0, 0, 0, 0)
	if err != nil {
		return 0
	}
	return is
}

func called(trap, a, b, c uintptr) error {
	if _, _, err := unix.Syscall(trap, a, b, c); err != 0 {
		return err
	}
	return nil
}

// writeTo writes to a file of the kernel's.
func writeTo(name, text string) error {
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
