package interrupt

import (
	"os"
	"syscall"
)

// endSignals ask a command to end.
func endSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} }

// errorSignals come with a write that fails, and would end the process.
func errorSignals() []os.Signal { return []os.Signal{syscall.SIGPIPE} }
