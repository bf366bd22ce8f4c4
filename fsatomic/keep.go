package fsatomic

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// keep gives the target's file a second place at the prev name, for file
// systems that cannot exchange: a reflink, which does not touch the file, else a
// link, which changes its link count and so shows to a watcher, else a copy.
func (w *swap) keep() error {
	w.prev = prevName(w.lock.base(), w.file.Inode, w.target.File.Inode)
	err := w.keepCopy(func(source vfs.File, name string) (vfs.File, error) {
		return w.lock.dir.Clone(source, name)
	})
	if err == nil || !errors.Is(err, vfs.ErrNotSupported) && !errors.Is(err, ErrAttribute) {
		return err // a link could not do what a reflink could not
	}
	err = w.lock.dir.Link(w.lock.base(), w.prev)
	if err == nil {
		return nil
	}
	if !vfs.NoLinks(err) {
		return w.fail("link the previous file", err)
	}
	return w.keepCopy(func(source vfs.File, name string) (vfs.File, error) {
		file, err := w.lock.dir.Create(name, stageMode)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(file, io.NewSectionReader(source, 0, w.target.File.Size))
		return file, err
	})
}

// keepCopy makes a durable copy with all attributes, under a staging name until
// it is complete. On error nothing of it is left, as far as it can be removed.
func (w *swap) keepCopy(copyTo func(source vfs.File, name string) (vfs.File, error)) error {
	dir := w.lock.dir
	source, err := dir.Open(w.lock.base())
	if err != nil {
		return w.fail("copy the previous file", err)
	}
	defer source.Close()
	name := durable.RandomName(w.lock.base(), kindStage)
	file, err := copyTo(source, name)
	if file == nil {
		return w.fail("copy the previous file", vfs.NoSpace(err))
	}
	if err == nil {
		err = w.finishCopy(source, file, name)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = dir.Rename(name, w.prev)
	}
	if err != nil {
		err = w.fail("copy the previous file", vfs.NoSpace(err))
		if removeErr := dir.Remove(name); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// finishCopy makes sure that source still is the target, and the copy like it.
func (w *swap) finishCopy(source, file vfs.File, name string) error {
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if same, err := w.target.Is(source); err != nil || !same {
		return cmp.Or(err, ErrChanged)
	}
	attrs, _, err := readAttributes(source, info)
	if err != nil {
		return err
	}
	if err := setAttributes(file, w.lock.join(name), attrs); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return &durable.SyncError{Path: w.lock.join(name), Err: err}
	}
	got, err := file.Stat()
	if err == nil && got.Size != info.Size {
		err = fmt.Errorf("%w: copied %d of %d bytes", io.ErrShortWrite, got.Size, info.Size)
	}
	return err
}

// unkeep removes the prev name after a failure before the swap.
func (w *swap) unkeep() error {
	if w.prev == "" {
		return nil
	}
	if err := w.lock.dir.Remove(w.prev); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "remove", Path: w.lock.join(w.prev), Err: err}
	}
	return nil
}
