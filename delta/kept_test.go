package delta

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestKeptMax holds that no more is kept than may be, and what is not of its kind stays.
func TestKeptMax(t *testing.T) {
	t.Parallel()
	kept := &Kept{FS: vfs.OS(), Dir: t.TempDir()}
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

// TestKeptSpare holds that nothing is kept where that would leave too little free.
func TestKeptSpare(t *testing.T) {
	t.Parallel()
	kept := &Kept{FS: memfs.New(memfs.Options{FreeBytes: 1 << 20}), Dir: "/deltas", Spare: 1 << 19}
	body := make([]byte, 1<<18)
	kept.put("one", body)
	kept.put("two", body)
	if kept.get("one") == nil {
		t.Error("there was room, and nothing is kept")
	}
	if kept.get("two") != nil {
		t.Error("it is kept, and leaves less free than it should")
	}
}
