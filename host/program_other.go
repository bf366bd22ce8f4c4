//go:build !linux

package host

import (
	"context"

	"github.com/tbctl/tbctl/replica"
)

// program is a program of this host.
type program struct{ command []string }

// runProgram is for systems whose replicas can be seen.
func runProgram(_ context.Context, p program) (string, error) {
	return "", &ProgramError{Command: p.command, Err: replica.ErrNotSupported}
}
