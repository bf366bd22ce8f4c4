//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// filesMin is how many open files the Go runtime and an installation need; with fewer
// the runtime itself would end with a dump of its stacks.
const filesMin = 16

// checkLimits refuses to begin what this process may not finish.
func checkLimits() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < filesMin {
		return fmt.Errorf("only %d files may be open at a time, and it takes %d: ulimit -n 64", limit.Cur, filesMin)
	}
	return checkThreads()
}
