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

func TestPartialOS(t *testing.T) {
	t.Parallel()
	fsys, dir := vfs.OS(), t.TempDir()
	name := filepath.Join(dir, "download")
	p, err := durable.OpenPartial(fsys, name)
	check(t, err)
	if _, err := durable.OpenPartial(fsys, name); !errors.Is(err, durable.ErrBusy) {
		t.Fatalf("error %v, want busy", err)
	}
	check(t, writeString("hello wrong")(p))
	check(t, p.Close())
	check(t, p.Close())

	p, err = durable.OpenPartial(fsys, name)
	check(t, err)
	if p.Size() != 11 {
		t.Fatalf("size %d", p.Size())
	}
	if err := p.Truncate(12); !errors.Is(err, fs.ErrInvalid) {
		t.Fatalf("error %v", err)
	}
	check(t, p.Truncate(6))
	check(t, writeString("world")(p))
	check(t, p.Sync())
	check(t, os.WriteFile(filepath.Join(dir, "taken"), nil, 0o644))
	if err := p.Publish("taken", 0o755, false); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("error %v", err)
	}
	if err := p.Publish("../taken", 0o755, true); !errors.Is(err, vfs.ErrName) {
		t.Fatalf("error %v", err)
	}
	check(t, p.Publish("taken", 0o755, true))
	contents, err := os.ReadFile(filepath.Join(dir, "taken"))
	if err != nil || string(contents) != "hello world" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	if err := p.Publish("again", 0o755, true); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("error %v", err)
	}

	p, err = durable.OpenPartial(fsys, name)
	check(t, err)
	check(t, p.Remove())
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	check(t, os.Link(filepath.Join(dir, "taken"), name))
	if _, err := durable.OpenPartial(fsys, name); !errors.Is(err, vfs.ErrNotRegular) {
		t.Fatalf("error %v", err)
	}
}

// TestPartialSync: a failed fsync is final.
func TestPartialSync(t *testing.T) {
	t.Parallel()
	m := newFS(t, memfs.Options{})
	p, err := durable.OpenPartial(m, testName)
	check(t, err)
	check(t, writeString("data")(p))
	m.FailAt(1, errInjected)
	var failed *durable.SyncError
	if err := p.Sync(); !errors.As(err, &failed) || failed.Swapped {
		t.Fatalf("error %v", err)
	}
	if err := p.Publish("done", 0o644, false); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	if _, exists := contentsOf(t, m, testDir+"/done"); exists {
		t.Fatal("published")
	}
}
