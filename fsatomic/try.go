package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"

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
// module knows, which [Target.Check] cannot. Errors: [ErrAttribute] (an [AttributeError]), [ErrRename],
// [vfs.ErrNoSpace], or the operating system's.
func (t Target) Try(fsys vfs.FS, attrs Attributes) error {
	scratch, err := ScratchBeside(fsys, t, 0)
	if err != nil {
		return err
	}
	err = setAttributes(scratch.File(), t.Path, attrs)
	if renameErr := scratch.Rename(durable.RandomName(t.base(), kindStage)); renameErr != nil {
		err = errors.Join(err, &fs.PathError{Op: "replace", Path: t.Path, Err: fmt.Errorf("%w: %w", ErrRename, renameErr)})
	}
	return errors.Join(err, scratch.Close())
}
