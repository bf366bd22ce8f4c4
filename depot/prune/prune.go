// Package prune says which artifacts of a depot this host may still need, and removes the others.
package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
)

// A Kind is a reason to keep an artifact.
type Kind string

// The reasons.
const (
	KindInstalled Kind = "installed" // it is at a target
	KindPrevious  Kind = "previous"  // it is beside a target, for the way back
	KindRollout   Kind = "rollout"   // a rollout that a target belongs to, or last belonged to, brought it or took it away
	KindImport    Kind = "import"    // it is one of the newest
	KindDataFile  Kind = "data-file" // it holds a release that a data file or a replica of a target needs

	KindUnreadable Kind = "unreadable" // what it is cannot be told
)

// A Reason says why an artifact is kept.
type Reason struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// Needs are what a host needs of a depot.
type Needs struct {
	digests  map[string][]Reason
	releases map[multiversion.Release][]Reason
	Notes    []string // what an operator should know of how they were found
}

func (n *Needs) digest(digest string, kind Kind, format string, args ...any) {
	if digest = strings.TrimPrefix(digest, shelf.PrefixDigest); digest != "" {
		n.digests[digest] = appendNew(n.digests[digest], Reason{kind, fmt.Sprintf(format, args...)})
	}
}

func (n *Needs) release(release multiversion.Release, format string, args ...any) {
	if release != 0 {
		n.releases[release] = appendNew(n.releases[release], Reason{KindDataFile, fmt.Sprintf(format, args...)})
	}
}

func appendNew(reasons []Reason, reason Reason) []Reason {
	if slices.Contains(reasons, reason) {
		return reasons
	}
	return append(reasons, reason)
}

func (n *Needs) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(n.Notes, text) {
		n.Notes = append(n.Notes, text)
	}
}

// UnknownError says that what a target needs could not be found out, so that nothing may be removed.
type UnknownError struct {
	Target string // "": which targets there are is not known
	Err    error
}

func (e *UnknownError) Error() string {
	if e.Target == "" {
		return fmt.Sprintf("what needs the store is not known: %v", e.Err)
	}
	return fmt.Sprintf("what %s needs of the store is not known: %v", e.Target, e.Err)
}

// Unwrap returns the cause.
func (e *UnknownError) Unwrap() error { return e.Err }

// Class is [fault.Failed].
func (e *UnknownError) Class() fault.Class { return fault.Failed }

// Look finds out what the targets need, and those that the history names: what is installed there and beside it, what
// a rollout brought, and the releases of their data files. It changes nothing. The error is an [*UnknownError], or that of the history or
// the context: then more may be needed than could be seen.
func Look(ctx context.Context, in *install.Installer, targets []string) (*Needs, error) {
	needs := &Needs{digests: make(map[string][]Reason), releases: make(map[multiversion.Release][]Reason)}
	history, err := in.Journal.Read("")
	if err != nil {
		return nil, err
	}
	torn, err := tornTargets(in, history)
	if err != nil {
		return nil, err
	}
	for _, target := range torn {
		needs.note("a record of %s is cut short in %s: what is kept beside the target says what it needs", target, in.Journal.Path())
	}
	needs.note("of rollouts it is known which holds or last held a target of this host, but no earlier one, and no plan that has claimed nothing here")
	targets = slices.Clone(targets)
	for _, target := range append(torn, history.Targets()...) {
		if !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	for _, target := range targets {
		if err := needs.target(ctx, in, target); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, &UnknownError{target, err}
		}
	}
	return needs, nil
}

// tornTargets are the targets of which records are cut short, where what is kept beside each can be read: it says what they need. Any other line
// that is no record may be the only one that names a target, and is an error.
func tornTargets(in *install.Installer, history install.History) ([]string, error) {
	var targets []string
	unknown := &LinesError{Path: in.Journal.Path(), More: history.Damaged > len(history.DamagedLines)}
	for _, line := range history.DamagedLines {
		if line.Target != "" && hasState(in, line.Target) {
			targets = append(targets, line.Target)
			continue
		}
		unknown.Numbers = append(unknown.Numbers, line.Number)
	}
	if len(unknown.Numbers) > 0 || unknown.More {
		return nil, &UnknownError{Err: unknown}
	}
	return targets, nil
}

