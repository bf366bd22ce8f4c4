package fsatomic

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
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
	// ActionLeft: it may be somebody's only copy, or planted by somebody, and is
	// left where it is.
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

	// Problem is what keeps one of them from being dealt with: [Recover] fails with it. It matches
	// [ErrImmutable], [ErrMountPoint] or [ErrSticky]; nil: nothing does.
	Problem error `json:"-"`
}

// Residue says what [Recover] would do. It changes nothing and needs no lock;
// while somebody else holds the lock, what it sees may be work in progress.
func Residue(fsys vfs.FS, target Target) (Recovery, error) {
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return Recovery{}, &fs.PathError{Op: "look for leftovers of", Path: target.Path, Err: err}
	}
	defer dir.Close()
	plan, err := planRecovery(dir, target.Path, fsys.Self())
	if err != nil {
		return Recovery{}, &fs.PathError{Op: "look for leftovers of", Path: target.Path, Err: err}
	}
	return plan.recovery, nil
}

// Recover removes what interrupted runs left beside the target, and finishes a
// swap that became visible but did not get as far as naming the previous file.
// The target itself is not touched. It is the first thing to do under a lock.
// On error, which may be a [durable.SyncError], it may have done a part, says which, and
// can be called again.
func Recover(lock *Lock) (Recovery, error) {
	if !lock.held() {
		return Recovery{}, &fs.PathError{Op: "recover", Path: lock.path, Err: fs.ErrClosed}
	}
	plan, err := planRecovery(lock.dir, lock.path, lock.fsys.Self())
	if err != nil {
		return Recovery{}, &fs.PathError{Op: "recover", Path: lock.path, Err: err}
	}
	if plan.recovery.Problem != nil {
		return Recovery{}, plan.recovery.Problem
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
			return done, &fs.PathError{Op: "recover", Path: leftover.Path, Err: err}
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
	beside
	name string
	info vfs.Info
}

// recoveryPlan judges leftovers. Only names and inode numbers are needed, no
// journal: see the package comment.
type recoveryPlan struct {
	path      string
	self      vfs.Self
	dir       vfs.Info
	target    vfs.Info // zero when there is none
	oldTaken  bool     // there is, or will be, something at the previous file's name
	oldIsFile bool     // or nothing
	entries   []entry
	recovery  Recovery

	isCopy func(entry) bool // of the target, by its contents
}

func planRecovery(dir vfs.Dir, path string, self vfs.Self) (*recoveryPlan, error) {
	base := filepath.Base(path)
	plan := &recoveryPlan{path: path, self: self}
	plan.isCopy = func(e entry) bool { return isCopy(dir, base, plan.target, e) }
	var err error
	if plan.dir, err = dir.Lstat("."); err != nil {
		return nil, err
	}
	names, err := dir.List(durable.HiddenPrefix(base), leftoversMax)
	if err != nil {
		return nil, err
	}
	if plan.target, _, err = vfs.LstatMaybe(dir, base); err != nil {
		return nil, err
	}
	var old vfs.Info
	if old, plan.oldTaken, err = vfs.LstatMaybe(dir, base+oldSuffix); err != nil {
		return nil, err
	}
	plan.oldIsFile = !plan.oldTaken || old.Kind == vfs.KindFile
	for _, name := range names {
		beside, ok := parseName(base, name)
		if !ok {
			continue
		}
		info, exists, err := vfs.LstatMaybe(dir, name)
		if err != nil {
			return nil, err
		}
		if exists && info.Kind == vfs.KindFile {
			plan.entries = append(plan.entries, entry{beside, name, info})
		}
	}
	plan.judge()
	return plan, nil
}

// isCopy reports whether a leftover has the contents of the target. What cannot be read
// has not.
func isCopy(dir vfs.Dir, base string, target vfs.Info, e entry) bool {
	if target.Kind != vfs.KindFile || target.Size != e.info.Size {
		return false
	}
	file, err := dir.Open(e.name)
	if err != nil {
		return false
	}
	defer file.Close()
	same, err := vfs.HasContents(dir, base, file, target.Size)
	return err == nil && same
}

// judge decides, the unfinished swap first: what else may become the previous
// file has to stand back behind it.
func (p *recoveryPlan) judge() {
	var orphans []entry
	for _, e := range p.entries {
		switch {
		case e.kind == kindStage:
			p.add(e, ActionRemoved, "it is incomplete")
		case e.kind == kindReady && e.info.Inode == e.inode:
			p.add(e, ActionRemoved, "it was complete but never installed")
		case e.kind == kindPrev && e.other == p.target.Inode && e.inode != p.target.Inode:
			p.add(e, ActionRemoved, "it is a link to or a copy of the target, for a swap that never happened")
		case !trusted(e.info, p.target, p.dir, p.self):
			p.add(e, ActionLeft, fmt.Sprintf("it belongs to another user (%d), who may have put it there", e.info.UID))
		case e.inode == p.target.Inode && p.oldIsFile:
			p.add(e, ActionKept, "it is the previous file of an installation that was interrupted after its swap")
			p.oldTaken = true
		case e.inode == p.target.Inode:
			p.add(e, ActionLeft, "it is the previous file, but its name is taken by something else than a file")
		case p.isCopy(e): // inode numbers may be given anew when a file system is mounted again
			p.add(e, ActionRemoved, "it is a link to or a copy of the target")
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
}

// trusted reports whether a file may be taken for the previous one of target: it
// belongs to the target's owner, to this process, or to root, or stands where
// nobody else makes files. In a directory for everybody, anybody can make a file
// with a name of ours.
func trusted(file, target, dir vfs.Info, self vfs.Self) bool {
	known := func(uid int) bool {
		return uid == 0 || uid == self.UID || (target.Inode != 0 && uid == target.UID)
	}
	return known(file.UID) || (known(dir.UID) && dir.Mode&0o022 == 0)
}

func (p *recoveryPlan) add(e entry, action Action, reason string) {
	path := filepath.Join(filepath.Dir(p.path), e.name)
	p.recovery.Leftovers = append(p.recovery.Leftovers, Leftover{Path: path, Action: action, Reason: reason})
	if action == ActionLeft || p.recovery.Problem != nil {
		return
	}
	if problems := entryProblems(e.info, p.dir, p.self); len(problems) > 0 {
		p.recovery.Problem = &fs.PathError{Op: "recover", Path: path, Err: problems[0]}
	}
}
