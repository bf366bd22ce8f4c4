//go:build !linux && !darwin

package vfs

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
)

// osFS is the file system of a system on which ordinary files can be written,
// but no target replaced: there are no inode numbers, owners and exchanges.
type osFS struct{}

// OS returns the operating system's file system.
func OS() FS { return osFS{} }

type osDir struct{ path string }

type osFile struct{ file *os.File }

func (osFS) OpenDir(name string) (Dir, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &os.PathError{Op: "open directory", Path: name, Err: errors.New("not a directory")}
	}
	return &osDir{name}, nil
}

func (osFS) RealPath(name string) (string, error) {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

func (osFS) Self() Self { return Self{} }

func (d *osDir) join(name string) string { return filepath.Join(d.path, name) }

func infoOf(info os.FileInfo) Info {
	kind := KindOther
	switch mode := info.Mode(); {
	case mode.IsRegular():
		kind = KindFile
	case mode.IsDir():
		kind = KindDirectory
	case mode&os.ModeSymlink != 0:
		kind = KindSymlink
	case mode&os.ModeDevice != 0:
		kind = KindDevice
	case mode&os.ModeNamedPipe != 0:
		kind = KindPipe
	case mode&os.ModeSocket != 0:
		kind = KindSocket
	}
	return Info{Kind: kind, Size: info.Size(), Mode: Mode(info.Mode().Perm()), Modified: info.ModTime().UTC()}
}

func (d *osDir) Up() (Dir, error) { return &osDir{filepath.Dir(d.path)}, nil }

func (d *osDir) Lstat(name string) (Info, error) {
	info, err := os.Lstat(d.join(name))
	if err != nil {
		return Info{}, err
	}
	return infoOf(info), nil
}

func (d *osDir) Readlink(name string) (string, error) { return os.Readlink(d.join(name)) }

func (d *osDir) open(name string, flags int, mode Mode) (File, error) {
	if info, err := d.Lstat(name); err == nil && info.Kind != KindFile {
		return nil, &os.PathError{Op: "open", Path: d.join(name), Err: ErrNotRegular}
	}
	file, err := os.OpenFile(d.join(name), flags, os.FileMode(mode).Perm())
	if err != nil {
		return nil, err
	}
	return &osFile{file}, nil
}

func (d *osDir) Open(name string) (File, error) { return d.open(name, os.O_RDONLY, 0) }

func (d *osDir) OpenAppend(name string) (File, error) {
	return d.open(name, os.O_RDWR, 0)
}

func (d *osDir) Create(name string, mode Mode) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
}

func (d *osDir) Mkdir(name string, mode Mode) error {
	return os.Mkdir(d.join(name), os.FileMode(mode).Perm())
}

func (d *osDir) Rename(from, to string) error { return os.Rename(d.join(from), d.join(to)) }

func (d *osDir) Link(from, to string) error { return os.Link(d.join(from), d.join(to)) }

func (d *osDir) unsupported(op, name string) error {
	return &os.PathError{Op: op, Path: d.join(name), Err: ErrNotSupported}
}

func (d *osDir) CreateUnnamed(Mode) (File, error) { return nil, d.unsupported("create a file in", "") }

func (d *osDir) Clone(_ File, name string) (File, error) { return nil, d.unsupported("clone", name) }

func (d *osDir) RenameNoReplace(from, _ string) error { return d.unsupported("rename", from) }

func (d *osDir) Exchange(a, _ string) error { return d.unsupported("exchange", a) }

func (d *osDir) Remove(name string) error { return os.Remove(d.join(name)) }

func (d *osDir) List(prefix string, limit int) ([]string, error) {
	dir, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return readNames(dir, prefix, limit)
}

func (d *osDir) Chmod(Mode) error { return nil }

func (d *osDir) Access() error { return nil }

// Volume knows nothing here, and so nothing that would hinder.
func (d *osDir) Volume() (Volume, error) {
	return Volume{FreeBytes: math.MaxInt64, FreeInodes: -1}, nil
}

// Sync does nothing: directories cannot be synced here.
func (d *osDir) Sync() error { return nil }

func (d *osDir) Close() error { return nil }

// Write goes to the end by hand: a file opened for appending could not be
// truncated on Windows.
func (f *osFile) Write(data []byte) (int, error) {
	if _, err := f.file.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	return f.file.Write(data)
}

func (f *osFile) ReadAt(data []byte, offset int64) (int, error) { return f.file.ReadAt(data, offset) }
func (f *osFile) Truncate(size int64) error                     { return f.file.Truncate(size) }
func (f *osFile) WriteBack(int64, int64)                        {}
func (f *osFile) DropCache()                                    {}
func (f *osFile) Sync() error                                   { return f.file.Sync() }
func (f *osFile) Close() error                                  { return f.file.Close() }

func (f *osFile) unsupported(op string) error {
	return &os.PathError{Op: op, Path: f.file.Name(), Err: ErrNotSupported}
}

func (f *osFile) Allocate(int64) error          { return f.unsupported("allocate") }
func (f *osFile) Chown(int, int) error          { return f.unsupported("chown") }
func (f *osFile) Xattrs() ([]string, error)     { return nil, f.unsupported("list attributes") }
func (f *osFile) Xattr(string) ([]byte, error)  { return nil, f.unsupported("read attribute") }
func (f *osFile) SetXattr(string, []byte) error { return f.unsupported("set attribute") }
func (f *osFile) RemoveXattr(string) error      { return f.unsupported("remove attribute") }

// Chmod does nothing: access is decided by lists that are inherited here.
func (f *osFile) Chmod(Mode) error { return nil }

func (f *osFile) Stat() (Info, error) {
	info, err := f.file.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(info), nil
}

func (f *osFile) TryLock() error { return tryLock(f.file) }
func (f *osFile) Unlock() error  { return unlock(f.file) }
