package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

const (
	pollFirst   = 10 * time.Millisecond
	pollLongest = 250 * time.Millisecond
	racesMax    = 100 // files that are removed or renamed before they are locked
)

// WaitForever as a time to wait for another process means until the context ends.
const WaitForever time.Duration = -1

// WhileBusy calls try again and again for as long as it returns a [BusyError]: until the
// time to wait has passed or the context ends, whose error it then has too.
func WhileBusy(ctx context.Context, wait time.Duration, try func() error) error {
	deadline := time.Now().Add(wait)
	for pause := pollFirst; ; pause = min(2*pause, pollLongest) {
		err := try()
		if !errors.Is(err, ErrBusy) || wait >= 0 && !time.Now().Add(pause).Before(deadline) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// OpenLocked opens what is at name with open and takes its lock. The last holder of the lock may
// have removed or renamed the file meanwhile, and then its lock would keep no other process out:
// so OpenLocked looks whether the file is still at name, and begins again if not. While another
// process has the lock the error is that of busy, which gets the open file.
func OpenLocked(dir vfs.Dir, name string, open func() (vfs.File, error), busy func(vfs.File) error) (vfs.File, error) {
	for range racesMax {
		file, err := open()
		if err != nil {
			return nil, err
		}
		current := false
		err = file.TryLock()
		switch {
		case err == nil:
			current, err = vfs.IsCurrent(dir, name, file)
		case errors.Is(err, vfs.ErrLocked):
			err = busy(file)
		}
		if err == nil && current {
			return file, nil
		}
		file.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, vfs.ErrRace
}

// OpenOrCreate opens a regular file for appending, or makes it with mode, whatever the umask.
// For anything else at the name the error is [vfs.ErrNotRegular] or [vfs.ErrDirectory].
func OpenOrCreate(dir vfs.Dir, name string, mode vfs.Mode) (vfs.File, error) {
	for range racesMax {
		if info, err := dir.Lstat(name); err == nil && info.Kind != vfs.KindFile {
			return nil, vfs.Regular(info)
		}
		file, err := dir.OpenAppend(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
		file, err = dir.Create(name, mode)
		if err == nil {
			if err = file.Chmod(mode); err != nil && !vfs.ModeRefused(err) {
				file.Close()
				return nil, err
			}
			return file, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return nil, vfs.ErrRace
}

// openOwn is OpenOrCreate for a file that only tbctl writes. One with further names may be another
// program's, and is refused.
func openOwn(dir vfs.Dir, name string, mode vfs.Mode) (vfs.File, error) {
	file, err := OpenOrCreate(dir, name, mode)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = vfs.Regular(info)
	}
	if err == nil && info.Links > 1 {
		err = manyLinks(info)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// manyLinks is the error of a file with another name, under which it may be another's.
func manyLinks(info vfs.Info) error {
	return fmt.Errorf("%w: it has %d links", vfs.ErrNotRegular, info.Links)
}
