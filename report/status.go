package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

// Status is the result of status: the target, what is kept with it, and what runs from it.
type Status struct {
	Host      string          `json:"host"` // as it calls itself; "": that cannot be seen
	Target    fsatomic.Target `json:"target"`
	Installed *install.File   `json:"installed"` // null: nothing is there, or it is hidden
	Previous  *install.File   `json:"previous"`  // null: none is kept, or it is hidden
	Hidden    []string        `json:"hidden"`    // files that are there, or may be, and could not be read
	HeldBy    *durable.Holder `json:"held_by"`   // who works on it now; null: nobody, or it cannot be seen

	// LockObserved is whether it could be seen who works on it.
	LockObserved bool `json:"lock_observed"`

	Leftovers   []fsatomic.Leftover   `json:"leftovers"`          // the first of them; with a holder, its work in progress
	MoreLeft    int                   `json:"leftovers_left_out"` // how many more there are
	Interrupted []install.Interrupted `json:"interrupted"`        // the operation whose outcome is not known, if there is one
	Last        *install.Record       `json:"last"`               // the last operation that changed the target; null: none is known
	Recorded    install.Files         `json:"recorded"`           // both files, as they were when they were installed and displaced
	Drifted     bool                  `json:"drifted"`            // the installed file is another than tbctl installed last; false also where none is recorded
	DataFiles   []host.DataFile       `json:"data_files"`         // those that are remembered of the target's replicas

	// Reached is the newest release that a replica of the target was ever seen at; null: none is remembered.
	Reached *verify.Reached `json:"reached"`

	// StateObserved is whether what is kept beside the target could be read and is to be believed. Without, what comes from there
	// is not known: a record that is null, and a fence.
	StateObserved bool `json:"state_observed"`
	// StateProblem is why it could not; "": it could.
	StateProblem string `json:"state_problem"`

	// Fence is the rollout that the target belongs to, or last belonged to; null: to none. HolderAlive is whether
	// the session of its holder is open, and HolderObserved whether that could be seen. Despite is the last change that was made though a rollout held
	// the target; null: none was since its plan began.
	Fence          *fleet.Fence    `json:"fence"`
	HolderAlive    bool            `json:"holder_alive"`
	HolderObserved bool            `json:"holder_observed"`
	Despite        *install.Record `json:"despite_rollout"`

	// Observed is whether all processes could be looked at: without, Unseen says why there may be
	// replicas that are not among them.
	Observed bool             `json:"replicas_observed"`
	Unseen   []replica.Unseen `json:"replicas_unseen"`
	ByName   bool             `json:"replicas_by_name"` // of other users' processes only the names could be seen
	Skipped  int              `json:"replicas_skipped"` // processes of strangers that did not answer in time: none of them counts

	// Replicas are those that count, before all other processes; of strangers' the first alone are among them, with the first bytes of
	// long texts. LeftOut is how many others there are, none of which counts.
	Replicas []host.Replica `json:"replicas"`
	LeftOut  int            `json:"replicas_left_out"`

	// Advisories are what is known of both files, and of other releases that run.
	Advisories []advisory.Notice `json:"advisories"`

	// AdvisoryList is where that is from.
	AdvisoryList advisory.Edition `json:"advisory_list"`

	// Problem is why the installed file is no multiversion binary that can be read; nil where it is
	// one, or nothing is there. Warnings are what could not be found out.
	Problem  error    `json:"-"`
	Warnings []string `json:"-"`

	header *multiversion.Header // of the installed file; nil: there is none

	err error // why not all that this user may see could be seen
}

// Hides reports whether a file is there and could not be read.
func (s *Status) Hides(path string) bool { return slices.Contains(s.Hidden, path) }

