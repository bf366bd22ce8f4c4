package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// swap puts a complete, durable file in the target's place. The same steps
// serve an installation, where from is the ready name, and the way back, where
// it is the previous file's.
type swap struct {
	lock   *Lock
	target Target   // what the plan saw
	from   string   // the name of the new file
	file   vfs.Info // the new file
	source vfs.File // the new file, open
	prev   string   // the second name or copy of the target, where exchange is not possible
}

func (w *swap) oldName() string { return filepath.Base(w.target.OldPath) }

// fail is an error from before the swap.
func (w *swap) fail(step string, err error) error {
	return &fs.PathError{Op: "replace", Path: w.target.Path, Err: fmt.Errorf("%s: %w", step, err)}
}

// unknown is an error from after the swap. previous is a name, or empty.
func (w *swap) unknown(step string, visible, lasts bool, previous string, err error) error {
	if previous != "" {
		previous = w.lock.join(previous)
	}
	return &UnknownStateError{Path: w.target.Path, Step: step, Visible: visible, Durable: lasts, Previous: previous, Err: err}
}

func (w *swap) run(dropOld bool) (Committed, error) {
	if err := w.recheck(); err != nil {
		return Committed{}, w.fail("check", err)
	}
	method, err := w.put(dropOld)
	if err != nil {
		return Committed{}, err
	}
	old, oldName := "", ""
	if method == MethodExchanged || method == MethodRenamed {
		old, oldName = w.target.OldPath, w.oldName()
	}
	info, err := w.lock.dir.Lstat(w.lock.base())
	if err != nil {
		return Committed{}, w.unknown("look at the result", true, true, oldName, err)
	}
	if !w.isNew(w.lock.base(), info) { // another process, which does not take the lock, replaced it
		return Committed{}, w.unknown("look at the result", false, false, oldName, ErrChanged)
	}
	return Committed{Path: w.target.Path, File: info, Old: old, Method: method}, nil
}

// put makes the swap, its durability, and the previous file's name.
func (w *swap) put(dropOld bool) (Method, error) {
	switch {
	case !w.target.Exists:
		return MethodCreated, w.create()
	case dropOld:
		return MethodReplaced, w.rename("")
	}
	err := w.lock.dir.Exchange(w.from, w.lock.base())
	switch {
	case errors.Is(err, vfs.ErrNotSupported):
		return MethodRenamed, w.keepAndRename()
	case err != nil:
		return "", w.failed("exchange", err)
	}
	return MethodExchanged, w.exchanged()
}

// isNew reports whether what is at name is the new file: by its inode number or, where
// the number is another one, by its contents.
func (w *swap) isNew(name string, info vfs.Info) bool {
	if info.SameFile(w.file) {
		return true
	}
	same, err := vfs.HasContents(w.lock.dir, name, w.source, w.file.Size)
	return err == nil && same
}

// recheck compares everything that the plan saw with what is there now.
func (w *swap) recheck() error {
	base, dir := w.lock.base(), w.lock.dir
	at, err := vfs.Resolve(w.lock.fsys, w.target.Name)
	if err != nil {
		return err
	}
	if filepath.Join(at.Dir, at.Base) != w.target.Path {
		return fmt.Errorf("%s: %w: it leads to %s", w.target.Name, ErrChanged, filepath.Join(at.Dir, at.Base))
	}
	there, err := w.lock.fsys.OpenDir(at.Dir)
	if err != nil {
		return err
	}
	defer there.Close()
	info, err := there.Lstat(".")
	if err != nil {
		return err
	}
	if !info.SameFile(w.lock.dirInfo) {
		return fmt.Errorf("%s: %w", at.Dir, ErrChanged)
	}
	info, exists, err := vfs.LstatMaybe(dir, base)
	if err != nil {
		return err
	}
	if exists != w.target.Exists || (exists && !info.Unchanged(w.target.File) && !w.isTarget(base)) {
		return ErrChanged
	}
	if err := w.recheckNew(); err != nil {
		return err
	}
	old, exists, err := vfs.LstatMaybe(w.lock.dir, w.oldName())
	if err != nil {
		return err
	}
	if exists && old.Kind != vfs.KindFile {
		return fmt.Errorf("%s: %w: it is a %s", w.target.OldPath, ErrOldKind, old.Kind)
	}
	return nil
}

// recheckNew returns an error unless the new file still is the one that was judged.
func (w *swap) recheckNew() error {
	info, err := w.lock.dir.Lstat(w.from)
	if err == nil && !info.SameContents(w.file) {
		err = fmt.Errorf("%s: %w", w.lock.join(w.from), ErrChanged)
	}
	return err
}

// exchanged makes sure of an exchange, by which the previous file got the new
// one's name: that it displaced what the plan saw, and that it lasts.
func (w *swap) exchanged() error {
	displaced, err := w.lock.dir.Lstat(w.from)
	if err != nil {
		return w.unknown("look at the previous file", true, false, w.from, err)
	}
	if !displaced.SameContents(w.target.File) && !w.isTarget(w.from) {
		return w.giveBack()
	}
	if err := w.syncSwapped(false, w.from); err != nil {
		return err
	}
	return w.nameOld(w.from)
}

// stepSync is the step of an error that names the directory itself.
const stepSync = "sync the directory"

