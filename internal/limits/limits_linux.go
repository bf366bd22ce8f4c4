package limits

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Threads of this process.
const (
	threadsOther = 10 // those that wait in the kernel or serve the runtime
	threadsMin   = threadsOther + 2

	// threadsAmple is a limit so high that nobody counts how much of it is used.
	threadsAmple = 4096
)

// threadLimit is a limit of processes and threads: of a user or of a control group.
type threadLimit struct {
	most, others int    // that may run, and that run beside this process
	whose        string // such as "as user 1000"
	raise        string // what raises it
}

// checkThreads refuses to begin where the limits leave too few threads, and makes do with
// fewer than one for each processor where they leave enough.
func checkThreads() error {
	limits := groupLimits(os.DirFS("/"))
	var limit syscall.Rlimit
	const nproc = 6 // RLIMIT_NPROC, which syscall lacks
	if err := syscall.Getrlimit(nproc, &limit); err == nil && limit.Cur <= threadsAmple {
		if user, bound := userLimit(os.DirFS("/proc"), int(limit.Cur)); bound {
			limits = append(limits, user)
		}
	}
	room := math.MaxInt
	for _, limit := range limits {
		if limit.most-limit.others < threadsMin {
			return fmt.Errorf("only %d processes and threads may run %s, %d others do, and it takes %d: %s",
				limit.most, limit.whose, limit.others, threadsMin, limit.raise)
		}
		room = min(room, limit.most-limit.others)
	}
	if procs := room - threadsOther; procs < runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(procs)
	}
	return nil
}

// userLimit counts what runs as this process's user. Root, and who has its capabilities for
// it, is not bound.
func userLimit(proc fs.FS, most int) (threadLimit, bool) {
	own, ok := readStatus(proc, "self")
	if !ok || own.uid == 0 || own.unbound {
		return threadLimit{}, false
	}
	limit := threadLimit{
		most: most, whose: fmt.Sprintf("as user %d", own.uid),
		raise: fmt.Sprintf("ulimit -u %d, or LimitNPROC= of its service", max(2*most, 64)),
	}
	processes, err := fs.ReadDir(proc, ".")
	if err != nil {
		return limit, false
	}
	for _, process := range processes {
		if _, err := strconv.Atoi(process.Name()); err != nil {
			continue
		}
		if status, ok := readStatus(proc, process.Name()); ok && status.uid == own.uid && status.pid != own.pid {
			limit.others += status.threads
		}
	}
	return limit, true
}

// processStatus is what a process's status says of limits.
type processStatus struct {
	pid, uid, threads int
	unbound           bool // it has a capability that lifts the limit
}

func readStatus(proc fs.FS, name string) (processStatus, bool) {
	const lifts = 1<<21 | 1<<24 // CAP_SYS_ADMIN, CAP_SYS_RESOURCE
	content, err := fs.ReadFile(proc, name+"/status")
	if err != nil {
		return processStatus{}, false
	}
	var status processStatus
	for line := range strings.Lines(string(content)) {
		key, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "Pid":
			status.pid, err = strconv.Atoi(fields[0])
		case "Uid":
			status.uid, err = strconv.Atoi(fields[0])
		case "Threads":
			status.threads, err = strconv.Atoi(fields[0])
		case "CapEff":
			var capabilities uint64
			capabilities, err = strconv.ParseUint(fields[0], 16, 64)
			status.unbound = capabilities&lifts != 0
		}
		if err != nil {
			return processStatus{}, false
		}
	}
	return status, true
}

// groupLimits are the limits of the control groups that this process is in, as systemd's
// TasksMax= and a container's --pids-limit set them.
func groupLimits(root fs.FS) []threadLimit {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var limits []threadLimit
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID:CONTROLLERS:PATH
		if len(parts) != 3 {
			continue
		}
		mounted := "sys/fs/cgroup"
		if parts[1] == "pids" { // the first version
			mounted += "/pids"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			if most, limited := readNumber(root, mounted+group+"/pids.max"); limited {
				if current, ok := readNumber(root, mounted+group+"/pids.current"); ok {
					limits = append(limits, threadLimit{
						most: most, others: current, whose: "in the control group " + group,
						raise: "raise TasksMax= of its service, or pids.max",
					})
				}
			}
			if group == "/" {
				break
			}
		}
	}
	if len(limits) == 0 { // as of most processes: every command waits for this
		return nil
	}
	own, ok := readStatus(root, "proc/self")
	if !ok {
		return nil
	}
	for index := range limits {
		limits[index].others -= own.threads
	}
	return limits
}

// readNumber reads a number. The word "max" is none.
func readNumber(root fs.FS, name string) (int, bool) {
	content, err := fs.ReadFile(root, path.Clean(name))
	if err != nil {
		return 0, false
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(content)))
	return number, err == nil
}
