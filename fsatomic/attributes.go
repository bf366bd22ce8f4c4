package fsatomic

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/vfs"
)

// The extended attributes that are carried over, besides those that begin
// with [XattrUserPrefix].
const (
	XattrACL        = "system.posix_acl_access"
	XattrCapability = "security.capability"
	XattrSELinux    = "security.selinux"
	XattrUserPrefix = "user."
)

// OwnerUnchanged as an owner or group leaves it as it is.
const OwnerUnchanged = -1

// Attributes is what a file has besides its contents and its name, as far as
// it is carried over to the file that replaces it.
type Attributes struct {
	UID    int               `json:"uid"` // [OwnerUnchanged]: the process's
	GID    int               `json:"gid"` // [OwnerUnchanged]: the process's or the directory's
	Mode   vfs.Mode          `json:"mode"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
}

// carried reports whether an extended attribute is carried over. The others
// are bound to the contents of the file (security.ima, security.evm) or belong
// to the file system itself (trusted.overlay).
func carried(name string) bool {
	return name == XattrACL || name == XattrCapability || name == XattrSELinux ||
		strings.HasPrefix(name, XattrUserPrefix)
}

// readAttributes returns the attributes of a file and the names of those that
// are not carried over.
func readAttributes(file vfs.File, info vfs.Info) (Attributes, []string, error) {
	attrs := Attributes{UID: info.UID, GID: info.GID, Mode: info.Mode}
	names, err := file.Xattrs()
	if errors.Is(err, vfs.ErrNotSupported) {
		return attrs, nil, nil
	}
	if err != nil {
		return Attributes{}, nil, err
	}
	var left []string
	for _, name := range names {
		if !carried(name) {
			left = append(left, name)
			continue
		}
		value, err := file.Xattr(name)
		if err != nil {
			return Attributes{}, nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		if attrs.Xattrs == nil {
			attrs.Xattrs = make(map[string][]byte)
		}
		attrs.Xattrs[name] = value
	}
	return attrs, left, nil
}

// xattrOrder returns the attributes in the order in which they are set: the
// ACL belongs to the mode, changing the owner or mode later would take the
// capabilities away, and the label may take away the right to set anything.
func (a Attributes) xattrOrder() []string {
	rank := func(name string) int {
		return slices.Index([]string{XattrACL, XattrCapability, XattrSELinux}, name)
	}
	first, rest := []string{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(a.Xattrs)) {
		if rank(name) >= 0 {
			first = append(first, name)
		} else {
			rest = append(rest, name)
		}
	}
	slices.SortFunc(first, func(x, y string) int { return rank(x) - rank(y) })
	return append(first, rest...)
}

// setAttributes gives file exactly these attributes, reads each of them back,
// and returns an [AttributeError] for the first that did not hold. An ACL that
// the file inherited from its directory is removed when attrs has none. A label
// that the system gave stays when attrs has none.
func setAttributes(file vfs.File, path string, attrs Attributes) error {
	info, err := file.Stat()
	if err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	uid, gid := attrs.UID, attrs.GID
	if uid == OwnerUnchanged {
		uid = info.UID
	}
	if gid == OwnerUnchanged {
		gid = info.GID
	}
	if info.UID != uid || info.GID != gid {
		err := file.Chown(uid, gid)
		if errors.Is(err, syscall.EINVAL) { // how a kernel says it
			err = fmt.Errorf("%d:%d: %w", uid, gid, ErrUnmapped)
		}
		if err != nil {
			return &AttributeError{path, AttributeOwner, err}
		}
	}
	if err := dropInheritedACL(file, path, attrs); err != nil {
		return err
	}
	if err := chmod(file, attrs.Mode); err != nil {
		return &AttributeError{path, AttributeMode, err}
	}
	for _, name := range attrs.xattrOrder() {
		if value, err := file.Xattr(name); err == nil && sameXattr(name, value, attrs.Xattrs[name]) {
			continue // an equal default: setting a label may need rights that are not needed here
		}
		if err := file.SetXattr(name, attrs.Xattrs[name]); err != nil {
			return &AttributeError{path, name, err}
		}
	}
	attrs.UID, attrs.GID = uid, gid
	return compareAttributes(file, path, attrs)
}

// chmod sets a mode. A refusal counts for nothing where the file has that mode already,
// as every file has on a file system without modes. Otherwise it is a [ModeError].
func chmod(file vfs.File, mode vfs.Mode) error {
	err := file.Chmod(mode)
	if !vfs.ModeRefused(err) {
		return err
	}
	info, statErr := file.Stat()
	switch {
	case statErr != nil:
		return err
	case info.Mode == mode:
		return nil
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok { // the path is that of a staged file, and tells the user nothing
		err = path.Err
	}
	return &ModeError{Want: mode, Got: info.Mode, Err: err}
}

// dropInheritedACL removes an access ACL that came from the directory's
// default, before the mode opens it.
func dropInheritedACL(file vfs.File, path string, attrs Attributes) error {
	if _, wanted := attrs.Xattrs[XattrACL]; wanted {
		return nil
	}
	_, err := file.Xattr(XattrACL)
	if err == nil {
		err = file.RemoveXattr(XattrACL)
	}
	if err != nil && !errors.Is(err, vfs.ErrNoXattr) && !errors.Is(err, vfs.ErrNotSupported) {
		return &AttributeError{path, XattrACL, err}
	}
	return nil
}

// errNotHeld says that the system took a change and did not keep it.
var errNotHeld = errors.New("reads back differently")

// compareAttributes reads everything back through the descriptor.
func compareAttributes(file vfs.File, path string, attrs Attributes) error {
	info, err := file.Stat()
	if err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if info.UID != attrs.UID || info.GID != attrs.GID {
		return &AttributeError{path, AttributeOwner, fmt.Errorf("%w: want %d:%d, got %d:%d",
			errNotHeld, attrs.UID, attrs.GID, info.UID, info.GID)}
	}
	if info.Mode != attrs.Mode {
		return &AttributeError{path, AttributeMode, &ModeError{Want: attrs.Mode, Got: info.Mode, Err: errNotHeld}}
	}
	for _, name := range attrs.xattrOrder() {
		value, err := file.Xattr(name)
		if err != nil {
			return &AttributeError{path, name, err}
		}
		if !sameXattr(name, value, attrs.Xattrs[name]) {
			return &AttributeError{path, name, errNotHeld}
		}
	}
	return nil
}

// sameXattr compares values. A label may or may not come with its final NUL.
func sameXattr(name string, a, b []byte) bool {
	if name == XattrSELinux {
		a, b = bytes.TrimSuffix(a, []byte{0}), bytes.TrimSuffix(b, []byte{0})
	}
	return bytes.Equal(a, b)
}