// syncSwapped makes the last change after the swap durable. certain says whether the new file is so already;
// previous is where the previous file is.
func (w *swap) syncSwapped(certain bool, previous string) error {
	if err := w.lock.sync(); err != nil {
		return w.unknown(stepSync, true, certain, previous, err)
	}
	return nil
}

// giveBack undoes an exchange that displaced a file which another process put there
// between the check and the swap.
func (w *swap) giveBack() error {
	if err := w.lock.dir.Exchange(w.from, w.lock.base()); err != nil {
		return w.unknown("give back a file that appeared meanwhile", false, false, w.from, err)
	}
	if err := w.lock.sync(); err != nil {
		return w.unknown("give back a file that appeared meanwhile", false, false, "", err)
	}
	return w.fail("exchange", ErrChanged)
}

// failed says what an error of the swapping call itself means: if the new file is still
// where it was, nothing happened.
func (w *swap) failed(step string, err error) error {
	err = vfs.Cause(err)
	if info, statErr := w.lock.dir.Lstat(w.from); statErr == nil && w.isNew(w.from, info) {
		return w.fail(step, err)
	}
	visible, previous := false, w.prev
	if info, statErr := w.lock.dir.Lstat(w.lock.base()); statErr == nil {
		visible = w.isNew(w.lock.base(), info)
	}
	if info, statErr := w.lock.dir.Lstat(w.from); statErr == nil && info.SameFile(w.target.File) {
		previous = w.from
	}
	return w.unknown(step, visible, false, previous, err)
}

// keepAndRename is the way without exchange: the previous file gets a name or
// copy that says which inode replaces it, durably, and then is renamed over.
func (w *swap) keepAndRename() error {
	err := w.keep()
	if err == nil {
		err = w.lock.sync()
	}
	if err == nil {
		err = w.recheckKept()
	}
	if err == nil {
		err = w.rename(w.prev)
	}
	var unknown *UnknownStateError
	if err != nil && !errors.As(err, &unknown) {
		return errors.Join(err, w.unkeep())
	}
	if err != nil {
		return err
	}
	return w.nameOld(w.prev)
}

// recheckKept is recheck for a target that may have got another link from us, after a
// copy of it that may have taken long.
func (w *swap) recheckKept() error {
	info, err := w.lock.dir.Lstat(w.lock.base())
	if err == nil && !info.SameContents(w.target.File) && !w.isTarget(w.lock.base()) {
		err = ErrChanged
	}
	if err == nil {
		err = w.recheckNew()
	}
	if err != nil {
		return w.fail("check", err)
	}
	return nil
}

// rename replaces the target; previous is where else the previous file is.
func (w *swap) rename(previous string) error {
	if err := w.lock.dir.Rename(w.from, w.lock.base()); err != nil {
		return w.failed("rename", err)
	}
	return w.syncSwapped(false, previous)
}

// create puts the file where nothing was, and never over what appeared there. On a file system
// that cannot rename without replacing it makes a link; where there are no links either, the
// check just made is all there is.
func (w *swap) create() error {
	base, dir := w.lock.base(), w.lock.dir
	err := dir.RenameNoReplace(w.from, base)
	switch {
	case err == nil:
		return w.syncSwapped(false, "")
	case errors.Is(err, fs.ErrExist):
		return w.fail("create", ErrChanged)
	case !errors.Is(err, vfs.ErrNotSupported):
		return w.failed("create", err)
	}
	switch err = dir.Link(w.from, base); {
	case errors.Is(err, fs.ErrExist):
		return w.fail("create", ErrChanged)
	case vfs.NoLinks(err):
		return w.rename("")
	case err != nil:
		if info, statErr := dir.Lstat(base); statErr == nil && w.isNew(base, info) {
			return w.unknown("create", true, false, "", err)
		}
		return w.fail("create", err)
	}
	if err := w.syncSwapped(false, ""); err != nil {
		return err
	}
	if err := dir.Remove(w.from); err != nil {
		return w.unknown("remove the second name", true, true, "", err)
	}
	return w.syncSwapped(true, "")
}

// nameOld gives the previous file, now at from, its lasting name.
func (w *swap) nameOld(from string) error {
	if from == w.oldName() {
		return nil
	}
	if err := nameOld(w.lock.dir, from, w.oldName()); err != nil {
		if _, exists, statErr := vfs.LstatMaybe(w.lock.dir, from); statErr == nil && !exists {
			from = w.oldName() // it was renamed all the same
		}
		return w.unknown("rename the previous file", true, true, from, err)
	}
	return w.syncSwapped(true, w.oldName())
}

// nameOld renames from to old. When both are links to one file, rename(2) would
// do nothing and leave both names.
func nameOld(dir vfs.Dir, from, old string) error {
	there, exists, err := vfs.LstatMaybe(dir, old)
	if err != nil {
		return err
	}
	info, err := dir.Lstat(from)
	if err != nil {
		return err
	}
	if exists && there.Kind != vfs.KindFile {
		return fmt.Errorf("%w: it is a %s", ErrOldKind, there.Kind)
	}
	if exists && there.SameFile(info) {
		return dir.Remove(from)
	}
	if err := dir.Rename(from, old); err != nil || !exists {
		return err
	}
	if _, still, err := vfs.LstatMaybe(dir, from); err != nil || !still {
		return err
	}
	return dir.Remove(from) // they were links to one file although they did not look so
}