// NewStatus looks at a target of the installer's. It changes nothing, whatever it finds: what was
// interrupted is completed by the next operation that changes the target. With an error, which what this user
// may not see is none, the status has what could be found out; it is nil for a name that is no file's.
func NewStatus(ctx context.Context, in *install.Installer, name string) (*Status, error) {
	for try := 1; ; try++ {
		s, err := newStatus(ctx, in, name)
		if s != nil {
			s.Host, _ = os.Hostname()
		}
		if try == looksMax || !errors.Is(err, fsatomic.ErrChanged) && !errors.Is(err, verify.ErrChanged) {
			return s, err
		}
	}
}

// looksMax is how often a target is looked at that changes meanwhile.
const looksMax = 3

func newStatus(ctx context.Context, in *install.Installer, name string) (*Status, error) {
	target, lookupErr := fsatomic.Lookup(in.FS, name)
	if lookupErr != nil && !(target.Exists && errors.Is(lookupErr, fs.ErrPermission)) {
		return newStatusUnseen(ctx, in, name, lookupErr)
	}
	s := &Status{Target: target}
	if target.Exists {
		if found := s.describe(ctx, in, target.Path, target.File); found != nil {
			s.Installed, s.Problem = &found.File, found.Problem
			if found.Binary != nil {
				s.header = &found.Binary.HostImage().Header
			}
		}
	}

	holder, held, err := fsatomic.HeldBy(in.FS, target)
	s.LockObserved = err == nil
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.warn("whether another tbctl works on it cannot be seen: this user may not open the lock; run it as root: sudo tbctl status TARGET")
	case err != nil:
		s.warn("%v", err)
	case held:
		s.HeldBy = &holder
	}
	residue, err := in.Residue(target)
	s.leave(residue.Leftovers)
	s.err = errors.Join(s.err, err)
	if err == nil && !held { // otherwise it may be what is worked on
		target, err = target.Recovered(in.FS, residue)
		s.Target, s.err = target, errors.Join(s.err, err)
	}
	if target.OldExists && target.Old.Kind == vfs.KindFile {
		if found := s.describe(ctx, in, target.OldAt(), target.Old); found != nil {
			s.Previous = &found.File
		}
	}

	state, err := in.ReadState(target, s.Installed)
	var unread *install.StateError
	switch {
	case errors.As(err, &unread):
		s.StateProblem = unread.Error()
		s.warn("%v: whether a rollout holds it cannot be known; %s", err, s.StateHint())
	case err != nil:
		s.StateProblem = err.Error()
		s.warn("%v", err)
	}
	clipTo(state, stateTextMax)
	s.Last, s.Recorded, s.Reached = state.Last, state.Files, state.Reached
	s.StateObserved, s.Fence, s.Despite = err == nil, state.Fence, state.Despite
	if s.Fence != nil {
		_, s.HolderAlive, err = in.FenceOf(target)
		if s.HolderObserved = err == nil; err != nil {
			s.warn("whether the rollout's session is open cannot be seen: %v", err)
		}
	}
	for _, name := range state.DataFiles {
		s.DataFiles = append(s.DataFiles, host.ReadDataFile(ctx, name))
	}
	if open := state.Interrupted(s.Installed, s.HeldBy != nil); open != nil {
		if s.Hides(target.Path) {
			open.Found = install.ResultUnknown
		}
		s.Interrupted = append(s.Interrupted, *open)
	}

	if r := s.Recorded.Installed; r != nil && s.Installed != nil && s.HeldBy == nil && len(s.Interrupted) == 0 && s.Installed.SHA256 != r.SHA256 {
		s.Drifted = true
		s.warn("%s is not the file that tbctl installed last, %s: another program changed it, and tbctl verify says whether it is whole", target.Path, r.Release)
	}

	if target.Exists && s.Hides(target.Path) {
		s.Problem = lookupErr
	}
	lack := host.LackBinary
	switch {
	case s.Hides(target.Path):
		lack = host.LackSight
	case !target.Exists:
		lack = host.LackFile
	}
	s.see(ctx, s.query(), s.header, lack)
	s.advise(in.Advisories)
	return s, s.err
}

// leave keeps the first leftovers, and of all of them those that are kept as the previous file.
func (s *Status) leave(all []fsatomic.Leftover) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b fsatomic.Leftover) int { return cmp.Compare(kept(b), kept(a)) })
	s.Leftovers = first(all, leftoversMax)
	s.MoreLeft = len(all) - len(s.Leftovers)
}

