package fsatomic_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// mountAgain mounts a directory a second time through FUSE, with nothing of it held by the kernel.
func mountAgain(t *testing.T, source string) string {
	t.Helper()
	needRoot(t)
	bindfs, err := exec.LookPath("bindfs")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	place := t.TempDir()
	server := exec.Command(bindfs, "-f", "-o", "attr_timeout=0,entry_timeout=0", source, place)
	if err := server.Start(); err != nil {
		t.Skipf("skipped: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = unix.Unmount(place, unix.MNT_DETACH)
		_ = server.Process.Kill()
		<-ended
	})
	for range time.Tick(10 * time.Millisecond) {
		var there, here syscall.Stat_t
		if err := errors.Join(syscall.Stat(place, &there), syscall.Stat(source, &here)); err == nil && there.Dev != here.Dev {
			return place
		}
		select {
		case err := <-ended:
			ended <- err
			t.Skipf("skipped: bindfs: %v", err)
		default:
		}
	}
	return ""
}

// mountOverlay mounts an overlay whose lower layer, another file system, is what fill makes.
func mountOverlay(t *testing.T, fill func(lower string)) string {
	t.Helper()
	lower, upper := mountTemp(t, 0, ""), mountTemp(t, 0, "")
	fill(lower)
	for _, name := range []string{"u", "w", "m"} {
		check(t, os.Mkdir(filepath.Join(upper, name), 0o755))
	}
	place := filepath.Join(upper, "m")
	options := "lowerdir=" + lower + ",upperdir=" + filepath.Join(upper, "u") + ",workdir=" + filepath.Join(upper, "w")
	if err := unix.Mount("overlay", place, "overlay", 0, options); err != nil {
		t.Skipf("skipped: no overlay can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(place, unix.MNT_DETACH) })
	return place
}

// TestOtherNumbers replaces files where the numbers, links and times of a file change although
// nobody touches it.
func TestOtherNumbers(t *testing.T) {
	t.Parallel()
	t.Run("FUSE", func(t *testing.T) {
		t.Parallel()
		name := filepath.Join(mountAgain(t, t.TempDir()), "binary")
		for _, contents := range []string{"first", "second", "third"} {
			replace(t, vfs.OS(), name, contents, fsatomic.CommitOptions{})
		}
	})
	for _, links := range []bool{false, true} {
		t.Run("overlay", func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(mountOverlay(t, func(lower string) {
				check(t, os.WriteFile(filepath.Join(lower, "binary"), []byte("first"), 0o755))
				if links {
					check(t, os.Link(filepath.Join(lower, "binary"), filepath.Join(lower, "other")))
				}
			}), "binary")
			replace(t, vfs.OS(), name, "second", fsatomic.CommitOptions{})
			if old, err := os.ReadFile(name + "-old"); err != nil || string(old) != "first" {
				t.Fatalf("the previous file: %q, %v", old, err)
			}
		})
	}
}

// TestTargetIs: the contents and all attributes decide, where they are known, once a number, the links
// or the time of change are others.
func TestTargetIs(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, m *memfs.FS) vfs.File {
		file, err := openDir(t, m).OpenAppend("tigerbeetle")
		check(t, err)
		return file
	}
	tests := []struct {
		name   string
		change func(t *testing.T, m *memfs.FS)
		known  bool
		want   bool
	}{
		{"nothing", func(*testing.T, *memfs.FS) {}, false, true},
		{"a link", func(t *testing.T, m *memfs.FS) { check(t, openDir(t, m).Link("tigerbeetle", "x")) }, true, true},
		{"a link, contents not known", func(t *testing.T, m *memfs.FS) { check(t, openDir(t, m).Link("tigerbeetle", "x")) }, false, false},
		{"another number", func(t *testing.T, m *memfs.FS) {
			check(t, openDir(t, m).Rename("tigerbeetle", "x"))
			check(t, openDir(t, m).Rename("x", "tigerbeetle"))
		}, true, true},
		{"a mode", func(t *testing.T, m *memfs.FS) { check(t, open(t, m).Chmod(0o700)) }, true, false},
		{"an owner", func(t *testing.T, m *memfs.FS) { check(t, open(t, m).Chown(77, -1)) }, true, false},
		{"capabilities", func(t *testing.T, m *memfs.FS) { check(t, open(t, m).RemoveXattr(fsatomic.XattrCapability)) }, true, false},
		{"contents", func(t *testing.T, m *memfs.FS) {
			_, err := open(t, m).Write([]byte("x"))
			check(t, err)
		}, true, false},
	}
	for _, test := range tests {
		m := scenario{exists: true}.setUp(t, memfs.Options{CopyUp: true})
		m.Lower()
		target, err := fsatomic.Lookup(m, testName)
		check(t, err)
		if test.known {
			target.SHA256 = sumOf(contentsOld)
		}
		test.change(t, m)
		if same, err := target.Is(open(t, m)); err != nil || same != test.want {
			t.Errorf("%s: %v, %v", test.name, same, err)
		}
	}
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	target.SHA256 = sumOf(contentsOlder)
	check(t, openDir(t, m).Link("tigerbeetle", "x"))
	if same, err := target.Is(open(t, m)); err != nil || same {
		t.Errorf("other contents: %v, %v", same, err)
	}
}

// TestReadBackHolds: of what is read back the owner, mode and size count, and what it was given.
func TestReadBackHolds(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	tests := []struct {
		name  string
		alter func(info *vfs.Info)
		want  error
	}{
		{"nothing", func(*vfs.Info) {}, nil},
		{"number", func(info *vfs.Info) { info.Inode++ }, nil},
		{"links", func(info *vfs.Info) { info.Links++ }, nil},
		{"times", func(info *vfs.Info) {
			info.Changed, info.Modified = info.Changed.Add(1), info.Modified.Add(1)
		}, nil},
		{"mode", func(info *vfs.Info) { info.Mode = 0o700 }, fsatomic.ErrChanged},
		{"owner", func(info *vfs.Info) { info.UID++ }, fsatomic.ErrChanged},
		{"group", func(info *vfs.Info) { info.GID++ }, fsatomic.ErrChanged},
		{"size", func(info *vfs.Info) { info.Size++ }, fsatomic.ErrChanged},
		{"kind", func(info *vfs.Info) { info.Kind = vfs.KindPipe }, fsatomic.ErrChanged},
	}
	for _, test := range tests {
		committed := fsatomic.Committed{Path: testName, File: target.File}
		test.alter(&committed.File)
		installed, err := fsatomic.ReadBack(m, committed)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		check(t, installed.Holds(testAttributes()))
		check(t, installed.Holds(fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: testAttributes().Mode}))
		wanted := testAttributes()
		wanted.Xattrs[fsatomic.XattrCapability] = []byte("others")
		var failed *fsatomic.AttributeError
		if err := installed.Holds(wanted); !errors.As(err, &failed) || failed.Attribute != fsatomic.XattrCapability {
			t.Errorf("%s: %v", test.name, err)
		}
		check(t, installed.Close())
	}
}
