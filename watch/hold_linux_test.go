package watch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// A directory that is held is watched whatever its name leads to later, and none is held through another process's files.
func TestHold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, letGo, err := hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer letGo()
	if err := errors.Join(os.Rename(dir, dir+"-away"), os.Symlink("/proc/self/root", dir)); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(name); err != nil || !os.SameFile(before, after) {
		t.Errorf("%s leads elsewhere: %v", name, err)
	}
	if _, _, err := hold(dir); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("through a link of /proc: %v", err)
	}
}