func kept(leftover fsatomic.Leftover) int {
	if leftover.Action == fsatomic.ActionKept {
		return 1
	}
	return 0
}

// StateHint is what to do about a state beside the target that cannot be read, or is not to be believed.
func (s *Status) StateHint() string {
	state := s.Target.StatePath()
	return "look at it, as root: ls -l " + shell.File(state) + "; if no rollout but one that you know has that target, move it away: mv " + shell.File(state) + " " + shell.File(state+".away")
}

// newStatusUnseen is the status of a target that could not be looked up: what the journal has of it, and the
// replicas that run from it.
func newStatusUnseen(ctx context.Context, in *install.Installer, name string, lookupErr error) (*Status, error) {
	path, err := filepath.Abs(name)
	for _, wrong := range []error{vfs.ErrName, vfs.ErrDirectory, vfs.ErrNotRegular, syscall.ENOTDIR} {
		if err != nil || errors.Is(lookupErr, wrong) {
			return nil, lookupErr
		}
	}
	if dir, err := in.FS.RealPath(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	s := &Status{err: lookupErr, Target: fsatomic.Target{Name: path, Path: path, OldPath: path + "-old", Dir: vfs.Info{Kind: vfs.KindOther}, Self: in.FS.Self()}}
	lack := host.LackFile
	switch {
	case errors.Is(lookupErr, vfs.ErrDangling): // where the link leads the previous file would be
		s.Hidden = []string{s.Target.OldPath}
	case !errors.Is(lookupErr, fs.ErrNotExist):
		s.Hidden, lack = []string{path, s.Target.OldPath}, host.LackSight
	}
	if s.Last, err = in.Journal.LastChange(path); err != nil {
		s.warn("%v", err)
	}
	s.see(ctx, s.query(), nil, lack)
	if _, err := vfs.StatForeign(path); err != nil && lack == host.LackSight {
		s.Observed = false
		s.Unseen = append(s.Unseen, replica.Unseen{Kind: host.UnseenTarget, Reason: "which file the target is cannot be seen, and so not what executes it"})
	}
	s.advise(in.Advisories)
	return s, s.err
}

// describe reads one file, if this user may and the disk can.
func (s *Status) describe(ctx context.Context, in *install.Installer, path string, seen vfs.Info) *install.Described {
	file, err := install.DescribeSeen(ctx, in.FS, path, seen)
	switch {
	case err == nil:
		return file
	case errors.Is(err, fs.ErrPermission):
		s.warn("what %s is cannot be seen: this user may not read it", path)
	default:
		s.err = errors.Join(s.err, err)
	}
	s.Hidden = append(s.Hidden, path)
	return nil
}

// query asks for the replicas of the target.
func (s *Status) query() host.Query {
	query := host.Query{Target: s.Target.Path}
	for _, file := range s.DataFiles {
		query.Remembered = append(query.Remembered, file.Path)
	}
	return query
}

// see finds the replicas, and what each will do with the file of that header, or with what lacks one.
func (s *Status) see(ctx context.Context, query host.Query, header *multiversion.Header, lack host.Lack) {
	view, err := host.See(ctx, query)
	s.err = errors.Join(s.err, err)
	s.Observed, s.ByName, s.Unseen, s.Skipped = err == nil && len(view.Unseen) == 0, view.ByName, view.Unseen, view.Skipped
	slices.SortStableFunc(view.Processes, func(a, b replica.Process) int { return cmp.Compare(rank(&a), rank(&b)) })
	strangers := 0
	for _, process := range view.Processes {
		if !process.Counts() {
			clipTo(&process, strangerTextMax)
			if process.Stranger {
				strangers++
			}
		}
		if strangers > strangersMax {
			s.LeftOut++
			continue
		}
		s.Replicas = append(s.Replicas, host.Foresee(process, header, lack))
	}
	host.Ask(ctx, s.Replicas)
}

// rank puts processes that count before all others, and those of strangers last.
func rank(process *replica.Process) int {
	switch {
	case process.Counts():
		return 0
	case process.Stranger:
		return 2
	}
	return 1
}

func (s *Status) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// advise finds out what is known of the files and of what runs.
func (s *Status) advise(list *advisory.List) {
	subjects := []advisory.Subject{
		subjectOf(advisory.AboutInstalled, s.Installed, s.Recorded.Installed),
		subjectOf(advisory.AboutPrevious, s.Previous, s.Recorded.Previous),
	}
	for index := range s.Replicas {
		if !s.Replicas[index].Counts() {
			continue
		}
		running := s.Replicas[index].Running.Release
		if s.Installed == nil || running != s.Installed.Release {
			subjects = append(subjects, advisory.Subject{About: advisory.AboutRunning, Release: running})
		}
		subjects = append(subjects, hops(s.header, s.Replicas[index].Settles())...)
	}
	s.Advisories, s.AdvisoryList = list.Of(subjects...), list.Edition()
}

// hops are the releases at which a replica that runs one stops on its way to a file's own.
func hops(header *multiversion.Header, running multiversion.Release) []advisory.Subject {
	if header == nil || running == 0 {
		return nil
	}
	var subjects []advisory.Subject
	for _, hop := range verify.PathFrom(header, running).Hops {
		if hop.Visit {
			subjects = append(subjects, advisory.Subject{About: advisory.AboutHop, Release: hop.Release})
		}
	}
	return subjects
}

// OnTheWay is what is known of the releases through which the replicas go that a watched binary was judged for.
func OnTheWay(event watch.Event, list *advisory.List) []advisory.Notice {
	var subjects []advisory.Subject
	for _, judgement := range event.Replicas {
		if judgement.Verdict == watch.VerdictAccepted {
			subjects = append(subjects, hops(event.Header, judgement.Running)...)
		}
	}
	if len(event.Replicas) == 0 {
		subjects = hops(event.Header, event.Running)
	}
	return list.Of(subjects...)
}

// subjectOf is a file of which it is asked what is known, with what its record says of it.
func subjectOf(about advisory.About, file *install.File, recorded *install.Recorded) advisory.Subject {
	if file == nil {
		return advisory.Subject{About: about}
	}
	subject := advisory.Subject{About: about, Release: file.Release, SHA256: []string{file.SHA256}}
	if recorded != nil && recorded.SHA256 == file.SHA256 && recorded.Origin != nil {
		subject.Tag, subject.SHA256 = recorded.Origin.Tag, append(subject.SHA256, recorded.Origin.SHA256)
	}
	return subject
}

// NotRestarted are the replicas that hold a newer release in memory, and offer it, than the installed file has: an earlier file was put back, and they were
// not started again. They upgrade with their cluster, and cannot be started from that file then.
func (s *Status) NotRestarted() []*host.Replica {
	var left []*host.Replica
	for index := range s.Replicas {
		r := &s.Replicas[index]
		if newest := r.Armed.Newest(); r.OutlookKind == host.OutlookRefuses && r.Counts() && r.Running.Release != 0 && newest > r.Running.Release &&
			s.Installed != nil && s.Installed.Damaged == "" && !slices.Contains(s.Installed.Releases, newest) {
			left = append(left, r)
		}
	}
	return left
}

// NotRestartedText says so of one of them, and hint what to do.
func (s *Status) NotRestartedText(r *host.Replica) (text, hint string) {
	who := fmt.Sprintf("process %d", r.PID)
	if r.Superblock != nil {
		who = fmt.Sprintf("replica %d", r.Superblock.ReplicaIndex)
	}
	text = fmt.Sprintf("%s holds %s in memory, and the file at %s lacks it: when its cluster upgrades it does too, and then cannot be started from that file", who, r.Armed.Newest(), s.Target.Path)
	return text, "stop " + who + " there and start it again, before its cluster upgrades; then end the rollout: tbctl fleet abort PLAN"
}
