package extract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/tbctl/tbctl/multiversion"
)

const (
	runName     = "tigerbeetle-multiversion-1768a738-ef69-4605-8b5c-c6e63580e345"
	runMode     = 0o700
	signalsHeld = 16 // signals that wait for being passed on
)

// Run runs a release of the binary as a child, from a temporary file that is
// removed afterwards, with the caller's standard streams, and returns its exit code; for a
// child that a signal ended, 128 and the signal's number. Signals that the
// calling process gets meanwhile are passed on. The context covers the copying
// alone: the child runs until it ends.
//
// A nil error says that the child ran, whatever its exit code. Errors before that match [ErrPlatform],
// [ErrCommand], [ErrNotIncluded], [ErrChecksum] or are the system's.
// After a crash of this process the temporary file is left over.
func Run(ctx context.Context, binary *multiversion.Binary, release multiversion.Release, command Command) (exitCode int, err error) {
	chosen, err := chooseProgram(binary, release, &command)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "tbctl-")
	if err != nil {
		return 0, fmt.Errorf("run release %s: %w", release, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := filepath.Join(dir, runName)
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, runMode)
	if err != nil {
		return 0, fmt.Errorf("run release %s: %w", release, err)
	}
	if err = chosen.copyTo(ctx, file); err != nil {
		err = fmt.Errorf("copy release %s into %s: %w", release, dir, err)
	} else if err = chosen.verify(ctx, file); err != nil {
		err = fmt.Errorf("verify release %s in %s: %w", release, dir, err)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	return runChild(name, command)
}

// runChild waits for the child and passes signals on meanwhile.
func runChild(name string, command Command) (int, error) {
	child := exec.Command(name)
	child.Args, child.Env = command.argv(), os.Environ()
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr

	signals := make(chan os.Signal, signalsHeld)
	signal.Notify(signals, forwarded()...)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- child.Wait() }()
	for {
		select {
		case received := <-signals:
			// The child may have ended just now, or be told by the terminal itself (Windows).
			_ = child.Process.Signal(received)
		case err := <-done:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, err
			}
			return exitCodeOf(child.ProcessState), nil
		}
	}
}
