package fsatomic

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/tbctl/tbctl/vfs"
)

// Is reports whether an open file is the one that was looked up, with nothing of it changed. A number,
// a link count and a change time that are others do not mean another file: a file system may number a file
// again when it has forgotten it, and overlayfs gives one of a lower layer all three when it is first
// changed, which a rename does. Then the contents decide, if the caller has read them, and the attributes.
func (t Target) Is(file vfs.File) (bool, error) {
	info, err := file.Stat()
	if err != nil || info.Unchanged(t.File) {
		return err == nil, err
	}
	if t.SHA256 == "" || !info.Alike(t.File) {
		return false, nil
	}
	attrs, _, err := readAttributes(file, info)
	if err != nil || !attrs.equal(t.Attributes) {
		return false, err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(file, 0, info.Size)); err != nil {
		return false, err
	}
	return hex.EncodeToString(hash.Sum(nil)) == t.SHA256, nil
}

// isTarget is [Target.Is] for a name. What cannot be read is not the target.
func (w *swap) isTarget(name string) bool {
	if w.target.SHA256 == "" {
		return false
	}
	file, err := w.lock.dir.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	same, err := w.target.Is(file)
	return err == nil && same
}
