//go:build unix

package main

import (
	"os"
	"syscall"
)

// errorSignals come with a write that fails, and would end the process.
func errorSignals() []os.Signal { return []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ} }
