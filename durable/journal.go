package durable

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

const (
	// LineSizeMax is the most bytes of a line of a journal.
	LineSizeMax = 1 << 20

	journalReadMax = 4 << 20 // bytes that ScanJournal reads at most
	scanBufferSize = 64 << 10

	// journalMode keeps other users from opening it: who can open it can hold its lock.
	journalMode    vfs.Mode = 0o600
	journalDirMode vfs.Mode = 0o755
	appendRoom              = 4 << 10 // bytes that a usual line needs at most
)

// Append adds one line to a journal, durably: on nil it is on the disk. The line must not contain a
// newline. The journal and its directories are made if they do not exist, the file with mode 0600,
// which an older one gets too. A symbolic link is not followed, and a file with further names is
// not written to; nor is one that others may have put there, unless it begins as the line does. Concurrent writers wait for each other, until ctx ends. Where a crash tore the
// last line it is left as it is, and the new one begins on a line of its own.
//
// Errors: [vfs.ErrTooLarge], [vfs.ErrNotRegular], [ErrForeign], a [SyncError], the context's with a
// [BusyError], or the operating system's. On error the line may be there, or a
// part of it.
func Append(ctx context.Context, fsys vfs.FS, name string, line []byte) error {
	return appendTo(ctx, fsys, name, line, 0)
}

// RingSuffix is put behind the name of a journal's older part, see [AppendRing].
const RingSuffix = "-old"

// AppendRing does as [Append], and keeps the journal small: when it has sizeMax bytes it becomes the older part, in place of the
// one before, and a new one is begun.
func AppendRing(ctx context.Context, fsys vfs.FS, name string, line []byte, sizeMax int64) error {
	return appendTo(ctx, fsys, name, line, sizeMax)
}

func appendTo(ctx context.Context, fsys vfs.FS, name string, line []byte, ringSize int64) error {
	err := appendLine(ctx, fsys, name, line, ringSize)
	var failed *SyncError
	if err == nil || errors.As(err, &failed) {
		return err
	}
	if inner, ok := errors.AsType[*fs.PathError](err); ok && inner.Path == name {
		err = inner.Err
	}
	return &fs.PathError{Op: "append to", Path: name, Err: vfs.NoSpace(err)}
}

