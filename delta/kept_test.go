package delta

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestKeptMax holds that no more is kept than may be, and what is not of its kind stays.
func TestKeptMax(t *testing.T) {
	t.Parallel()
	kept := &Kept{vfs.OS(), t.TempDir()}
	other := filepath.Join(kept.Dir, "notes")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for number := range keptMax + 3 {
		kept.put(fmt.Sprintf("%03d", number), []byte{byte(number)})
	}
	entries, err := os.ReadDir(kept.Dir)
	if _, there := os.Stat(other); err != nil || there != nil || len(entries) != keptMax+1 {
		t.Errorf("%d: %v", len(entries), err)
	}
	if got := kept.get(fmt.Sprintf("%03d", keptMax+2)); !bytes.Equal(got, []byte{keptMax + 2}) {
		t.Errorf("%v", got)
	}
	if got := kept.get("000"); got != nil {
		t.Errorf("the oldest is there: %v", got)
	}
}
