package fsatomic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// SwapBack exchanges the target with the previous file kept as OldPath: the way
// back; a second time it undoes itself. target must have been looked up such that both are seen
// as they are now; their contents are the caller's to judge.
//
// The file that is put back gets [Target.BackAttributes] before the swap, each
// read back, and is synced. Where nothing differs, nothing of it is changed.
//
// Like [Staged.Commit] it makes one visible change, is durable, obeys ctx before
// the swap only, and leaves the target untouched on every error that is not a
// [UnknownStateError]: [ErrNoOld], [ErrSameFile], [ErrChanged], [ErrOldKind],
// [ErrOldOwner], [ErrInode], [ErrAttribute] (an [AttributeError]), [durable.SyncError],
// [ErrNotRecovered], or the operating system's. After such an error, the file at
// OldPath has its own attributes again, as far as they can be given back; after a
// crash before the swap it may have some of the target's.
func SwapBack(ctx context.Context, lock *Lock, target Target) (Committed, error) {
	err := lock.admits(target)
	if err == nil {
		err = target.checkOld()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Committed{}, &fs.PathError{Op: "swap back", Path: target.Path, Err: err}
	}
	if name, err := lock.leftoverOf(target.Old.Inode); err != nil || name != "" {
		if err == nil { // once it is the target, a recovery would misjudge the leftover
			err = fmt.Errorf("%w: the name has the inode number of %s: move %s away", ErrInode, target.OldPath, lock.join(name))
		}
		return Committed{}, &fs.PathError{Op: "swap back", Path: target.Path, Err: err}
	}
	if err := lock.sync(); err != nil { // found out while nothing has happened
		return Committed{}, err
	}
	swap := swap{lock: lock, target: target, from: filepath.Base(target.OldPath), file: target.Old}
	if err := swap.recheck(); err != nil { // before the previous file is changed
		return Committed{}, swap.fail("check", err)
	}
	if swap.source, err = lock.dir.Open(swap.from); err != nil {
		return Committed{}, swap.fail("open the previous file", err)
	}
	defer swap.source.Close()
	restore, err := swap.takeAttributes()
	if err != nil {
		return Committed{}, err
	}
	committed, err := swap.run(false)
	var unknown *UnknownStateError
	if err != nil && !errors.As(err, &unknown) {
		err = errors.Join(err, restore())
	}
	return committed, err
}

// CheckOld returns why the previous file, or a copy of it, is not to be put back, whatever it
// holds: [ErrNoOld], [ErrOldKind], [ErrSameFile] or [ErrOldOwner].
func (t Target) CheckOld() error {
	if err := t.checkOld(); err != nil {
		return &fs.PathError{Op: "swap back", Path: t.Path, Err: err}
	}
	return nil
}

func (t Target) checkOld() error {
	switch {
	case !t.Exists || !t.OldExists:
		return ErrNoOld
	case t.Old.Kind != vfs.KindFile:
		return fmt.Errorf("%w: it is a %s", ErrOldKind, t.Old.Kind)
	case t.Old.SameFile(t.File):
		return fmt.Errorf("%s %w", t.OldPath, ErrSameFile)
	case !trusted(t.Old, t.File, t.Dir, t.Self):
		return fmt.Errorf("%s: %w (%d)", t.OldPath, ErrOldOwner, t.Old.UID)
	}
	return nil
}

// BackAttributes returns what [SwapBack] gives the previous file: the attributes
// of the file that it displaces, and nothing else that is carried over. Only a
// mode by which its owner may not execute it is not taken from there, where the
// previous file's owner may.
func (t Target) BackAttributes() Attributes {
	attrs := t.Attributes
	attrs.Mode |= t.Old.Mode & 0o100
	return attrs
}