// hasState reports whether what is kept beside a target can be read, and not only found in the history.
func hasState(in *install.Installer, name string) bool {
	target, err := fsatomic.Lookup(in.FS, name)
	if err == nil {
		_, _, err = fsatomic.ReadState(in.FS, target)
	}
	return err == nil
}

// LinesError says which lines of a history are no records.
type LinesError struct {
	Path    string
	Numbers []int // of the first ones; with a 0 they are not known
	More    bool
}

func (e *LinesError) Error() string {
	if len(e.Numbers) == 1 && !e.More && e.Numbers[0] > 0 {
		return fmt.Sprintf("%s: line %d is no record", e.Path, e.Numbers[0])
	}
	return e.Path + ": some of its lines are no records"
}

// target adds what one target needs. Of one whose directory is not there, as it may be not mounted, that is what the history says.
func (n *Needs) target(ctx context.Context, in *install.Installer, name string) error {
	target, err := fsatomic.Lookup(in.FS, name)
	if errors.Is(err, fs.ErrNotExist) {
		last, err := in.Journal.LastChange(name)
		if err == nil && last != nil {
			n.note("the directory of %s is not there: what was installed there last is kept", name)
			n.files(name, install.Files{Installed: recordedOf(last.New), Previous: recordedOf(last.Old)})
		}
		return err
	}
	if err != nil {
		return err
	}
	state, err := in.ReadState(target, nil)
	if err != nil {
		return err
	}
	last, err := in.Journal.LastChange(target.Path)
	if err != nil {
		return err
	}
	n.files(target.Path, state.Files)
	for _, record := range []*install.Record{state.Last, last} {
		if record != nil {
			n.files(target.Path, install.Files{Installed: recordedOf(record.New), Previous: recordedOf(record.Old)})
		}
	}
	if state.Next != nil {
		n.files(target.Path, state.Next.Files)
	}
	n.fence(target.Path, state.Fence)
	return n.data(ctx, in, target, state)
}

func recordedOf(file *install.File) *install.Recorded {
	if file == nil {
		return nil
	}
	return &install.Recorded{File: *file}
}

func (n *Needs) files(target string, files install.Files) {
	if files.Installed != nil {
		n.digest(files.Installed.SHA256, KindInstalled, "installed at %s", target)
	}
	if files.Previous != nil {
		n.digest(files.Previous.SHA256, KindPrevious, "the previous file of %s", target)
	}
}

// fence adds what the rollout of a target brought.
func (n *Needs) fence(target string, fence *fleet.Fence) {
	if fence == nil {
		return
	}
	what := "the rollout that holds"
	if !fence.Phase.Holds() {
		what = "the last rollout of"
	}
	n.digest(fence.Artifact, KindRollout, "%s %s brings it", what, target)
	n.digest(fence.Previous, KindRollout, "%s %s found it there", what, target)
}

// data adds the releases that the data files and replicas of a target need.
func (n *Needs) data(ctx context.Context, in *install.Installer, target fsatomic.Target, state *install.State) error {
	if state.Reached != nil {
		n.release(state.Reached.Release, "a replica of %s was seen at", target.Path)
	}
	for _, name := range state.DataFiles {
		file := host.ReadDataFile(ctx, name)
		switch {
		case file.Gone:
			n.note("the data file %s of %s is gone", name, target.Path)
		case file.Err != nil:
			return file.Err
		default:
			n.release(file.Release, "the data file %s needs", name)
		}
	}
	site := &host.Site{Installer: in, Target: target.Path}
	view, err := host.See(ctx, site.Query())
	if err != nil {
		return err
	}
	for index := range view.Processes {
		if process := &view.Processes[index]; process.Superblock != nil {
			n.release(process.Superblock.Release, "the data file of process %d needs", process.PID)
		}
	}
	for _, unseen := range view.Unseen {
		n.note("the replicas of %s may not all have been seen: %s", target.Path, unseen.Reason)
	}
	return nil
}

// Why says why an artifact is kept. Nothing says that it goes.
func (n *Needs) Why(item *shelf.Item) []Reason {
	reasons := slices.Clone(n.digests[item.SHA256])
	for _, release := range item.Releases {
		for _, reason := range n.releases[release] {
			reason.Text += " " + release.String()
			reasons = append(reasons, reason)
		}
	}
	return reasons
}