// appendLine appends a line; to a ring of that many bytes, unless it is 0.
func appendLine(ctx context.Context, fsys vfs.FS, name string, line []byte, ringSize int64) error {
	if len(line) > LineSizeMax {
		return fmt.Errorf("%w: a line of %d bytes, at most %d", vfs.ErrTooLarge, len(line), LineSizeMax)
	}
	if bytes.IndexByte(line, '\n') >= 0 {
		return errors.New("the line contains a newline")
	}
	dir, base, err := openParent(fsys, name, true)
	if err != nil {
		return err
	}
	defer dir.Close()
	file, info, err := lockJournal(ctx, fsys, dir, name, line)
	if err == nil && ringSize > 0 && info.Size >= ringSize {
		err = dir.Rename(base, base+RingSuffix) // who waits for its lock finds that it is not the journal any more
		file.Unlock()
		file.Close()
		if err == nil {
			file, info, err = lockJournal(ctx, fsys, dir, name, line)
		}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	defer file.Unlock()
	if info.Mode&^journalMode != 0 { // other users' rights; who may not take them away leaves that to the owner's next one
		_ = file.Chmod(info.Mode & journalMode)
	}
	text := make([]byte, 0, len(line)+2)
	if info.Size > 0 { // a last line that a crash tore has no newline
		var last [1]byte
		if _, err := file.ReadAt(last[:], info.Size-1); err != nil && err != io.EOF {
			return err
		}
		if last[0] != '\n' {
			text = append(text, '\n')
		}
	}
	text = append(append(text, line...), '\n')
	if _, err := file.Write(text); err != nil {
		_ = file.Truncate(info.Size) // if that fails, the next line begins on a line of its own
		return err
	}
	if err := file.Sync(); err != nil {
		return &SyncError{Path: name, Err: vfs.NoSpace(err)}
	}
	if info.Size == 0 { // the process that made the file may have died before its name was durable
		if err := dir.Sync(); err != nil {
			return &SyncError{Path: name, Err: err}
		}
	}
	return nil
}

// lockJournal opens a journal to append a line, and takes its lock.
func lockJournal(ctx context.Context, fsys vfs.FS, dir vfs.Dir, name string, line []byte) (file vfs.File, info vfs.Info, err error) {
	base := filepath.Base(name)
	err = WhileBusy(ctx, WaitForever, func() error {
		file, err = OpenLocked(dir, base,
			func() (vfs.File, error) { return openOwn(dir, base, journalMode) },
			func(vfs.File) error { return &BusyError{Path: name} })
		return err
	})
	if err != nil {
		return nil, info, err
	}
	if info, err = file.Stat(); err == nil {
		err = isJournal(dir, file, info, line, fsys.Self())
	}
	if err != nil {
		file.Unlock()
		file.Close()
	}
	return file, info, err
}

// CheckAppend finds what would hinder [Append] of a line, of which the beginning will do, as far as it can be known
// without changing anything.
func CheckAppend(fsys vfs.FS, name string, line []byte) error {
	if err := checkAppend(fsys, name, line); err != nil {
		return &fs.PathError{Op: "append to", Path: name, Err: err}
	}
	return nil
}

func checkAppend(fsys vfs.FS, name string, line []byte) error {
	path, err := vfs.Absolute(name)
	if err != nil {
		return err
	}
	parent, base := vfs.SplitPath(path)
	dir, err := fsys.OpenDir(parent)
	made, missing := parent, err
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(parent) != parent { // up to one that exists
		next := filepath.Base(parent)
		parent, base = filepath.Dir(parent), ""
		if dir, err = fsys.OpenDir(parent); err != nil {
			continue
		}
		if _, there, lookErr := vfs.LstatMaybe(dir, next); lookErr == nil && there { // a link that leads nowhere
			dir.Close()
			err = missing
			break
		}
	}
	if err != nil {
		return &fs.PathError{Op: "make directory", Path: made, Err: vfs.Cause(err)}
	}
	defer dir.Close()
	return mayAppend(dir, parent, base, line, fsys.Self())
}

// mayAppend looks at the journal's directory, or with an empty base at one in which that
// is to be made.
func mayAppend(dir vfs.Dir, path, base string, line []byte, self vfs.Self) error {
	volume, err := dir.Volume()
	switch {
	case err != nil:
		return err
	case volume.ReadOnly:
		return vfs.ErrReadOnly
	case volume.FreeBytes < appendRoom:
		return &vfs.SpaceError{Path: path, Need: appendRoom, Have: volume.FreeBytes}
	}
	if base == "" {
		return dir.Access()
	}
	info, there, err := vfs.LstatMaybe(dir, base)
	switch {
	case err != nil:
		return err
	case !there:
		return dir.Access()
	case info.Kind != vfs.KindFile:
		return vfs.Regular(info)
	case info.Links > 1:
		return manyLinks(info)
	}
	file, err := dir.OpenAppend(base)
	if err != nil {
		return vfs.Cause(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return err
	}
	return isJournal(dir, file, info, line, self)
}

// ScanJournal calls each for the lines of a journal, oldest first, without their
// newlines: those in its last sizeMax bytes (0 or too much: 4 MiB). It
// holds one line at a time, which is each's during the call only; number is that of the line in the file, from 1 on. all is false when older
// ones were left out, and the numbers are 0 then. A line that a crash tore is passed like any other, also the last one without its newline,
// which may just be being written, and one of more than [LineSizeMax] bytes, which [Append] never wrote, as an empty one. A
// journal that does not exist is fs.ErrNotExist. On nil the writers are those of the file that was read.
func ScanJournal(fsys vfs.FS, name string, sizeMax int64, each func(number int, line []byte)) (all bool, writers vfs.Writers, err error) {
	if sizeMax <= 0 || sizeMax > journalReadMax {
		sizeMax = journalReadMax
	}
	return readJournal(fsys, name, sizeMax, each)
}

// ScanWhole does as [ScanJournal] with all lines of a journal, however long it is: for one who looks for a line that no number of others may
// keep from being found.
func ScanWhole(fsys vfs.FS, name string, each func(number int, line []byte)) (vfs.Writers, error) {
	_, writers, err := readJournal(fsys, name, math.MaxInt64, each)
	return writers, err
}

func readJournal(fsys vfs.FS, name string, sizeMax int64, each func(number int, line []byte)) (all bool, writers vfs.Writers, err error) {
	all, writers, err = scanJournal(fsys, name, sizeMax, each)
	if err != nil {
		return false, vfs.Writers{}, &fs.PathError{Op: "read journal", Path: name, Err: err}
	}
	return all, writers, nil
}

func scanJournal(fsys vfs.FS, name string, sizeMax int64, each func(number int, line []byte)) (all bool, writers vfs.Writers, err error) {
	dir, base, err := openParent(fsys, name, false)
	if err != nil {
		return false, writers, err
	}
	defer dir.Close()
	info, err := dir.Lstat(base) // before it is opened: that does something to some devices
	if err == nil && info.Kind != vfs.KindSymlink {
		err = vfs.Regular(info)
	}
	if err != nil {
		return false, writers, err
	}
	file, err := dir.Open(base)
	if err != nil {
		return false, writers, err
	}
	defer file.Close()
	if info, err = file.Stat(); err == nil {
		err = vfs.Regular(info)
	}
	if err != nil {
		return false, writers, err
	}
	start := max(0, info.Size-sizeMax)
	if err = scanLines(io.NewSectionReader(file, start, info.Size-start), start > 0, each); err == nil {
		writers, err = vfs.WritersIn(dir, name, &info, fsys.Self())
	}
	return start == 0, writers, err
}

// scanLines calls each for the lines, also for a last one without its newline; of a text that begins anywhere, for those after
// the first newline.
func scanLines(from io.Reader, clipped bool, each func(number int, line []byte)) error {
	lines := bufio.NewReaderSize(from, scanBufferSize)
	var line []byte
	partial := clipped
	for number := 1; ; number++ {
		var whole bool
		var err error
		if partial {
			number = 0
		}
		line, whole, err = nextLine(lines, line[:0])
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		switch {
		case clipped:
			clipped = false
		case !whole:
			each(number, nil)
		case len(line) > 0:
			each(number, line)
		}
		if err != nil {
			return nil //nolint:nilerr // the end
		}
	}
}

// nextLine reads up to the next newline, and appends what it read to line. A line that is too
// long is read, but not whole.
func nextLine(from *bufio.Reader, line []byte) (_ []byte, whole bool, err error) {
	whole = true
	for {
		piece, err := from.ReadSlice('\n')
		if len(line)+len(piece) > LineSizeMax+1 {
			whole = false
		} else {
			line = append(line, piece...)
		}
		if err == nil {
			return bytes.TrimSuffix(line, []byte{'\n'}), whole, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, whole, err
		}
	}
}
