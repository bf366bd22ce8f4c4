package host

import (
	"os"
	"syscall"
)

// owners are the users whose data files these are, as far as they are here.
func owners(names []string) []uint32 {
	var users []uint32
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			users = append(users, sys.Uid)
		}
	}
	return users
}
