package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	// is a warning; so is one that cannot be read, see Back.
	Remembered []string

	// Back says that the way back is asked for, on which what cannot be seen counts:
	// then a remembered data file that is there and cannot be read is an error, unless the
	// operator has said what runs or named another.
	Back bool

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

	// DataFiles are those that belong to the target's replicas, to be remembered: named, or
	// seen with a replica, each by its path on this host.
	DataFiles []string
}

// Options are the report's needs as [verify.Replace] takes them.
func (r *Report) Options(query Query) verify.ReplaceOptions {
	return verify.ReplaceOptions{Needs: r.Needs, Stopped: query.Stopped}
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// Look gathers what the operator, data files and replicas tell. The error is a
// [*DataFileError], a [*RememberedError], an [*UnknownReleaseError], a [*StillRunsError] or the
// context's. The report has what was found until then.
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
		report.DataFiles = append(report.DataFiles, name)
	}
	if err := report.replicas(ctx, query); err != nil {
		return report, err
	}
	return report, report.remembered(ctx, query)
}

// replicas adds what the replicas that run need.
func (r *Report) replicas(ctx context.Context, query Query) error {
	view, err := replica.Find(ctx, query.Target, query.Replicas)
	switch {
	case errors.Is(err, replica.ErrNotSupported):
		return nil
	case ctx.Err() != nil:
		return err
	case err != nil:
		r.warn("running replicas could not be looked for: %v", err)
		return nil
	}
	r.Processes = view.Processes
	for index := range view.Processes {
		if view.Processes[index].Replica {
			if err := r.replica(&view.Processes[index], query); err != nil {
				return err
			}
		}
	}
	return nil
}

// remembered asks the data files that were seen before, and are not named or seen now.
func (r *Report) remembered(ctx context.Context, query Query) error {
	for _, name := range query.Remembered {
		if slices.Contains(r.DataFiles, name) {
			continue
		}
		file := ReadDataFile(ctx, name)
		switch {
		case file.Err == nil:
			r.data(file.Release, name)
		case ctx.Err() != nil:
			return file.Err
		case file.Gone:
			r.warn("the data file %q, which was seen with this target before, is gone", name)
		case query.Back && len(query.Running) == 0 && len(query.DataFiles) == 0:
			return &RememberedError{Name: name, Err: file.Err}
		default:
			r.warn("the data file %q was seen with this target before, and what it needs is not known: %v", name, file.Err)
		}
	}
	return nil
}

// DataFile is a data file that is asked by its name.
type DataFile struct {
	Path    string               `json:"path"`
	Release multiversion.Release `json:"release,omitzero"` // that it was last checkpointed with
	Gone    bool                 `json:"gone,omitempty"`
	Problem string               `json:"problem,omitempty"` // why it is not known
	Err     error                `json:"-"`
}

// ReadDataFile asks a data file which release it needs.
func ReadDataFile(ctx context.Context, name string) DataFile {
	superblock, err := datafile.ReadFile(ctx, name, datafile.Options{})
	if err != nil {
		return DataFile{Path: name, Gone: errors.Is(err, fs.ErrNotExist), Problem: err.Error(), Err: err}
	}
	return DataFile{Path: name, Release: superblock.Release}
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
		if path := dataFileHere(process); path != "" && !process.Stranger {
			r.DataFiles = append(r.DataFiles, path)
		}
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
