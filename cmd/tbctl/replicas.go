package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/replica"
)

// binaryPath is the path of the binary at the target, or the target if it cannot be
// looked up.
func binaryPath(target string) string {
	if found, err := fsatomic.Lookup(fsatomic.OS(), target); err == nil {
		return found.Path
	}
	return target
}

// findReplicas finds the processes that run from the target. Where that is not
// possible the result is empty and supported is false.
func findReplicas(ctx context.Context, target string) (processes []replica.Process, supported bool, err error) {
	view, err := replica.Find(ctx, binaryPath(target), replica.Options{})
	if errors.Is(err, replica.ErrNotSupported) {
		return nil, false, nil
	}
	return view.Processes, err == nil, err
}

// knownError names the flag that an error of the host's is about.
func knownError(err error) error {
	var runs *host.StillRunsError
	var dataFile *host.DataFileError
	switch {
	case errors.As(err, &runs):
		return fmt.Errorf("--stopped, but %w", err)
	case errors.As(err, &dataFile):
		return fmt.Errorf("--data-file %s: %w", dataFile.Name, err)
	}
	return err
}
