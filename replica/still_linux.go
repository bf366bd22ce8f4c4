package replica

import (
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// locksMax is how many bytes of the system's table of locks are read.
const locksMax = 4 << 20

// HoldsStill finds a process that has the lock of a file and does nothing, since it was stopped or frozen: who waits for it waits in vain. Nil: there
// is none, or it cannot be seen from here. Which process has the lock is the system's word, not that of the file.
func HoldsStill(name string) *Still {
	var info unix.Stat_t
	if err := unix.Lstat(name, &info); err != nil {
		return nil
	}
	file, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer file.Close()
	text, err := readLimited(file, locksMax)
	if err != nil {
		return nil
	}
	for _, pid := range holders(text, uint64(info.Dev), info.Ino) {
		if still := stillOf(pid); still != nil {
			return still
		}
	}
	return nil
}

// holders are the processes that have a file's lock, by the text of the system's table.
func holders(locks string, device, inode uint64) (pids []int) {
	for line := range strings.Lines(locks) { // 7: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "FLOCK" {
			continue
		}
		at := strings.Split(fields[5], ":")
		if len(at) != 3 {
			continue
		}
		major, majorErr := strconv.ParseUint(at[0], 16, 32)
		minor, minorErr := strconv.ParseUint(at[1], 16, 32)
		number, numberErr := strconv.ParseUint(at[2], 10, 64)
		pid, pidErr := strconv.Atoi(fields[4])
		if majorErr == nil && minorErr == nil && numberErr == nil && pidErr == nil && pid > 0 && number == inode && unix.Mkdev(uint32(major), uint32(minor)) == device {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stillOf says how a process was stopped; nil: it was not, or that cannot be seen.
func stillOf(pid int) *Still {
	read := func(name string) string {
		file, err := os.Open(path.Join("/proc", strconv.Itoa(pid), name))
		if err != nil {
			return ""
		}
		defer file.Close()
		text, err := readLimited(file, textMax)
		if err != nil {
			return ""
		}
		return text
	}
	still := &Still{PID: pid, Group: frozenGroup(read("cgroup"))}
	if still.Group != "" {
		still.Thaws = strings.HasPrefix(still.Group, freezerRoot+"/") || still.Group == freezerRoot
		for still.Thaws && still.Group != freezerRoot && ofCgroup(path.Join(still.Group, "freezer.self_freezing")) == "0\n" {
			still.Group = path.Dir(still.Group) // it is frozen since this one is
		}
		return still
	}
	_, after, _ := strings.Cut(read("stat"), ") ") // a name may have that too, and then it is not known
	switch {
	case strings.HasPrefix(after, "T "):
		return still
	case strings.HasPrefix(after, "t "):
		still.Traced = true
		return still
	}
	return nil
}
