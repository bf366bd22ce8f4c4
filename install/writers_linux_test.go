package install_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/vfs"
)

// TestHostRollbackMapped is TestRollbackFresh with a mapping of the installed file that its owner keeps open across an
// installation and the way back, on the real file system.
func TestHostRollbackMapped(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives files away")
	}
	b := files(t)
	dir := t.TempDir()
	check(t, os.Chown(dir, service, service))
	name := filepath.Join(dir, "tigerbeetle")
	check(t, os.WriteFile(name, b.old, 0o755))
	check(t, os.Chown(name, service, service))

	file, err := os.OpenFile(name, os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	mapped, err := unix.Mmap(int(file.Fd()), 0, len(b.old), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(t, err)
	defer func() { check(t, unix.Munmap(mapped)) }()

	in := &install.Installer{FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}}
	r := install.Request{Target: name, Source: "test", Host: host}
	_, err = in.Install(t.Context(), r, fetchOf(b.new, nil))
	check(t, err)
	r.Fit = stopped("0.17.8")
	outcome, err := in.Rollback(t.Context(), r)
	check(t, err)
	if outcome.Result != install.ResultRolledBack {
		t.Fatal(outcome.Result)
	}
	mapped[len(mapped)-1] ^= 1
	check(t, unix.Msync(mapped, unix.MS_SYNC))
	now, err := os.ReadFile(name)
	check(t, err)
	if !bytes.Equal(now, b.old) {
		t.Error("the mapping of the displaced file changes the one that was put back")
	}
	info, err := os.Stat(name)
	check(t, err)
	if kept, err := file.Stat(); err != nil || os.SameFile(info, kept) {
		t.Errorf("it is the displaced file: %v", err)
	}
}

// TestHostRollbackFull is TestRollbackFull on a real file system. INSTALL_FULL names a directory of another one that may
// be filled.
func TestHostRollbackFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a file system of its own")
	}
	b := files(t)
	dir := os.Getenv("INSTALL_FULL")
	if dir == "" {
		dir = t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
			t.Skipf("needs a file system of its own: mount: %v", err)
		}
		t.Cleanup(func() { check(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	}
	name := filepath.Join(dir, "tigerbeetle")
	in := &install.Installer{FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: filepath.Join(dir, "state")}}
	r := install.Request{Target: name, Source: "test", Host: host}
	for _, data := range [][]byte{b.old, b.new} {
		_, err := in.Install(t.Context(), r, fetchOf(data, nil))
		check(t, err)
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	check(t, err)
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = ballast.Write(make([]byte, size))
		}
	}
	_, _ = ballast.Sync(), ballast.Close() // it is full either way
	r.Fit = stopped("0.17.8")
	for _, again := range []bool{false, true, false} {
		r.Again = again
		outcome, err := in.Rollback(t.Context(), r)
		if err != nil || outcome.Result != install.ResultRolledBack || warns(outcome, name) {
			t.Fatalf("again %v: %v, %s, %q", again, err, outcome.Result, outcome.Plan.Warnings)
		}
	}
}
