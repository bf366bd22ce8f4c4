package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const linksMax = 40 // symbolic links in a row, as in the kernel

// Target is what stands at a path, and everything that matters for replacing
// it. It holds no handles: it can be printed, kept in a plan and compared with
// what is there later. What was checked to be a plan's target is checked again
// under the lock, just before the swap.
type Target struct {
	Name  string   `json:"name"`            // absolute path as asked for
	Path  string   `json:"path"`            // where the file is, without symbolic links: here it is replaced
	Links []string `json:"links,omitempty"` // the symbolic links that lead from Name to Path, in order

	Exists     bool       `json:"exists"`
	File       Info       `json:"file,omitzero"`         // zero when it does not exist
	Attributes Attributes `json:"attributes,omitzero"`   // what a replacement takes over
	NotCarried []string   `json:"not_carried,omitempty"` // extended attributes that a replacement does not get

	OldPath   string `json:"old_path"` // where the previous file is kept
	OldExists bool   `json:"old_exists"`
	Old       Info   `json:"old,omitzero"` // zero when it does not exist

	Dir         Info   `json:"dir"`                   // the directory of Path
	DirWritable bool   `json:"dir_writable"`          // this process may make and remove entries
	DirProblem  string `json:"dir_problem,omitempty"` // why it may not
	Volume      Volume `json:"volume"`                // the file system
	Self        Self   `json:"self"`                  // who asked
}

// dirPath returns the directory of Path.
func (t Target) dirPath() string { return filepath.Dir(t.Path) }

// base returns the last element of Path.
func (t Target) base() string { return filepath.Base(t.Path) }

// Lookup finds out what stands at name and what hinders replacing it. It
// follows symbolic links to the file and changes nothing. A name at which there
// is nothing is a target that does not exist. Errors: [ErrDangling],
// [ErrLinkLoop], [ErrLinkOwner], [ErrDirectory], [ErrNotRegular], [ErrNoDirectory], [ErrNoCurrent], [ErrName],
// [ErrChanged] when it is replaced at this very moment, or the operating
// system's. Where this user may not read the file, that is the error, and the target has all but
// its attributes.
func Lookup(fsys FS, name string) (Target, error) {
	place, err := resolve(fsys, name)
	if err != nil {
		return Target{}, &PathError{"look up", name, err}
	}
	target := Target{
		Name: place.asked, Path: filepath.Join(place.dir, place.base), Links: place.links,
		OldPath: filepath.Join(place.dir, place.base+oldSuffix), Self: fsys.Self(),
	}
	dir, err := fsys.OpenDir(place.dir)
	if err != nil {
		return Target{}, &PathError{"look up", name, err}
	}
	defer dir.Close()
	err = target.look(dir)
	if errors.Is(err, fs.ErrPermission) {
		return target, &PathError{"look up", name, err}
	}
	if err != nil {
		return Target{}, &PathError{"look up", name, err}
	}
	return target, nil
}

// look fills in what is found through the directory's handle.
func (t *Target) look(dir Dir) error {
	var err error
	if t.Dir, err = dir.Lstat("."); err != nil {
		return err
	}
	if t.Volume, err = dir.Volume(); err != nil {
		return err
	}
	if err := dir.Access(); err != nil {
		t.DirProblem = err.Error()
	} else {
		t.DirWritable = true
	}
	if t.Old, t.OldExists, err = lstatMaybe(dir, t.base()+oldSuffix); err != nil {
		return err
	}
	if t.File, t.Exists, err = lstatMaybe(dir, t.base()); err != nil || !t.Exists {
		return err
	}
	if err := regular(t.File); err != nil {
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
		return ErrChanged
	}
	t.Attributes, t.NotCarried, err = readAttributes(file, t.File)
	return err
}

// regular returns an error for everything but a regular file.
func regular(info Info) error {
	switch info.Kind {
	case KindFile:
		return nil
	case KindDirectory:
		return ErrDirectory
	}
	return fmt.Errorf("%w: it is a %s", ErrNotRegular, info.Kind)
}

// lstatMaybe is Lstat for an entry that need not exist.
func lstatMaybe(dir Dir, name string) (info Info, exists bool, err error) {
	info, err = dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, false, nil
	}
	return info, err == nil, err
}

