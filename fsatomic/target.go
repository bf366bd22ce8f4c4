package fsatomic

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// Target is what is at a path, and everything that matters for replacing
// it. It holds no handles: it can be printed, kept in a plan and compared with
// what is there later. What was checked to be a plan's target is checked again
// under the lock, just before the swap.
type Target struct {
	Name  string   `json:"name"`            // absolute path as asked for
	Path  string   `json:"path"`            // where the file is, without symbolic links: here it is replaced
	Links []string `json:"links,omitempty"` // the symbolic links that lead from Name to Path, in order

	Exists     bool       `json:"exists"`
	File       vfs.Info   `json:"file,omitzero"`         // zero when it does not exist
	Attributes Attributes `json:"attributes,omitzero"`   // what a replacement takes over
	NotCarried []string   `json:"not_carried,omitempty"` // extended attributes that a replacement does not get

	// SHA256 is of the file's contents in hexadecimal digits, if the caller has read them. It tells the
	// file from another where its inode number cannot, see [Target.Is]; "" leaves that to the number alone.
	SHA256 string `json:"-"`

	OldPath   string   `json:"old_path"` // where the previous file is kept
	OldExists bool     `json:"old_exists"`
	Old       vfs.Info `json:"old,omitzero"` // zero when it does not exist

	KeptFor string `json:"-"` // the target for which what is at Path is kept, as its previous file or otherwise; "": none

	oldAt       string   // where the previous file is now; "": at OldPath
	lock, state vfs.Info // what is at the names of the lock and of the state; zero: nothing

	Dir         vfs.Info   `json:"dir"`                   // the directory of Path
	DirWritable bool       `json:"dir_writable"`          // this process may make and remove entries
	DirProblem  string     `json:"dir_problem,omitempty"` // why it may not
	Volume      vfs.Volume `json:"volume"`                // the file system
	Self        vfs.Self   `json:"self"`                  // who asked
}

// dirPath returns the directory of Path.
func (t Target) dirPath() string { return filepath.Dir(t.Path) }

// base returns the last element of Path.
func (t Target) base() string { return filepath.Base(t.Path) }

// OldAt returns where the previous file is: OldPath, or, see [Target.Recovered], a name that it has until then.
func (t Target) OldAt() string { return cmp.Or(t.oldAt, t.OldPath) }

// SamePlace reports whether both are one name in one directory, whatever is at it.
func (t Target) SamePlace(other Target) bool {
	return t.Path == other.Path && (t.Dir.SameFile(other.Dir) || t.Dir.Inode == 0 && other.Dir.Inode == 0)
}

// StillAt is an [ErrChanged] if what was looked up led to another place before.
func (t Target) StillAt(before Target) error {
	if t.SamePlace(before) {
		return nil
	}
	return fmt.Errorf("%s: %w: it led to %s, and leads to %s", t.Name, ErrChanged, before.Path, t.Path)
}

// Lookup finds out what is at name and what hinders replacing it. It
// follows symbolic links to the file and changes nothing. A name at which there
// is nothing is a target that does not exist. Errors: [vfs.ErrDangling],
// [vfs.ErrLinkLoop], [vfs.ErrLinkOwner], [vfs.ErrMagicLink], [vfs.ErrDirectory], [vfs.ErrNotRegular], [vfs.ErrNoDirectory], [vfs.ErrNoCurrent], [vfs.ErrName],
// [ErrChanged] when it is replaced at this very moment, or the operating
// system's. Where this user may not read the file, that is the error, and the target has all but
// its attributes.
func Lookup(fsys vfs.FS, name string) (Target, error) {
	at, err := vfs.Resolve(fsys, name)
	if err != nil {
		return Target{}, &fs.PathError{Op: "target", Path: name, Err: err}
	}
	target := Target{
		Name: at.Asked, Path: filepath.Join(at.Dir, at.Base), Links: at.Links,
		OldPath: filepath.Join(at.Dir, at.Base+oldSuffix), Self: fsys.Self(),
	}
	dir, err := fsys.OpenDir(at.Dir)
	if err != nil {
		return Target{}, &fs.PathError{Op: "target", Path: name, Err: err}
	}
	defer dir.Close()
	err = target.look(dir)
	if errors.Is(err, fs.ErrPermission) {
		return target, &fs.PathError{Op: "target", Path: name, Err: err}
	}
	if err != nil {
		return Target{}, &fs.PathError{Op: "target", Path: name, Err: err}
	}
	return target, nil
}

// look fills in what is found through the directory's handle.
func (t *Target) look(dir vfs.Dir) error {
	var err error
	if t.Dir, err = dir.Lstat("."); err != nil {
		return err
	}
	if t.Volume, err = dir.Volume(); err != nil {
		return err
	}
	if err := dir.Access(); err != nil {
		t.DirProblem = vfs.Cause(err).Error()
	} else {
		t.DirWritable = true
	}
	if t.Old, t.OldExists, err = vfs.LstatMaybe(dir, t.base()+oldSuffix); err != nil {
		return err
	}
	if t.lock, _, err = vfs.LstatMaybe(dir, lockName(t.base())); err != nil {
		return err
	}
	if t.state, _, err = vfs.LstatMaybe(dir, stateName(t.base())); err != nil {
		return err
	}
	if name := keeper(t.base()); name != "" && isTarget(dir, name) {
		t.KeptFor = filepath.Join(t.dirPath(), name)
	}
	if t.File, t.Exists, err = vfs.LstatMaybe(dir, t.base()); err != nil || !t.Exists {
		return err
	}
	if err := vfs.Regular(t.File); err != nil {
		return err
	}
	file, err := dir.Open(t.base())
	if err != nil {
		return err
	}
	defer file.Close()
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	if !opened.SameFile(t.File) && t.File.Inode != 0 {
		if !opened.Alike(t.File) {
			return ErrChanged
		}
		opened.MountPoint = t.File.MountPoint // which an open file does not tell
		t.File = opened
	}
	t.Attributes, t.NotCarried, err = readAttributes(file, t.File)
	return err
}

// Open opens the file that was found at the target, or kept beside it, for reading: through the target's directory, and following no link. One
// that was not there is [fs.ErrNotExist], and another than was found [ErrChanged].
func (t Target) Open(fsys vfs.FS, kept bool) (file vfs.File, size int64, err error) {
	path, seen, exists := t.Path, t.File, t.Exists
	if kept {
		path, seen, exists = t.OldPath, t.Old, t.OldExists
	}
	if !exists {
		err = fs.ErrNotExist
	} else if err = vfs.Regular(seen); err == nil {
		file, size, err = t.openSeen(fsys, filepath.Base(path), seen)
	}
	if err != nil {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: vfs.Cause(err)}
	}
	return file, size, nil
}

// openSeen opens a file of the target's directory that was seen there.
func (t Target) openSeen(fsys vfs.FS, name string, seen vfs.Info) (vfs.File, int64, error) {
	dir, _, err := t.openDir(fsys)
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	file, err := dir.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.SameFile(seen) {
		err = ErrChanged
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size, nil
}
