package fsatomic_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// TestHostLinkOwner is TestLinkOwner on the real file system.
func TestHostLinkOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes links of another user")
	}
	base := t.TempDir()
	open, real := filepath.Join(base, "open"), filepath.Join(base, "real")
	for _, dir := range []string{open, real} {
		check(t, os.Mkdir(dir, 0o755))
	}
	check(t, os.Chmod(open, os.ModeSticky|0o777))
	check(t, os.WriteFile(filepath.Join(real, "file"), []byte("contents"), 0o755))
	for _, link := range [][2]string{{"../real/file", "file"}, {real, "dir"}} {
		check(t, os.Symlink(link[0], filepath.Join(open, link[1])))
	}
	names := []string{filepath.Join(open, "file"), filepath.Join(open, "dir", "file"), open + "/dir/../real/file"}
	want := filepath.Join(real, "file")
	for _, owner := range []int{0, 12345} {
		for _, link := range []string{"file", "dir"} {
			check(t, os.Lchown(filepath.Join(open, link), owner, owner))
		}
		for _, name := range names {
			target, err := fsatomic.Lookup(vfs.OS(), name)
			if owner == 0 && (err != nil || target.Path != want) {
				t.Errorf("own link %s leads to %s, %v", name, target.Path, err)
			}
			if owner != 0 && !errors.Is(err, vfs.ErrLinkOwner) {
				t.Errorf("a stranger's link %s was followed: %v", name, err)
			}
		}
	}
}

// TestSwapBackLinux: on real file systems the file put back has exactly what the
// displaced one had.
func TestSwapBackLinux(t *testing.T) {
	t.Parallel()
	needRoot(t)
	want := map[string][]byte{fsatomic.XattrCapability: rawCapability, "user.note": []byte("keep")}
	for where, dir := range directories(t) {
		t.Run(where, func(t *testing.T) {
			name := filepath.Join(dir, "back")
			for _, file := range []string{name, name + "-old"} {
				check(t, os.WriteFile(file, []byte(file), 0o755))
			}
			check(t, os.Chown(name, 12, 34))
			check(t, os.Chmod(name, 0o750))
			for attribute, value := range want {
				setRaw(t, name, attribute, value)
			}
			setRaw(t, name+"-old", fsatomic.XattrACL, rawACL)
			setRaw(t, name+"-old", "user.other", []byte("drop"))
			lock, target := lockTarget(t, vfs.OS(), name)
			committed, err := fsatomic.SwapBack(t.Context(), lock, target)
			check(t, err)
			after, err := fsatomic.Lookup(vfs.OS(), name)
			check(t, err)
			got := after.Attributes
			if !after.File.SameFile(target.Old) || !after.File.Unchanged(committed.File) ||
				got.UID != 12 || got.GID != 34 || got.Mode != 0o750 || !maps.EqualFunc(got.Xattrs, want, bytes.Equal) {
				t.Fatalf("attributes %+v, want %+v", got, want)
			}
		})
	}
}
