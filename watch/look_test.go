package watch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What is read is the file that was looked at, and not one that was put in its place meanwhile.
func TestReadExchanged(t *testing.T) {
	t.Parallel()
	path, other := filepath.Join(t.TempDir(), "tigerbeetle"), filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(path, []byte("one"), 0o755), os.WriteFile(other, []byte("longer"), 0o755)); err != nil {
		t.Fatal(err)
	}
	facts := func() Facts {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return factsOf(info)
	}
	before := facts()
	if before.Size == 0 || before.Device != before.Dev || before.Inode != before.Ino || before.Links != before.Nlink || !before.Modified.Equal(before.Mtime) || !before.Changed.Equal(before.Ctime) {
		t.Errorf("%+v", before)
	}
	if _, err := read(t.Context(), path, before); err == nil || errors.Is(err, errExchanged) {
		t.Errorf("of the same file: %v", err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t.Context(), path, before); !errors.Is(err, errExchanged) {
		t.Errorf("of another file: %v", err)
	}
	if _, err := read(t.Context(), path, facts()); err == nil || errors.Is(err, errExchanged) {
		t.Errorf("after another look: %v", err)
	}
}
