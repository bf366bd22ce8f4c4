package fsatomic

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/vfs"
)

// Check returns every problem that replacing the target with a file of size
// bytes and the attributes attrs would meet, as far as it can be known without
// changing anything; none means nil. The errors match [vfs.ErrReadOnly],
// [ErrNoExec], [ErrImmutable], [ErrDirNotWritable], [ErrSticky],
// [ErrMountPoint], [vfs.ErrNoSpace] (a [vfs.SpaceError]), [ErrNoInodes], [ErrOwner],
// [ErrUnmapped], [ErrAttribute] (an [AttributeError]), [ErrOldKind], [ErrLongName], [ErrKept] or [ErrSystem].
// Other hard links to the file are no problem for the swap: they keep the
// previous file, see [vfs.Info].Links.
func (t Target) Check(size int64, attrs Attributes) []error {
	var problems []error
	add := func(path string, err error) {
		problems = append(problems, &fs.PathError{Op: "replace", Path: path, Err: err})
	}
	if t.Dir.Inode == 0 {
		add(t.Path, ErrSystem)
	}
	if t.Volume.NoExec && attrs.Mode&0o111 != 0 {
		add(t.dirPath(), ErrNoExec)
	}
	if t.KeptFor != "" {
		add(t.Path, fmt.Errorf("%w: %s", ErrKept, t.KeptFor))
	}
	if size, most := len(t.base()), vfs.NameSizeMax-len(oldSuffix); size > most {
		add(t.Path, fmt.Errorf("%w: it has %d bytes, and may have %d, since the previous file is kept as %s", ErrLongName, size, most, "NAME"+oldSuffix))
	}
	problems = append(problems, t.checkDir()...)
	problems = append(problems, t.checkEntries()...)
	if t.Volume.FreeBytes < size {
		problems = append(problems, &vfs.SpaceError{Path: t.dirPath(), Need: size, Have: t.Volume.FreeBytes})
	}
	if free := t.Volume.FreeInodes; free >= 0 && free < t.inodesNeeded() {
		add(t.dirPath(), ErrNoInodes)
	}
	return append(problems, t.checkAttributes(attrs)...)
}

// inodesNeeded is how many files a replacement makes at the same time: the staged one, the state that
// takes the place of the one before, and the lock where there is none yet.
func (t Target) inodesNeeded() int64 {
	if t.lock.Kind == "" {
		return 3
	}
	return 2
}

// checkDir finds what hinders changes in the directory as such. A reason that
// explains another is named alone.
func (t Target) checkDir() []error {
	dir := t.dirPath()
	switch {
	case t.Volume.ReadOnly:
		return []error{&fs.PathError{Op: "replace", Path: dir, Err: vfs.ErrReadOnly}}
	case t.Dir.Immutable || t.Dir.AppendOnly:
		return []error{&fs.PathError{Op: "replace", Path: dir, Err: ErrImmutable}}
	case !t.DirWritable:
		return []error{&fs.PathError{Op: "replace", Path: dir, Err: fmt.Errorf("%w: %s", ErrDirNotWritable, t.DirProblem)}}
	}
	return nil
}

// checkEntries finds what keeps the file, the previous one, and what is kept beside them from being
// replaced.
func (t Target) checkEntries() []error {
	var problems []error
	refuse := func(path string, err error) {
		problems = append(problems, &fs.PathError{Op: "replace", Path: path, Err: err})
	}
	entry := func(path string, info vfs.Info) {
		for _, err := range entryProblems(info, t.Dir, t.Self) {
			refuse(path, err)
		}
	}
	if t.Exists {
		entry(t.Path, t.File)
	}
	switch {
	case t.OldExists && t.Old.Kind != vfs.KindFile:
		refuse(t.OldPath, fmt.Errorf("%w: it is a %s", ErrOldKind, t.Old.Kind))
	case t.OldExists:
		entry(t.OldPath, t.Old)
	}
	switch t.state.Kind {
	case "":
	case vfs.KindDirectory: // anything else is replaced
		refuse(t.StatePath(), ErrStateKind)
	default:
		entry(t.StatePath(), t.state)
	}
	if t.lock.Kind != "" {
		err := checkLock(t.lock)
		if err == nil && !mayOpen(t.lock, t.Self) {
			err = fs.ErrPermission
		}
		if err != nil {
			problems = append(problems, &fs.PathError{Op: "lock", Path: filepath.Join(t.dirPath(), lockName(t.base())), Err: err})
		}
	}
	return problems
}

