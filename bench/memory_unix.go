//go:build unix

package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// runForMemory runs a command and returns its largest resident size in bytes. That of whoever
// starts a process counts as the process's own, so it must be a small one that calls this:
// [bed.memory] starts one.
func runForMemory(args []string) (int64, error) {
	process := exec.Command(args[0], args[1:]...)
	process.Stdout, process.Stderr = os.Stderr, os.Stderr
	if err := process.Run(); err != nil {
		return 0, err
	}
	usage, ok := process.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, nil
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss), nil // in bytes there
	}
	return int64(usage.Maxrss) << 10, nil
}
