package fsatomic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	// ActionLeft: it may be the only copy, or another user may have put it there. It is left
	// where it is.
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

// Recorded is what a record says of the last swap of a target: which file it displaced, and which one it put in place. The contents of
// a leftover say by it what the numbers in its name cannot any more, on a file system that was mounted again or restored. The zero
// value knows nothing.
type Recorded struct {
	Old, New Contents
	Open     bool // how the swap ended is not recorded
}

// Contents are what a file holds.
type Contents struct {
	Size   int64
	SHA256 string // in hexadecimal digits; empty: not known
}

// Residue says what [Recover] would do. It changes nothing and needs no lock;
// while another process holds the lock, what it sees may be work in progress.
func Residue(fsys vfs.FS, target Target, recorded Recorded) (Recovery, error) {
	dir, err := fsys.OpenDir(target.dirPath())
	if err != nil {
		return Recovery{}, &fs.PathError{Op: "look for leftovers of", Path: target.Path, Err: err}
	}
	defer dir.Close()
	plan, err := planRecovery(dir, target.Path, fsys.Self(), recorded)
	if err != nil {
		return Recovery{}, &fs.PathError{Op: "look for leftovers of", Path: target.Path, Err: err}
	}
	return plan, nil
}

// Recovered returns the target as it is after [Recover] has done what is planned: the previous file is then the one of a
// swap that was interrupted, wherever it is now.
func (t Target) Recovered(fsys vfs.FS, plan Recovery) (Target, error) {
	at := ""
	for _, leftover := range plan.Leftovers {
		if leftover.Action == ActionKept { // the last one keeps the name
			at = leftover.Path
		}
	}
	if at == "" {
		return t, nil
	}
	dir, err := fsys.OpenDir(t.dirPath())
	if err != nil {
		return t, &fs.PathError{Op: "look for leftovers of", Path: t.Path, Err: err}
	}
	defer dir.Close()
	old, exists, err := vfs.LstatMaybe(dir, filepath.Base(at))
	if err != nil {
		return t, &fs.PathError{Op: "look at", Path: at, Err: err}
	}
	if !exists { // who holds the lock has just dealt with it
		return t, nil
	}
	t.Old, t.OldExists, t.oldAt = old, true, at
	return t, nil
}

// Recover removes what interrupted runs left beside the target, and finishes a
// swap that became visible but did not get as far as naming the previous file.
// The target itself is not touched. It is the first thing to do under a lock.
// On error, which may be a [durable.SyncError], it may have done a part, says which, and
// can be called again.
func Recover(lock *Lock, recorded Recorded) (Recovery, error) {
	if !lock.held() {
		return Recovery{}, &fs.PathError{Op: "recover", Path: lock.path, Err: fs.ErrClosed}
	}
	plan, err := planRecovery(lock.dir, lock.path, lock.fsys.Self(), recorded)
	if err != nil {
		return Recovery{}, &fs.PathError{Op: "recover", Path: lock.path, Err: err}
	}
	if plan.Problem != nil {
		return Recovery{}, plan.Problem
	}
	done := Recovery{}
	if len(plan.Leftovers) > 0 {
		// What is there of an interrupted swap need not be durable yet, and
		// nothing may be removed that a power cut would bring back as needed.
		if err := lock.sync(); err != nil {
			return done, err
		}
	}
	for _, leftover := range plan.Leftovers {
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
		if err := lock.sync(); err != nil {
			return done, err
		}
	}
	lock.recovered = true
	return done, nil
}

