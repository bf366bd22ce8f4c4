package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

const partialMode vfs.Mode = 0o600

// Partial is a file that grows over several runs, such as a download that is
// resumed. It is locked against other processes while it is open. It must not
// be used by two goroutines at once, except for ReadAt.
//
// It is never synced: after a crash its size and contents may be anything, and who resumes must
// check all of it.
type Partial struct {
	dir  vfs.Dir
	file vfs.File
	path string
	size int64
}

// OpenPartial opens name, or creates it with mode 0600 in a directory that
// exists. A symbolic link is not followed. While another process has it open it
// is a [BusyError]. In a directory in which other users may put files it is [ErrForeign]: what is at the name, and
// would be cut off and written to, may be any of them. Other errors: [vfs.ErrNotRegular], or the operating system's.
func OpenPartial(fsys vfs.FS, name string) (*Partial, error) {
	dir, base, err := openParent(fsys, name, false)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	p := &Partial{dir: dir, path: name}
	if err = OwnDir(dir, fsys.Self()); err == nil {
		p.file, err = OpenLocked(dir, base,
			func() (vfs.File, error) { return openOwn(dir, base, partialMode) },
			func(vfs.File) error { return &BusyError{Path: name} })
	}
	if err == nil {
		var info vfs.Info
		if info, err = p.file.Stat(); err != nil {
			p.file.Close()
		}
		p.size = info.Size
	}
	if err != nil {
		dir.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: vfs.NoSpace(err)}
	}
	return p, nil
}

func (p *Partial) base() string { return filepath.Base(p.path) }

// Path returns the name it was opened with.
func (p *Partial) Path() string { return p.path }

// Size returns the size in bytes.
func (p *Partial) Size() int64 { return p.size }

// Stat describes the open file: who may write it, for a caller that trusts what
// an earlier run left there.
func (p *Partial) Stat() (vfs.Info, error) { return p.file.Stat() }

// Write appends. A full disk is [vfs.ErrNoSpace].
func (p *Partial) Write(data []byte) (int, error) {
	count, err := p.file.Write(data)
	p.size += int64(count)
	if err != nil {
		return count, &fs.PathError{Op: "write", Path: p.path, Err: vfs.NoSpace(vfs.Cause(err))}
	}
	return count, nil
}

// ReadAt implements [io.ReaderAt].
func (p *Partial) ReadAt(data []byte, offset int64) (int, error) { return p.file.ReadAt(data, offset) }

// Truncate cuts the file to size bytes, which must not be more than it has.
func (p *Partial) Truncate(size int64) error {
	if size < 0 || size > p.size {
		return &fs.PathError{Op: "truncate", Path: p.path, Err: fmt.Errorf("to %d of %d bytes: %w", size, p.size, fs.ErrInvalid)}
	}
	if err := p.file.Truncate(size); err != nil {
		return &fs.PathError{Op: "truncate", Path: p.path, Err: err}
	}
	p.size = size
	return nil
}

// Close leaves the file for the next run. The second time it does nothing.
func (p *Partial) Close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	err = errors.Join(err, p.dir.Close())
	p.file = nil
	if err != nil {
		return &fs.PathError{Op: "close", Path: p.path, Err: err}
	}
	return nil
}

// Remove removes the file and closes it.
func (p *Partial) Remove() error {
	if p.file == nil {
		return &fs.PathError{Op: "remove", Path: p.path, Err: fs.ErrClosed}
	}
	info, err := p.file.Stat()
	if err == nil && info.Inode == 0 { // a system on which an open file cannot be removed
		p.file.Close()
	}
	if err == nil {
		err = p.dir.Remove(p.base())
	}
	err = errors.Join(err, p.Close())
	if err != nil {
		return &fs.PathError{Op: "remove", Path: p.path, Err: err}
	}
	return nil
}
