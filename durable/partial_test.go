package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
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
	check(t, p.Close())
	contents, err := os.ReadFile(name)
	if err != nil || string(contents) != "hello world" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	p, err = durable.OpenPartial(fsys, name)
	check(t, err)
	check(t, p.Remove())
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	check(t, errors.Join(os.WriteFile(filepath.Join(dir, "other"), nil, 0o600), os.Link(filepath.Join(dir, "other"), name)))
	if _, err := durable.OpenPartial(fsys, name); !errors.Is(err, vfs.ErrNotRegular) {
		t.Fatalf("error %v", err)
	}
}
