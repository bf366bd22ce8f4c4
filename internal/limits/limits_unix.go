//go:build unix

// Package limits finds out whether this process may open enough files and run enough threads to
// finish what it begins. The Go runtime ends a process that lacks one with a dump of its stacks, in
// the middle of whatever it does.
package limits

import (
	"fmt"
	"syscall"
)

// filesMin is how many open files the Go runtime and an installation need; with fewer
// the runtime itself would end with a dump of its stacks.
const filesMin = 16

// Check refuses to begin what this process may not finish: where the system lets it open too few files,
// or run too few threads. It makes do with fewer threads than it would like to have.
func Check() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < filesMin {
		return fmt.Errorf("only %d files may be open at a time, and it takes %d: ulimit -n 64", limit.Cur, filesMin)
	}
	return checkThreads()
}
