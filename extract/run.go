package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
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
	dir, err := durable.MkdirTemp(vfs.OS(), os.TempDir())
	if err != nil {
		return 0, fmt.Errorf("run release %s: %w", release, err)
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	name := filepath.Join(dir.Path(), runName)
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	err = durable.WriteFile(vfs.OS(), name, runMode, false, func(w io.Writer) error { return chosen.copyTo(ctx, w) })
	if err != nil {
		return 0, fmt.Errorf("copy release %s into %s: %w", release, dir.Path(), err)
	}
	if err := verifyFile(ctx, chosen, name); err != nil {
		return 0, fmt.Errorf("verify release %s in %s: %w", release, dir.Path(), err)
	}
	return runChild(name, command)
}

func verifyFile(ctx context.Context, chosen program, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return chosen.verify(ctx, file)
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