// A Decision is what becomes of an artifact.
type Decision struct {
	shelf.Item

	Keep    bool     `json:"keep"`
	Why     []Reason `json:"why"`     // it is kept
	Removed bool     `json:"removed"` // it was, now
}

// Plan decides about each artifact of a depot: what is needed is kept, and the newest of what came last. What is no multiversion
// binary and has no receipt was sent by another machine, and goes unless a target or a rollout names it. The order is
// the one in which those that go are removed, the oldest first, and then those that stay.
func Plan(items []shelf.Item, needs *Needs, newest int) []Decision {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b shelf.Item) int { return came(&a).Compare(came(&b)) })
	decisions := make([]Decision, 0, len(items))
	for index := range items {
		item := &items[index]
		why := needs.Why(item)
		junk := item.NoBinary && len(item.Receipts) == 0 && item.Disbelieved == "" // who imports something looks at it first
		if len(items)-index <= newest && !junk {
			why = append(why, Reason{KindImport, fmt.Sprintf("it came on %s, and the newest are kept: %d", came(item).UTC().Format(time.DateTime), newest)})
		}
		if item.Problem != "" && !junk && len(why) == 0 {
			why = append(why, Reason{KindUnreadable, "what it is cannot be told, so that it may be needed: see tbctl store verify"})
		}
		decisions = append(decisions, Decision{Item: *item, Keep: len(why) > 0, Why: append([]Reason{}, why...)})
	}
	slices.SortStableFunc(decisions, func(a, b Decision) int { return number(a.Keep) - number(b.Keep) })
	return decisions
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// came is when an artifact was brought: by an import, or by another tbctl.
func came(item *shelf.Item) time.Time {
	if receipt := shelf.Imported(&item.Artifact); receipt != nil {
		return receipt.Time
	}
	return item.Stored
}

// A Result is what was decided and done.
type Result struct {
	Artifacts []Decision `json:"artifacts"`
	Removed   int        `json:"removed"` // in a dry run: that would be
	Freed     int64      `json:"freed"`   // bytes, likewise
	DryRun    bool       `json:"dry_run"`

	// WouldChange is of a dry run: that the real one removes something, as far as is known.
	WouldChange bool `json:"would_change"`

	Notes []string `json:"notes"` // how far what is needed is known
}

// Pruning says what is pruned.
type Pruning struct {
	Depot     *depot.Depot
	Installer *install.Installer
	Targets   []string
	Newest    int // so many of those that came last are kept
	DryRun    bool
}

// Run removes what this host does not need, one artifact after the other. Before each, under the depot's lock, everything is
// looked at once more. When what is needed cannot be found out nothing is removed. On an error the result says
// what was removed until then.
func (p *Pruning) Run(ctx context.Context) (*Result, error) {
	decisions, needs, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	result := &Result{Artifacts: decisions, DryRun: p.DryRun, Notes: append([]string{}, needs.Notes...)}
	for index := range result.Artifacts {
		decision := &result.Artifacts[index]
		if decision.Keep {
			continue
		}
		removed := p.DryRun
		if !p.DryRun {
			removed, err = p.remove(ctx, decision)
		}
		if removed {
			decision.Removed = !p.DryRun
			result.WouldChange = p.DryRun
			result.Removed++
			result.Freed += decision.Size
		}
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// remove removes one artifact, if it still goes.
func (p *Pruning) remove(ctx context.Context, decision *Decision) (bool, error) {
	removed, err := p.Depot.Remove(ctx, decision.SHA256, func() (bool, error) {
		now, _, err := p.plan(ctx)
		if err != nil {
			return true, err
		}
		for index := range now {
			if now[index].SHA256 == decision.SHA256 {
				decision.Keep, decision.Why = now[index].Keep, now[index].Why
				return now[index].Keep, nil
			}
		}
		return false, nil
	})
	if errors.Is(err, fs.ErrNotExist) && !removed { // another removed it
		return false, nil
	}
	return removed, err
}

func (p *Pruning) plan(ctx context.Context) ([]Decision, *Needs, error) {
	items, err := shelf.List(ctx, p.Depot)
	if err != nil {
		return nil, nil, err
	}
	needs, err := Look(ctx, p.Installer, p.Targets)
	if err != nil {
		return nil, nil, err
	}
	return Plan(items, needs, p.Newest), needs, nil
}
