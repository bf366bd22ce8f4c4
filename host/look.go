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
	// is a warning; one that cannot be read is a reason why something is not seen, see Back.
	Remembered []string

	// Back says that the way back is asked for, on which what cannot be seen counts:
	// then a remembered data file that is there and cannot be read is an error, unless the
	// operator has said what runs or named another.
	Back bool

	// Stopped is the operator's word that no replica runs from the target.
	Stopped bool

	// Restart says that the replicas are restarted after the swap, see [verify.ReplaceOptions].
	Restart bool

	// Ignore are processes that are no replicas of this cluster, whatever they look like.
	Ignore []int

	// Ahead says that nothing is to be changed yet, so that a replica that still runs
	// against the operator's word is a warning.
	Ahead bool

	Replicas replica.Options
}

// Report is what is known of the host.
type Report struct {
	Needs     []verify.Need
	Processes []replica.Process // that run from the target, or say so
	Warnings  []string

	// Unseen are the reasons why something of the target's replicas may not have been
	// seen. Settled says that the operator, or the data files that were seen before, tell
	// what is needed all the same.
	Unseen  []replica.Unseen
	Settled bool

	// DataFiles are those that belong to the target's replicas, to be remembered: seen with a
	// replica that is believed, each by its path on this host. Named are those that the operator names.
	DataFiles []string
	Named     []verify.Reached

	// Reached is the newest release that a replica that is believed was seen to run, or its
	// data file to have; that of a guess is none. Its time is not set.
	Reached verify.Reached

	// Strangers are processes whose needs count, of users whom nothing is believed.
	Strangers []Stranger

	held      []multiversion.Release // by the file at the target and the one beside it
	strangers map[int]bool           // the needs that are only theirs
	said      int                    // how many processes of theirs were left out
}