// planRecovery decides what to do with each leftover. Names and inode numbers suffice, see the package comment; where a record knows
// the contents, these decide before the numbers. What becomes the previous file is the one of an unfinished swap
// or, if there is none, one that nothing else is known of.
func planRecovery(dir vfs.Dir, path string, self vfs.Self, recorded Recorded) (Recovery, error) {
	base := filepath.Base(path)
	in, err := dir.Lstat(".")
	if err != nil {
		return Recovery{}, err
	}
	names, err := dir.List(durable.HiddenPrefix(base), leftoversMax)
	if err != nil {
		return Recovery{}, err
	}
	target, _, err := vfs.LstatMaybe(dir, base) // zero when there is none
	if err != nil {
		return Recovery{}, err
	}
	old, oldTaken, err := vfs.LstatMaybe(dir, base+oldSuffix) // there is, or will be, a previous file
	if err != nil {
		return Recovery{}, err
	}
	oldIsFile := !oldTaken || old.Kind == vfs.KindFile

	var plan Recovery
	add := func(name string, info vfs.Info, action Action, reason string) {
		leftover := Leftover{Path: filepath.Join(filepath.Dir(path), name), Action: action, Reason: reason}
		plan.Leftovers = append(plan.Leftovers, leftover)
		if action == ActionKept {
			oldTaken = true
		}
		if action == ActionLeft || plan.Problem != nil {
			return
		}
		if problems := entryProblems(info, in, self); len(problems) > 0 {
			plan.Problem = &fs.PathError{Op: "recover", Path: leftover.Path, Err: problems[0]}
		}
	}
	type orphan struct {
		name string
		info vfs.Info
	}
	var orphans []orphan
	for _, name := range names {
		named, ok := parseName(base, name)
		if !ok {
			continue
		}
		info, exists, err := vfs.LstatMaybe(dir, name)
		if err != nil {
			return Recovery{}, err
		}
		const (
			previous  = "it is the previous file of an installation that was interrupted after its swap"
			taken     = "it is the previous file, but its name is taken by something else than a file"
			unswapped = "it was complete but never installed"
		)
		if !exists || info.Kind != vfs.KindFile {
			continue
		}
		trusted := trusted(info, target, in, self)
		var displaced, unused bool
		if trusted && (named.kind == kindReady || named.kind == kindPrev) {
			displaced, unused = recorded.tells(dir, base, name)
		}
		switch {
		case named.kind == kindStage:
			add(name, info, ActionRemoved, "it is incomplete")
		case named.kind == kindTry:
			add(name, info, ActionRemoved, "something was tried out on it")
		case displaced && oldIsFile:
			add(name, info, ActionKept, previous)
		case displaced:
			add(name, info, ActionLeft, taken)
		case unused:
			add(name, info, ActionRemoved, unswapped)
		case named.kind == kindReady && info.Inode == named.inode:
			add(name, info, ActionRemoved, unswapped)
		case named.kind == kindPrev && named.other == target.Inode && named.inode != target.Inode && isCopy(dir, base, target, name, info):
			add(name, info, ActionRemoved, "it is a link to or a copy of the target, for a swap that never happened")
		case !trusted:
			add(name, info, ActionLeft, fmt.Sprintf("it belongs to another user (%d), who may have put it there", info.UID))
		case isCopy(dir, base, target, name, info): // a file system that is mounted again may number its files in another way
			add(name, info, ActionRemoved, "it is a link to or a copy of the target")
		case named.inode == target.Inode && oldIsFile:
			add(name, info, ActionKept, previous)
		case named.inode == target.Inode:
			add(name, info, ActionLeft, taken)
		default:
			orphans = append(orphans, orphan{name, info})
		}
	}
	for _, o := range orphans {
		if oldTaken {
			add(o.name, o.info, ActionLeft, "neither it nor the target is the file that its name says")
		} else {
			add(o.name, o.info, ActionKept, "the target was replaced after an interrupted installation, and there is no previous file")
		}
	}
	return plan, nil
}

// tells says what a leftover is by the contents of it and of the target: the file that the recorded swap displaced, or one that
// was to be put in place, and never was.
func (r Recorded) tells(dir vfs.Dir, base, name string) (displaced, unused bool) {
	if r.Old.SHA256 == r.New.SHA256 {
		return false, false
	}
	switch {
	case r.Old.at(dir, name):
		return r.New.at(dir, base), false
	case r.Open && r.New.at(dir, name):
		return false, r.Old.at(dir, base)
	}
	return false, false
}

// at reports whether a file has these contents. What cannot be read has not.
func (c Contents) at(dir vfs.Dir, name string) bool {
	info, exists, err := vfs.LstatMaybe(dir, name)
	if err != nil || !exists || info.Kind != vfs.KindFile || info.Size != c.Size || c.SHA256 == "" {
		return false
	}
	file, err := dir.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	sum := sha256.New()
	err = vfs.ReadBlocks(context.Background(), file, 0, c.Size, func(block []byte, _ int64) error {
		sum.Write(block)
		return nil
	})
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == c.SHA256
}

// isCopy reports whether a leftover has the contents of the target. What cannot be read
// has not.
func isCopy(dir vfs.Dir, base string, target vfs.Info, name string, info vfs.Info) bool {
	if target.Kind != vfs.KindFile || target.Size != info.Size {
		return false
	}
	file, err := dir.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	same, err := vfs.HasContents(dir, base, file, target.Size)
	return err == nil && same
}

// trusted reports whether a file may be taken for the previous one of target: it belongs to the
// target's owner, to this process, or to root, or it is in a directory in which no other user makes
// files. Where every user may make files, any of them can make one with such a name.
func trusted(file, target, dir vfs.Info, self vfs.Self) bool {
	known := func(uid int) bool {
		return uid == 0 || uid == self.UID || (target.Inode != 0 && uid == target.UID)
	}
	return known(file.UID) || (known(dir.UID) && dir.Mode&0o022 == 0)
}
