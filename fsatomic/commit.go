package fsatomic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// CommitOptions says how to commit. The zero value keeps the previous file.
type CommitOptions struct {
	// DropOld replaces the file without keeping it. What was kept earlier stays.
	DropOld bool
}

// Method is how a file was put in place.
type Method string

// The methods.
const (
	// MethodCreated: there was no file.
	MethodCreated Method = "created"
	// MethodExchanged: both files changed places in one step.
	MethodExchanged Method = "exchanged"
	// MethodRenamed: the file system cannot exchange. The previous file was
	// kept by a second name or a copy, and then replaced.
	MethodRenamed Method = "renamed"
	// MethodReplaced: the previous file was not kept.
	MethodReplaced Method = "replaced"
)

// Committed says what is at the target now, durably.
type Committed struct {
	Path   string   `json:"path"`
	File   vfs.Info `json:"file"`          // as it was after the last step: what a watcher sees
	Old    string   `json:"old,omitempty"` // where the previous file is; empty when none was kept
	Method Method   `json:"method"`
}

// Commit makes the staged file the target and keeps the previous one as
// OldPath. The attributes must have been set. Commit syncs the file, checks that
// the target is still what the plan saw, swaps, and syncs the directory.
//
// Before the swap ctx is obeyed, and on every error the target is untouched and
// the staged file removed: [ErrChanged] of the target or of what was sealed, [ErrNoAttributes], [ErrOldKind],
// [durable.SyncError], the context's, or the operating system's. From the swap on nothing
// interrupts it, and errors are a [UnknownStateError]. After a crash the target
// is the previous file or the new one, whole and with its attributes.
func (s *Staged) Commit(ctx context.Context, options CommitOptions) (Committed, error) {
	if s.done {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.target.Path, Err: fs.ErrClosed}
	}
	result, err := s.commit(ctx, options)
	var unknown *UnknownStateError
	if err == nil || errors.As(err, &unknown) {
		// From here on its name belongs to another file, or it is unknown whether it does.
		s.done = true
		s.file.Close() // nothing is unwritten: it was synced
		return result, err
	}
	return Committed{}, errors.Join(err, s.Abort())
}

func (s *Staged) commit(ctx context.Context, options CommitOptions) (Committed, error) {
	if !s.attributed {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.target.Path, Err: ErrNoAttributes}
	}
	if err := s.Sync(); err != nil {
		return Committed{}, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.target.Path, Err: err}
	}
	if info.Links > 1 || info.Size != s.size {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.Path(), Err: fmt.Errorf("%w: it has %d bytes and %d links, %d bytes were written",
			ErrChanged, info.Size, info.Links, s.size)}
	}
	if s.sealed.Kind != "" && !info.Unchanged(s.sealed) {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.Path(), Err: fmt.Errorf("%w, and after it was verified", ErrChanged)}
	}
	ready := readyName(s.lock.base(), info.Inode)
	if err := s.lock.moveFree(s.name, ready); err != nil {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.target.Path, Err: err}
	}
	s.name = ready
	// The name must be on the disk before the swap that it is to explain. And a
	// directory that cannot be synced is found out while nothing has happened.
	if err := s.lock.sync(); err != nil {
		return Committed{}, err
	}
	if err := ctx.Err(); err != nil {
		return Committed{}, &fs.PathError{Op: "commit", Path: s.target.Path, Err: err}
	}
	swap := swap{lock: s.lock, target: s.target, from: ready, file: info, source: s.file}
	return swap.run(options.DropOld)
}

// moveFree renames to a name at which there is nothing. Where the file system
// cannot promise that, the lock does, for all programs that take it.
func (l *Lock) moveFree(from, to string) error {
	err := l.dir.RenameNoReplace(from, to)
	if !errors.Is(err, vfs.ErrNotSupported) {
		return err
	}
	_, exists, err := vfs.LstatMaybe(l.dir, to)
	if err == nil && exists {
		err = fmt.Errorf("%s: %w", l.join(to), fs.ErrExist)
	}
	if err != nil {
		return err
	}
	return l.dir.Rename(from, to)
}

// Installed is a committed file, opened again at its path.
type Installed struct {
	file vfs.File
	path string
	// Info is what the descriptor says of it.
	Info vfs.Info
}

// ReadBack opens the file at the target's path again, for the caller to read
// and compare: the proof that what was installed is there. [ErrChanged] when what is
// there has another size, owner or mode. A number, a link count and times prove nothing: some
// file systems keep them only roughly. The caller compares contents, and attributes with
// [Installed.Holds]. Reading changes at most the access time.
func ReadBack(fsys vfs.FS, committed Committed) (*Installed, error) {
	dir, err := fsys.OpenDir(filepath.Dir(committed.Path))
	if err != nil {
		return nil, &fs.PathError{Op: "read back", Path: committed.Path, Err: err}
	}
	defer dir.Close()
	file, err := dir.Open(filepath.Base(committed.Path))
	if err != nil {
		return nil, &fs.PathError{Op: "read back", Path: committed.Path, Err: err}
	}
	info, err := file.Stat()
	if err == nil {
		want := committed.File
		want.Modified = info.Modified
		if !info.Alike(want) {
			err = ErrChanged
		}
	}
	if err != nil {
		file.Close()
		return nil, &fs.PathError{Op: "read back", Path: committed.Path, Err: err}
	}
	file.DropCache()
	return &Installed{file, committed.Path, info}, nil
}

// ReadAt implements [io.ReaderAt].
func (i *Installed) ReadAt(data []byte, offset int64) (int, error) {
	return i.file.ReadAt(data, offset)
}

// Holds compares the attributes with those that the file was given: an [AttributeError] names the
// first that is another. [OwnerUnchanged] is not compared.
func (i *Installed) Holds(attrs Attributes) error {
	if attrs.UID == OwnerUnchanged {
		attrs.UID = i.Info.UID
	}
	if attrs.GID == OwnerUnchanged {
		attrs.GID = i.Info.GID
	}
	return compareAttributes(i.file, i.path, attrs)
}

// Close closes the file.
func (i *Installed) Close() error { return i.file.Close() }

var (
	_ io.Writer   = (*Staged)(nil)
	_ io.ReaderAt = (*Staged)(nil)
	_ io.ReaderAt = (*Installed)(nil)
)