// CheckBack returns every problem that giving the previous file, which has the
// attributes old, its [Target.BackAttributes] would meet, as far as it can be
// known without changing anything; none means nil. They are AttributeErrors.
func (t Target) CheckBack(old Attributes) []error {
	need := t.BackAttributes()
	if old.equal(need) {
		return nil
	}
	switch {
	case t.Self.MayAct(old.UID, old.GID):
	case t.Self.AnyFile:
		return []error{&AttributeError{t.OldPath, AttributeOwner, fmt.Errorf("its owner, shown as %d:%d: %w", old.UID, old.GID, ErrUnmapped)}}
	default:
		return []error{&AttributeError{t.OldPath, AttributeOwner, fmt.Errorf("the file belongs to user %d", old.UID)}}
	}
	if need.UID == old.UID && need.GID == old.GID { // else the system takes capabilities away
		need.UID, need.GID = OwnerUnchanged, OwnerUnchanged
		need.Xattrs = maps.Clone(need.Xattrs)
		maps.DeleteFunc(need.Xattrs, func(name string, value []byte) bool {
			has, ok := old.Xattrs[name]
			return ok && sameXattr(name, has, value)
		})
	}
	return t.checkAttributes(need)
}

// takeAttributes gives the new file the target's attributes, and makes them
// durable. restore undoes it; on error it has been done.
func (w *swap) takeAttributes() (restore func() error, err error) {
	file := w.source
	info, err := file.Stat()
	if err == nil && !info.Unchanged(w.file) {
		err = fmt.Errorf("%s: %w", w.lock.join(w.from), ErrChanged)
	}
	if err != nil {
		return nil, w.fail("check", err)
	}
	path := w.lock.join(w.from)
	had, _, err := readAttributes(file, info)
	if err != nil {
		return nil, w.fail("read the previous file's attributes", err)
	}
	want := w.target.BackAttributes()
	differs := !had.equal(want)
	if differs {
		err = replaceAttributes(file, path, had, want)
	}
	// Also when nothing differs: a run that was killed may have set, and not synced.
	if err == nil {
		if err = file.Sync(); err != nil {
			err = &durable.SyncError{Path: path, Err: vfs.NoSpace(err)}
		}
	}
	if err == nil {
		w.file, err = file.Stat()
	}
	if err == nil && (w.file.Size != info.Size || !w.file.Modified.Equal(info.Modified)) { // attributes have no part in them
		err = w.fail("check", fmt.Errorf("%s: %w", path, ErrChanged))
	}
	restore = func() error {
		if !differs {
			return nil
		}
		return w.restoreAttributes(info, had)
	}
	if err != nil {
		return nil, errors.Join(err, restore())
	}
	w.target.Old = w.file
	return restore, nil
}

// restoreAttributes gives the previous file its own attributes again, after a
// failure before the swap.
func (w *swap) restoreAttributes(info vfs.Info, had Attributes) error {
	file, err := w.lock.dir.Open(w.from)
	if err != nil {
		return err
	}
	defer file.Close()
	now, err := file.Stat()
	if err != nil || !now.SameFile(info) {
		return err
	}
	has, _, err := readAttributes(file, now)
	if err == nil && !has.equal(had) {
		if err = replaceAttributes(file, w.lock.join(w.from), has, had); err == nil {
			err = file.Sync()
		}
	}
	return err
}

// replaceAttributes is setAttributes for a file that has others already: those
// that are not wanted are removed.
func replaceAttributes(file vfs.File, path string, had, want Attributes) error {
	for _, name := range had.xattrOrder() {
		if _, wanted := want.Xattrs[name]; wanted {
			continue
		}
		if err := file.RemoveXattr(name); err != nil && !errors.Is(err, vfs.ErrNoXattr) {
			return &AttributeError{path, name, err}
		}
	}
	if err := setAttributes(file, path, want); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	got, _, err := readAttributes(file, info)
	if err != nil {
		return &fs.PathError{Op: "read the attributes of", Path: path, Err: err}
	}
	for name := range got.Xattrs {
		if _, wanted := want.Xattrs[name]; !wanted {
			return &AttributeError{path, name, errNotHeld}
		}
	}
	return nil
}

// equal reports whether both have the same of everything.
func (a Attributes) equal(b Attributes) bool {
	return a.UID == b.UID && a.GID == b.GID && a.Mode == b.Mode && maps.EqualFunc(a.Xattrs, b.Xattrs, bytes.Equal)
}
