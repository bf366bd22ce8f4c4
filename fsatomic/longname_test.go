package fsatomic_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// TestLongName: no file is put where its previous one could not be kept and put back.
func TestLongName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for size, long := range map[int]bool{196: false, 197: true, 200: true} {
		target, err := fsatomic.Lookup(vfs.OS(), filepath.Join(dir, strings.Repeat("n", size)))
		if err != nil {
			t.Fatal(err)
		}
		problems := target.Check(0, fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: 0o755})
		refused := slices.ContainsFunc(problems, func(err error) bool {
			return errors.Is(err, fsatomic.ErrLongName) && fault.Of(err) == fault.Refused && strings.Contains(err.Error(), "may have 196")
		})
		if refused != long {
			t.Errorf("a name of %d bytes: %v", size, problems)
		}
		if _, err := fsatomic.Lookup(vfs.OS(), target.OldPath); !long && err != nil {
			t.Errorf("the previous file of a name of %d bytes: %v", size, err)
		}
	}
}
