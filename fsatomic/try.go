package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// ScratchBeside makes an empty scratch file of the file system that a target is in,
// and reserves space for size bytes (0: unknown): what does not fit there would not fit
// as a [Staged] file. The target's directory shows nothing of it where the file system has
// files without names, and else a name until it is closed, which after a crash the next
// [Recover] removes. Errors: [vfs.ErrNoSpace], or the operating system's.
func ScratchBeside(fsys vfs.FS, target Target, size int64) (*durable.Scratch, error) {
	return durable.ScratchAt(fsys, target.dirPath(), durable.RandomName(target.base(), kindStage), size,
		func(err error) error { return &fs.PathError{Op: "try out", Path: target.Path, Err: err} })
}

// Try finds out whether a file in the target's place would get and keep the attributes,
// by giving them to one without a name or, where the file system has none, to one that
// is removed again, and so is renamed before. It finds what only the file system or a security
// module knows, which [Target.Check] cannot. Where no file can be deleted an empty one is left, and no second one when it
// is called again. Errors: [ErrAttribute] (an [AttributeError]), [ErrRename],
// [ErrDelete], which names the file that is left, [vfs.ErrNoSpace], or the operating system's.
func (t Target) Try(fsys vfs.FS, attrs Attributes) error {
	if err := t.clearTried(fsys, attrs.UID); err != nil {
		return err
	}
	name := durable.RandomName(t.base(), kindTry)
	scratch, err := durable.ScratchAt(fsys, t.dirPath(), name, 0,
		func(err error) error { return &fs.PathError{Op: "try out", Path: t.Path, Err: err} })
	if err != nil {
		return err
	}
	err = setAttributes(scratch.File(), t.Path, attrs)
	renamed := durable.RandomName(t.base(), kindTry)
	if renameErr := scratch.Rename(renamed); renameErr == nil {
		name = renamed
	} else if !errors.Is(renameErr, fs.ErrNotExist) { // another one that tries something out has removed it
		err = errors.Join(err, &fs.PathError{Op: "replace", Path: t.Path, Err: fmt.Errorf("%w: %w", ErrRename, renameErr)})
	}
	if closeErr := scratch.Close(); closeErr != nil {
		err = errors.Join(err, t.undeletable(name, closeErr))
	}
	return err
}

// clearTried removes what an earlier Try left, with the owner that it may have given it. What is anybody else's is none of
// its business.
func (t Target) clearTried(fsys vfs.FS, owner int) error {
	dir, err := fsys.OpenDir(t.dirPath())
	if err != nil {
		return &fs.PathError{Op: "try out", Path: t.Path, Err: err}
	}
	defer dir.Close()
	names, err := dir.List(durable.HiddenPrefix(t.base())+kindTry+"-", leftoversMax)
	if err != nil {
		return &fs.PathError{Op: "try out", Path: t.Path, Err: err}
	}
	for _, name := range names {
		info, exists, err := vfs.LstatMaybe(dir, name)
		if _, ok := parseName(t.base(), name); !ok || err != nil || !exists || info.Kind != vfs.KindFile || info.Size > 0 ||
			info.UID != fsys.Self().UID && info.UID != owner {
			continue
		}
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t.undeletable(name, err)
		}
	}
	return nil
}

func (t Target) undeletable(name string, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return &fs.PathError{Op: "remove", Path: filepath.Join(t.dirPath(), name), Err: fmt.Errorf("%w: %w", ErrDelete, err)}
}