// Options are the report's needs as [verify.Replace] takes them.
func (r *Report) Options(query Query) verify.ReplaceOptions {
	options := verify.ReplaceOptions{Needs: r.Needs, Stopped: query.Stopped, Restart: query.Restart, Settled: r.Settled, Said: len(query.Running) > 0 || len(query.DataFiles) > 0}
	for _, unseen := range r.Unseen {
		options.Unseen = append(options.Unseen, unseen.Reason)
	}
	return options
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// Look gathers what the operator, data files and replicas tell. The error is a
// [*DataFileError], a [*RememberedError], an [*UnknownReleaseError], a [*StillRunsError] or the
// context's. The report has what was found until then.
func Look(ctx context.Context, query Query) (Report, error) {
	report := Report{strangers: make(map[int]bool)}
	for _, release := range query.Running {
		report.Needs = append(report.Needs, verify.Need{Release: release, Why: verify.NeedRunning, Source: "--running"})
	}
	for _, name := range query.DataFiles {
		superblock, err := datafile.ReadFile(ctx, name)
		if err != nil {
			return report, &DataFileError{Name: name, Err: err}
		}
		report.data(superblock.Release, name)
		report.Named = append(report.Named, verify.Reached{Release: superblock.Release, DataFile: name})
	}
	if err := report.replicas(ctx, query); err != nil {
		return report, err
	}
	told, err := report.remembered(ctx, query)
	report.Settled = told || query.settled()
	return report, err
}

// settled reports whether the operator has said what is needed.
func (q *Query) settled() bool { return len(q.Running) > 0 || len(q.DataFiles) > 0 || q.Stopped }

// remembered asks the data files that were seen before, unless they are named or seen now. It
// reports whether there are any and all have told what they need.
func (r *Report) remembered(ctx context.Context, query Query) (bool, error) {
	told, hidden := 0, 0
	for _, name := range query.Remembered {
		if slices.Contains(r.DataFiles, name) || slices.Contains(query.DataFiles, name) {
			told++
			continue
		}
		file := ReadDataFile(ctx, name)
		switch {
		case file.Err == nil:
			told++
			r.data(file.Release, name)
			r.reach(verify.Reached{Release: file.Release, DataFile: name})
		case ctx.Err() != nil:
			return false, file.Err
		case file.Gone:
			r.warn("the data file %q, which was seen with this target before, is gone", name)
		case query.Back && len(query.Running) == 0 && len(query.DataFiles) == 0:
			return false, &RememberedError{Name: name, Err: file.Err}
		default:
			hidden++
			r.Unseen = append(r.Unseen, replica.Unseen{
				Kind: UnseenDataFile, Reason: fmt.Sprintf("the data file %q was seen with this target before, and cannot be read: %v", name, file.Err),
			})
		}
	}
	return told > 0 && hidden == 0, nil
}

// DataFile is a data file that is asked by its name.
type DataFile struct {
	Path    string               `json:"path"`
	Release multiversion.Release `json:"release,omitzero"` // that it was last checkpointed with
	Gone    bool                 `json:"gone,omitempty"`
	Problem string               `json:"problem,omitempty"` // why it is not known
	Err     error                `json:"-"`
}

// ReadDataFile asks a data file that was seen with a target before which release it needs. Who may write the target's
// directory may have named it.
func ReadDataFile(ctx context.Context, name string) DataFile {
	superblock, err := datafile.ReadForeign(ctx, name)
	if err != nil {
		return DataFile{Path: name, Gone: errors.Is(err, fs.ErrNotExist), Problem: err.Error(), Err: err}
	}
	return DataFile{Path: name, Release: superblock.Release}
}

// replicas adds what the replicas that run need.
func (r *Report) replicas(ctx context.Context, query Query) error {
	for _, text := range Ignored(ctx, query) {
		r.warn("%s", text)
	}
	view, err := See(ctx, query)
	if err != nil {
		return err
	}
	r.Processes, r.Unseen, r.held = view.Processes, append(r.Unseen, view.Unseen...), view.Held
	if view.Skipped > 0 { // one of them may run what the next binary lacks, whoever's it is
		r.Unseen = append(r.Unseen, replica.Unseen{Kind: replica.UnseenNoAnswer, Reason: SkippedText(view.Skipped)})
	}
	for _, unseen := range view.Unseen {
		if unseen.Kind != replica.UnseenElsewhere || !query.Stopped {
			continue
		}
		if err := r.against(query, &StillRunsError{PID: unseen.PID, Unseen: unseen.Reason}); err != nil {
			return err
		}
	}
	for index := range r.Processes { // also where one of them ends the look
		if process := &r.Processes[index]; process.Counts() && process.Origin != replica.OriginClaimed {
			r.remember(process)
		}
	}
	for index := range r.Processes {
		process := &r.Processes[index]
		switch {
		case process.Origin == replica.OriginClaimed:
			r.say("%s", Says(process))
		case !process.Replica:
		case !process.Counts():
			r.stranger(process, query)
		default:
			if err := r.replica(process, query); err != nil {
				return err
			}
		}
	}
	r.more()
	return nil
}

// remember takes what is to be remembered of a replica that is believed. One that may run from another
// target is none that is known to have reached anything.
func (r *Report) remember(process *replica.Process) {
	if process.Superblock != nil && process.DataFilePath != "" {
		r.DataFiles = append(r.DataFiles, process.DataFilePath)
	}
	if process.Origin == replica.OriginUnknown {
		return
	}
	if process.Running.Certain {
		r.reach(verify.Reached{Release: process.Running.Release, PID: process.PID, DataFile: process.DataFilePath})
	}
	if process.Superblock != nil {
		r.reach(verify.Reached{Release: process.Superblock.Release, DataFile: process.DataFile})
	}
}

// reach keeps the newest release.
func (r *Report) reach(reached verify.Reached) {
	if reached.Release > r.Reached.Release {
		r.Reached = reached
	}
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
	if running == 0 && !query.settled() {
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
	r.hindrance(process)
	return nil
}

// hindrance tells that a replica will not take the new file by itself.
func (r *Report) hindrance(process *replica.Process) {
	hindrance, text := process.Hindrance()
	switch {
	case hindrance == replica.HindranceNoPolling:
		r.warn("process %d does not look for new binaries (%s): it needs a restart", process.PID, process.NoPolling)
	case hindrance != replica.HindranceNone:
		r.warn("process %d: %s", process.PID, text)
	case process.Sees == replica.SeesMounted:
		r.warn("process %d: %s", process.PID, mountedAlone)
	}
}

// stopped holds the operator's word that nothing runs against what is seen. A
// process that could not be looked into may be another target's.
func (r *Report) stopped(process *replica.Process, query Query) error {
	if !query.Stopped || process.Origin == replica.OriginUnknown {
		return nil
	}
	return r.against(query, &StillRunsError{PID: process.PID})
}

// against is an error that speaks against the operator's word, or a warning while nothing is to be changed.
func (r *Report) against(query Query, err *StillRunsError) error {
	if query.Ahead {
		r.warn("%v: stop it first", err)
		return nil
	}
	return err
}
