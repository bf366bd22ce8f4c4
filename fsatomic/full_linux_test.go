package fsatomic_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// fill writes until there is no room, as nobody who respects what others hold could.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	check(t, err)
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if err := file.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestHostStateFull is TestStateFull on a real file system. FSATOMIC_FULL names a directory of another one that
// may be filled.
func TestHostStateFull(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := os.Getenv("FSATOMIC_FULL")
	if dir == "" {
		dir = t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
			t.Skipf("needs a file system of its own: mount: %v", err)
		}
		t.Cleanup(func() { check(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	}
	name := filepath.Join(dir, "binary")
	check(t, os.WriteFile(name, []byte("old"), 0o755))
	lock, target := lockTarget(t, vfs.OS(), name)
	check(t, lock.WriteState([]byte("before")))
	check(t, lock.Sync())
	fill(t, filepath.Join(dir, "ballast"))
	if file, err := os.Create(filepath.Join(dir, "probe")); err == nil {
		if _, err = io.WriteString(file, strings.Repeat("x", 4096)); err == nil {
			err = file.Sync()
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("it is not full: %v", err)
		}
		check(t, errors.Join(file.Close(), os.Remove(file.Name())))
	}
	for _, digit := range "123" {
		want := strings.Repeat(string(digit), 5000)
		check(t, lock.WriteState([]byte(want)))
		check(t, lock.Sync())
		if text, _, err := fsatomic.ReadState(vfs.OS(), target); string(text) != want || err != nil {
			t.Fatalf("%.10q, %v", text, err)
		}
	}
}