// place is where a path leads.
type place struct {
	asked string   // absolute, as asked for
	dir   string   // absolute, without symbolic links
	base  string   // a single element, not a symbolic link
	links []string // the links followed for the last element
}

// resolve follows name to the place of the file: the directory's real path,
// and the last element through its chain of symbolic links. The last element
// need not exist unless a link leads to it.
func resolve(fsys FS, name string) (place, error) {
	asked, err := absolute(name)
	if err != nil {
		return place{}, err
	}
	at := place{asked: asked}
	path := asked
	for {
		dirText, base := splitPath(path)
		if err := checkName(base); err != nil {
			if base == "" || base == "." || base == ".." {
				err = ErrDirectory
			}
			return place{}, err
		}
		real, err := fsys.RealPath(dirText)
		if errors.Is(err, fs.ErrNotExist) {
			if len(at.links) > 0 {
				return place{}, ErrDangling
			}
			return place{}, &noDirectoryError{missingOf(err, dirText)}
		}
		if err != nil {
			return place{}, err
		}
		at.dir, at.base = real, base
		text, isLink, err := readLink(fsys, real, base, len(at.links) > 0)
		if err != nil || !isLink {
			return at, err
		}
		at.links = append(at.links, filepath.Join(real, base))
		if len(at.links) > linksMax {
			return place{}, ErrLinkLoop
		}
		path = text
		if !filepath.IsAbs(text) {
			// Not filepath.Join: it would take "x/.." away although x may be a link.
			path = real + string(filepath.Separator) + text
		}
	}
}

// noDirectoryError names the first directory of a path that is not there. It matches
// [ErrNoDirectory] and fs.ErrNotExist.
type noDirectoryError struct{ path string }

func (e *noDirectoryError) Error() string { return e.path + ": " + ErrNoDirectory.Error() }

func (e *noDirectoryError) Is(target error) bool {
	return target == ErrNoDirectory || target == fs.ErrNotExist
}

// missingOf is the name that the system says is not there.
func missingOf(err error, otherwise string) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Path
	}
	return otherwise
}

// readLink returns the text of a symbolic link at base. Nothing there is an
// error only when a link led here.
func readLink(fsys FS, dirPath, base string, linked bool) (text string, isLink bool, err error) {
	dir, err := fsys.OpenDir(dirPath)
	if err != nil {
		return "", false, err
	}
	defer dir.Close()
	info, exists, err := lstatMaybe(dir, base)
	if err != nil {
		return "", false, err
	}
	if !exists && linked {
		return "", false, ErrDangling
	}
	if info.Kind != KindSymlink {
		return "", false, nil
	}
	// We read links ourselves, which passes by the kernel's own protection.
	in, err := dir.Lstat(".")
	if err == nil && linkOfStranger(in, info, fsys.Self().UID) {
		err = fmt.Errorf("%s: %w (%d)", filepath.Join(dirPath, base), ErrLinkOwner, info.UID)
	}
	if err != nil {
		return "", false, err
	}
	text, err = dir.Readlink(base)
	return text, true, err
}

// linkOfStranger reports whether link may be a trap: in a directory like /tmp
// only links of one's own and of the directory's owner are followed.
func linkOfStranger(dir, link Info, uid int) bool {
	return dir.Mode&0o1002 == 0o1002 && link.UID != uid && link.UID != dir.UID
}

// absolute makes name absolute without taking ".." away, which a lexical
// clean-up does wrongly behind a symbolic link.
func absolute(name string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", ErrName
	}
	if filepath.IsAbs(name) {
		return name, nil
	}
	if filepath.Separator != '/' { // Windows has paths that are neither relative nor absolute
		return filepath.Abs(name)
	}
	wd, err := os.Getwd()
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoCurrent
	}
	if err != nil {
		return "", err
	}
	return wd + string(filepath.Separator) + name, nil
}

// splitPath divides a path before its last element.
func splitPath(path string) (dir, base string) {
	dir, base = filepath.Split(path)
	if len(dir) > 1 && os.IsPathSeparator(dir[len(dir)-1]) && filepath.VolumeName(dir) != dir[:len(dir)-1] {
		dir = strings.TrimRight(dir, string(filepath.Separator))
		if dir == "" {
			dir = string(filepath.Separator)
		}
	}
	return dir, base
}
