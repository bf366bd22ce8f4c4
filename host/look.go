package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
)

// Query says which host to look at and what is known already. Target is required.
type Query struct {
	Target string // the path of the binary, without a symbolic link as its last part

	Running   []multiversion.Release // that replicas run, as the operator says
	DataFiles []string               // that the operator names

	// Remembered are data files that were seen with this target before. One that is gone
	// or cannot be read is a warning, not an error.
	Remembered []string

	// Stopped is the operator's word that no replica runs from the target.
	Stopped bool

	// Ahead says that nothing is to be changed yet, so that a replica that still runs
	// against the operator's word is a warning.
	Ahead bool

	Replicas replica.Options
}

// Report is what is known of the host.
type Report struct {
	Needs     []verify.Need
	Processes []replica.Process // that run from the target
	Warnings  []string
}

// Options are the report's needs as [verify.Replace] takes them.
func (r *Report) Options(query Query) verify.ReplaceOptions {
	return verify.ReplaceOptions{Needs: r.Needs, Stopped: query.Stopped}
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// Look gathers what the operator, data files and replicas tell. The error is a
// [*DataFileError], an [*UnknownReleaseError], a [*StillRunsError] or the context's. The
// report has what was found until then.
func Look(ctx context.Context, query Query) (Report, error) {
	var report Report
	for _, release := range query.Running {
		report.Needs = append(report.Needs, verify.Need{Release: release, Why: verify.NeedRunning, Source: "--running"})
	}
	for _, name := range query.DataFiles {
		superblock, err := datafile.ReadFile(ctx, name, datafile.Options{})
		if err != nil {
			return report, &DataFileError{Name: name, Err: err}
		}
		report.data(superblock.Release, name)
	}
	for _, name := range query.Remembered {
		superblock, err := datafile.ReadFile(ctx, name, datafile.Options{})
		if err != nil {
			report.warn("the data file %s was seen with this target before, and what it needs is not known: %v", name, err)
			continue
		}
		report.data(superblock.Release, name)
	}
	view, err := replica.Find(ctx, query.Target, query.Replicas)
	switch {
	case errors.Is(err, replica.ErrNotSupported):
		return report, nil
	case ctx.Err() != nil:
		return report, err
	case err != nil:
		report.warn("running replicas could not be looked for: %v", err)
		return report, nil
	}
	report.Processes = view.Processes
	for index := range view.Processes {
		if view.Processes[index].Replica {
			if err := report.replica(&view.Processes[index], query); err != nil {
				return report, err
			}
		}
	}
	return report, nil
}

func (r *Report) data(release multiversion.Release, source string) {
	r.Needs = append(r.Needs, verify.Need{Release: release, Why: verify.NeedData, Source: source})
}

// replica adds the needs of one replica.
func (r *Report) replica(process *replica.Process, query Query) error {
	if err := r.stopped(process, query); err != nil {
		return err
	}
	source := fmt.Sprintf("process %d", process.PID)
	running := process.Running.Release
	if running == 0 && len(query.Running) == 0 && !query.Stopped {
		return &UnknownReleaseError{Process: *process}
	}
	if running != 0 {
		need := verify.Need{Release: running, Why: verify.NeedRunning, Source: source}
		if process.Armed != nil {
			need.Armed = process.Armed.Offered
		}
		r.Needs = append(r.Needs, need)
		if !process.Running.Certain {
			r.warn("%s: %s", source, process.Running.Note)
		}
	}
	for _, unreadable := range process.Unreadable {
		if unreadable.What == replica.UnreadableDataFile {
			r.warn("%s: its data file could not be read, and what its data needs is not known: %s", source, unreadable.Reason)
		}
	}
	if process.Superblock != nil {
		r.data(process.Superblock.Release, process.DataFile)
	}
	if !process.Polls {
		r.warn("%s does not look for new binaries (%s): it needs a restart", source, process.NoPolling)
	}
	return nil
}

// stopped holds the operator's word that nothing runs against what is seen. A
// process that could not be looked into may be another target's.
func (r *Report) stopped(process *replica.Process, query Query) error {
	if !query.Stopped || process.Origin == replica.OriginUnknown {
		return nil
	}
	err := &StillRunsError{PID: process.PID}
	if query.Ahead {
		r.warn("--stopped, but %v: stop it first", err)
		return nil
	}
	return err
}
