package host

import (
	"io/fs"
	"syscall"
)

// noProcess reports whether no process has that number, or none that is seen from here.
func noProcess(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

// owners are the users whose data files these are, as far as they are here.
func owners(names []string, stat func(string) (fs.FileInfo, error)) []uint32 {
	var users []uint32
	for _, name := range names {
		info, err := stat(name)
		if err != nil {
			continue
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			users = append(users, sys.Uid)
		}
	}
	return users
}