// mayOpen says whether an ordinary user may open a file for reading, as far as its mode tells: more
// rights than that are root's.
func mayOpen(info vfs.Info, self vfs.Self) bool {
	switch {
	case self.UID == 0 || self.UID == info.UID:
		return true
	case self.InGroup(info.GID):
		return info.Mode&0o040 != 0
	}
	return info.Mode&0o004 != 0
}

// entryProblems are what keeps an entry of a directory from being replaced, renamed or removed.
func entryProblems(info, dir vfs.Info, self vfs.Self) []error {
	var problems []error
	if info.Immutable || info.AppendOnly {
		problems = append(problems, ErrImmutable)
	}
	if info.MountPoint {
		problems = append(problems, ErrMountPoint)
	}
	if dir.Mode&0o1000 != 0 && self.UID != dir.UID && !self.MayAct(info.UID, info.GID) {
		problems = append(problems, ErrSticky)
	}
	return problems
}

// checkAttributes finds the attributes that this process cannot give.
func (t Target) checkAttributes(attrs Attributes) []error {
	problems := t.checkUnmapped(attrs)
	refuse := func(attribute, why string) {
		problems = append(problems, &AttributeError{t.Path, attribute, errors.New(why)})
	}
	self := t.Self
	if attrs.Mode&^vfs.ModeMax != 0 {
		refuse(AttributeMode, "not a file mode")
	}
	if !self.Chown && problems == nil {
		if attrs.UID != OwnerUnchanged && attrs.UID != self.UID {
			refuse(AttributeOwner, fmt.Sprintf("user %d cannot give files to user %d", self.UID, attrs.UID))
		} else if attrs.GID != OwnerUnchanged && !self.InGroup(attrs.GID) && attrs.GID != t.inheritedGID() {
			refuse(AttributeOwner, fmt.Sprintf("user %d is not in group %d", self.UID, attrs.GID))
		}
	}
	for _, name := range attrs.xattrOrder() {
		switch {
		case !carried(name):
			refuse(name, "is not one that is carried over")
		case !t.Volume.Xattrs:
			refuse(name, "the file system has no extended attributes")
		case len(attrs.Xattrs[name]) > vfs.XattrSizeMax:
			refuse(name, "value is too large")
		case name == XattrCapability && !self.SetFCaps:
			refuse(name, "needs root or CAP_SETFCAP")
		case name == XattrSELinux && !self.Security:
			refuse(name, "needs root or CAP_SYS_ADMIN")
		case strings.HasPrefix(name, XattrUserPrefix) && attrs.UID != OwnerUnchanged && attrs.UID != self.UID && !self.AnyFile:
			refuse(name, "the file will belong to someone else")
		}
	}
	return problems
}

// checkUnmapped finds an owner who does not exist in this process's user namespace.
func (t Target) checkUnmapped(attrs Attributes) []error {
	missing := func(what string, id int, of vfs.IDMap) string {
		if id == OwnerUnchanged || of.Has(id) {
			return ""
		}
		return fmt.Sprintf("%s %d", what, id)
	}
	user, group := missing("user", attrs.UID, t.Self.Users), missing("group", attrs.GID, t.Self.UserGroups)
	switch {
	case user == "" && group == "":
		return nil
	case user != "" && group != "":
		return []error{t.unmapped(user + ", " + group)}
	}
	return []error{t.unmapped(user + group)}
}

func (t Target) unmapped(who string) error {
	return &AttributeError{t.Path, AttributeOwner, fmt.Errorf("%s: %w", who, ErrUnmapped)}
}

// CheckOwner returns the problem that the owner of the file that is there cannot be
// taken over, since it does not exist in this process's user namespace or may be one of
// those: they all show one number, which may exist, and would be another's. keepUser and
// keepGroup say which is to be taken over. None means nil.
func (t Target) CheckOwner(keepUser, keepGroup bool) []error {
	user := keepUser && t.Exists && t.Self.Users.Hides(t.File.UID)
	group := keepGroup && t.Exists && t.Self.UserGroups.Hides(t.File.GID)
	who := ""
	switch {
	case user && group:
		who = "its owner and group"
	case user:
		who = "its owner"
	case group:
		who = "its group"
	default:
		return nil
	}
	return []error{t.unmapped(fmt.Sprintf("%s, shown as %d:%d", who, t.File.UID, t.File.GID))}
}

// inheritedGID is the group that a new file gets.
func (t Target) inheritedGID() int {
	if t.Dir.Mode&0o2000 != 0 {
		return t.Dir.GID
	}
	return t.Self.GID
}
