package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

func TestDirectories(t *testing.T) {
	t.Parallel()
	fsys, root := vfs.OS(), t.TempDir()
	name := filepath.Join(root, "a", "b", "c")
	check(t, durable.MkdirAll(fsys, name, 0o751))
	check(t, durable.MkdirAll(fsys, name, 0o700))
	info, err := os.Stat(filepath.Dir(name))
	check(t, err)
	if info.Mode().Perm() != 0o751 {
		t.Fatalf("mode %s", info.Mode())
	}
	check(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o644))
	if err := durable.MkdirAll(fsys, filepath.Join(root, "file", "x"), 0o755); err == nil {
		t.Fatal("made a directory in a file")
	}
}

// TestMkdirAllBehindLinks: ".." behind a symbolic link is the other directory's parent,
// and what is no directory is none.
func TestMkdirAllBehindLinks(t *testing.T) {
	t.Parallel()
	fsys, root := vfs.OS(), t.TempDir()
	check(t, os.MkdirAll(filepath.Join(root, "real", "sub"), 0o755))
	check(t, os.Symlink("real/sub", filepath.Join(root, "link")))
	check(t, durable.MkdirAll(fsys, root+"/link/../pages/", 0o755))
	if info, err := os.Stat(filepath.Join(root, "real", "pages")); err != nil || !info.IsDir() {
		t.Errorf("real/pages: %v, %v", info, err)
	}
	if _, err := os.Lstat(filepath.Join(root, "pages")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pages: %v", err)
	}
	check(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	check(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o644))
	for _, name := range []string{"dangling", "dangling/below", "file", "file/below"} {
		if err := durable.MkdirAll(fsys, filepath.Join(root, name), 0o755); err == nil {
			t.Errorf("%s is no directory", name)
		}
	}
}

// TestMkdirAllWhateverTheUmask requires each new directory to have exactly the mode, and one
// that was there to keep its own.
func TestMkdirAllWhateverTheUmask(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{Umask: 0o077})
	check(t, m.Make("/var", vfs.KindDirectory, 0o711))
	check(t, durable.MkdirAll(m, "/var/lib/tbctl", 0o755))
	for name, want := range map[string]vfs.Mode{"/var": 0o711, "/var/lib": 0o755, "/var/lib/tbctl": 0o755} {
		dir, err := m.OpenDir(name)
		check(t, err)
		if info, err := dir.Lstat("."); err != nil || info.Mode != want {
			t.Errorf("%s has mode %s, want %s: %v", name, info.Mode, want, err)
		}
	}
}
