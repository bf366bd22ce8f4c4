//go:build unix

package extract

import (
	"os"
	"syscall"
)

// forwarded lists the signals that an operator sends a server on purpose.
func forwarded() []os.Signal {
	return []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}
}

// exitCodeOf says it as a shell does.
func exitCodeOf(state *os.ProcessState) int {
	const signaled = 128
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signaled + int(status.Signal())
	}
	return state.ExitCode()
}
