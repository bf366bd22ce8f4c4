package host

import (
	"os/signal"

	"golang.org/x/sys/unix"
)

// Steady takes from this process, and from what it starts, what the user who started it by sudo could leave with it: a terminal
// that stops it while it holds a target's lock, limits at which the history or a restarted replica ends, a umask, a low priority. Where
// it may not, things stay as they are.
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
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && nice < 20 { // the system call says 20 less the value
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
	}
}
