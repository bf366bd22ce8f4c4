//go:build unix

package interrupt

import (
	"os"
	"syscall"
)

// endSignals ask a command to end. Of SIGQUIT, the Ctrl-\ of a terminal and what some supervisors stop a service
// with, the language makes a crash otherwise.
func endSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
}

// errorSignals come with a write that fails, and would end the process.
func errorSignals() []os.Signal { return []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ} }
