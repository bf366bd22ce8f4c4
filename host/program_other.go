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

// runCandidate is for systems whose replicas can be seen.
func runCandidate(_ context.Context, _ Candidate, target string, _ uint32) (string, error) {
	return "", &ProgramError{Command: []string{target, "multiversion"}, NotRun: true, Err: replica.ErrNotSupported}
}
