package host

import (
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"
)

// Steady takes from this process, and from what it starts, what the user who started it by sudo could leave with it: a terminal
// that stops it while it holds a target's lock, limits at which the history or a restarted replica ends, a umask, a low priority, a class of
// scheduling that gets a processor only when nobody else wants it, a processor that he keeps busy. Where it may not, things stay as they are.
func Steady() {
	signal.Ignore(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	unix.Umask(0o022)
	for _, resource := range []int{unix.RLIMIT_FSIZE, unix.RLIMIT_CPU, unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
		if unix.Setrlimit(resource, &limit) == nil {
			continue
		}
		if unix.Getrlimit(resource, &limit) == nil { // not root: as far as it goes
			limit.Cur = limit.Max
			_ = unix.Setrlimit(resource, &limit)
		}
	}
	eachThread(func(thread int) {
		if attr, err := unix.SchedGetAttr(thread, 0); err == nil && (attr.Policy != unix.SCHED_NORMAL || attr.Nice > 0) {
			_ = unix.SchedSetAttr(thread, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: min(attr.Nice, 0)}, 0)
		}
		var processors unix.CPUSet
		if unix.SchedGetaffinity(1, &processors) == nil { // those that the host's own services have
			_ = unix.SchedSetaffinity(thread, &processors)
		}
		const ofThread, byNice = 1, 0 // IOPRIO_WHO_PROCESS, IOPRIO_CLASS_NONE
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ofThread, uintptr(thread), byNice)
	})
}

// eachThread does something to each thread of this process, until a look finds none that is new: each gets from the one that starts it
// what that has.
func eachThread(do func(thread int)) {
	done := make(map[int]bool)
	for news := true; news; {
		news = false
		entries, _ := os.ReadDir("/proc/self/task") // without it only what was done so far is
		for _, entry := range entries {
			if thread, err := strconv.Atoi(entry.Name()); err == nil && !done[thread] {
				do(thread)
				done[thread], news = true, true
			}
		}
	}
}
