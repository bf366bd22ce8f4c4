package fsatomic

import (
	"fmt"
	"path/filepath"
)

const leftoversMax = 10_000 // names beside one target that are looked at in one run

// Action is what was, or would be, done about a leftover.
type Action string

// The actions.
const (
	// ActionRemoved: it never was, or no longer is, of use.
	ActionRemoved Action = "removed"
	// ActionKept: it is the previous file of a swap that was not finished, and
	// got the previous file's name.
	ActionKept Action = "kept_as_old"
	// ActionLeft: it may be somebody's only copy, and is left where it is.
	ActionLeft Action = "left"
)

// Leftover is a file that an interrupted run left beside the target.
type Leftover struct {
	Path   string `json:"path"`
	Action Action `json:"action"`
	Reason string `json:"reason"`
}

// Recovery is what was found and done about earlier runs.
type Recovery struct {
	Leftovers []Leftover `json:"leftovers"` // in the order in which they are dealt with; empty when all was clean
}

// Residue says what [Recover] would do. It changes nothing and needs no lock;
// while somebody else holds the lock, what it sees may be work in progress.
func Residue(fsys FS, target Target) (Recovery, error) {
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return Recovery{}, &PathError{"look for leftovers of", target.Path, err}
	}
	defer dir.Close()
	plan, err := planRecovery(dir, target.Path)
	if err != nil {
		return Recovery{}, &PathError{"look for leftovers of", target.Path, err}
	}
	return plan.recovery, nil
}

// Recover removes what interrupted runs left beside the target, and finishes a
// swap that became visible but did not get as far as naming the previous file.
// The target itself is not touched. It is the first thing to do under a lock.
// On error, which may be a [SyncError], it may have done a part, says which, and
// can be called again.
func Recover(lock *Lock) (Recovery, error) {
	if !lock.held() {
		return Recovery{}, &PathError{"recover", lock.path, ErrClosed}
	}
	plan, err := planRecovery(lock.dir, lock.path)
	if err != nil {
		return Recovery{}, &PathError{"recover", lock.path, err}
	}
	done := Recovery{}
	if len(plan.recovery.Leftovers) > 0 {
		// What we see of an interrupted swap need not be durable yet, and
		// nothing may be removed that a power cut would bring back as needed.
		if err := lock.sync(false); err != nil {
			return done, err
		}
	}
	for _, leftover := range plan.recovery.Leftovers {
		name := filepath.Base(leftover.Path)
		switch leftover.Action {
		case ActionRemoved:
			err = lock.dir.Remove(name)
		case ActionKept:
			err = nameOld(lock.dir, name, lock.base()+oldSuffix)
		case ActionLeft:
			err = nil
		}
		if err != nil {
			return done, &PathError{"recover", leftover.Path, err}
		}
		done.Leftovers = append(done.Leftovers, leftover)
	}
	if len(done.Leftovers) > 0 {
		if err := lock.sync(false); err != nil {
			return done, err
		}
	}
	lock.recovered = true
	return done, nil
}

// entry is a leftover with what its name says.
type entry struct {
	name  string
	kind  string
	inode uint64 // from the name
	info  Info
}

// recoveryPlan judges leftovers. Only names and inode numbers are needed, no
// journal: see the package comment.
type recoveryPlan struct {
	path      string
	target    Info // zero when there is none
	old       Info // zero when there is none
	oldTaken  bool // there is, or will be, something at the previous file's name
	oldIsFile bool // or nothing
	entries   []entry
	recovery  Recovery
}

func planRecovery(dir Dir, path string) (*recoveryPlan, error) {
	base := filepath.Base(path)
	plan := &recoveryPlan{path: path}
	names, err := dir.List(hiddenPrefix(base), leftoversMax)
	if err != nil {
		return nil, err
	}
	if plan.target, _, err = lstatMaybe(dir, base); err != nil {
		return nil, err
	}
	if plan.old, plan.oldTaken, err = lstatMaybe(dir, base+oldSuffix); err != nil {
		return nil, err
	}
	plan.oldIsFile = !plan.oldTaken || plan.old.Kind == KindFile
	for _, name := range names {
		kind, inode, ok := parseName(base, name)
		if !ok || kind == kindTemp {
			continue // temp files belong to Create, which has its own lock on each
		}
		info, exists, err := lstatMaybe(dir, name)
		if err != nil {
			return nil, err
		}
		if exists && info.Kind == KindFile {
			plan.entries = append(plan.entries, entry{name, kind, inode, info})
		}
	}
	plan.judge()
	return plan, nil
}

// judge decides in an order in which every step leaves a state that the next
// run judges alike: the unfinished swap, then what only looks like one, and last
// what the others are recognised by.
func (p *recoveryPlan) judge() {
	var orphans []entry
	for _, e := range p.entries {
		switch {
		case e.kind == kindStage || p.unused(e) || p.redundant(e):
		case p.swapped(e) && p.oldIsFile:
			p.add(e, ActionKept, "it is the previous file of an installation that was interrupted after its swap")
			p.oldTaken = true
		case p.swapped(e):
			p.add(e, ActionLeft, "it is the previous file, but its name is taken by something else than a file")
		default:
			orphans = append(orphans, e)
		}
	}
	for _, e := range orphans {
		if p.oldTaken {
			p.add(e, ActionLeft, "neither it nor the target is the file that its name speaks of")
			continue
		}
		p.add(e, ActionKept, "the target was replaced after an interrupted installation, and there is no previous file")
		p.oldTaken = true
	}
	for _, e := range p.entries {
		if p.redundant(e) {
			p.add(e, ActionRemoved, "it is a second name or copy of the target, for a swap that never happened")
		}
	}
	for _, e := range p.entries {
		switch {
		case p.unused(e):
			p.add(e, ActionRemoved, "it was complete but never installed")
		case e.kind == kindStage:
			p.add(e, ActionRemoved, "it is incomplete")
		}
	}
}

// unused: a ready file that is the new one itself never changed places.
func (p *recoveryPlan) unused(e entry) bool {
	return e.kind == kindReady && e.info.Inode == e.inode
}

// swapped: the new file is at the target, so that this is what it displaced.
func (p *recoveryPlan) swapped(e entry) bool {
	return e.inode == p.target.Inode && p.target.Inode != 0 && !p.unused(e) && e.kind != kindStage
}

// redundant: a prev file whose successor is not at the target but still waits,
// or that is the target's own file.
func (p *recoveryPlan) redundant(e entry) bool {
	if e.kind != kindPrev || p.swapped(e) {
		return false
	}
	if e.info.SameFile(p.target) || p.old.Inode == e.inode {
		return true
	}
	for _, other := range p.entries {
		if other.inode == e.inode && p.unused(other) {
			return true
		}
	}
	return false
}

func (p *recoveryPlan) add(e entry, action Action, reason string) {
	p.recovery.Leftovers = append(p.recovery.Leftovers, Leftover{
		Path: filepath.Join(filepath.Dir(p.path), e.name), Action: action, Reason: reason,
	})
}

// String says it in one line.
func (l Leftover) String() string { return fmt.Sprintf("%s: %s: %s", l.Path, l.Action, l.Reason) }
