//go:build linux

package torture

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// fileSystem is one that a disk can have.
type fileSystem struct {
	name    string
	size    int64 // bytes of the disk
	mkfs    []string
	options string
	twice   string // options to mount a copy while the original is mounted, or notTwice
}

// notTwice says that a copy cannot be mounted while the original is.
const notTwice = "-"

// fileSystems are those on which the power is cut. With auto_da_alloc, ext4 would
// hide a missing fsync of the file; with a short commit interval, one of the directory.
func fileSystems() []fileSystem {
	return []fileSystem{
		{"ext4", 24 << 20, []string{"mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"}, "noauto_da_alloc,commit=300", ""},
		{"xfs", 320 << 20, []string{"mkfs.xfs", "-q", "-f"}, "", "nouuid"},
		{"btrfs", 128 << 20, []string{"mkfs.btrfs", "-q", "-f", "--mixed"}, "commit=300", notTwice},
	}
}

// mountTwice are the options to mount a copy.
func (s fileSystem) mountTwice() string {
	if s.twice == notTwice {
		return ""
	}
	return s.twice
}

// disk is a file that a file system is mounted from.
type disk struct {
	system fileSystem
	image  string
	dir    string
	up     bool
}

// newDisk makes and mounts a disk, or skips the test and says why.
func newDisk(t *testing.T, system fileSystem) *disk {
	t.Helper()
	needRoot(t)
	needTool(t, system.mkfs[0], "mount", "umount", "losetup")
	base := t.TempDir()
	d := &disk{system: system, image: filepath.Join(base, "image"), dir: filepath.Join(base, "disk")}
	check(t, os.Mkdir(d.dir, 0o755))
	image, err := os.Create(d.image)
	check(t, err)
	check(t, image.Truncate(system.size))
	check(t, image.Close())
	args := append(system.mkfs[1:len(system.mkfs):len(system.mkfs)], d.image)
	if output, err := exec.Command(system.mkfs[0], args...).CombinedOutput(); err != nil {
		t.Skipf("skipped: %s: %v: %s", system.mkfs[0], err, output)
	}
	if err := d.mount(t, system.options); err != nil {
		t.Skipf("skipped: cannot mount a loop device: %v", err)
	}
	return d
}

// mount mounts the disk until the test ends.
func (d *disk) mount(t *testing.T, options string) error {
	t.Helper()
	output, err := exec.Command("mount", "-o", strings.Trim("loop,"+options, ","), d.image, d.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w: %s", err, output)
	}
	d.up = true
	t.Cleanup(func() { d.unmount(t) })
	return nil
}

func (d *disk) unmount(t *testing.T) {
	t.Helper()
	if !d.up {
		return
	}
	d.up = false
	if exec.Command("umount", d.dir).Run() == nil {
		return
	}
	// A process that a failed test killed may not be gone yet.
	if output, err := exec.Command("umount", "--lazy", d.dir).CombinedOutput(); err != nil {
		t.Errorf("umount %s: %v: %s", d.dir, err, output)
	}
}

// sync makes all of the disk durable.
func (d *disk) sync(t *testing.T) {
	t.Helper()
	dir, err := os.Open(d.dir)
	check(t, err)
	defer dir.Close()
	check(t, unix.Syncfs(int(dir.Fd())))
}

// snapshot is what would be on the disk if the power went now: nothing is synced
// first.
func (d *disk) snapshot(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open(d.image)
	check(t, err)
	defer from.Close()
	copied, err := os.Create(to)
	check(t, err)
	defer copied.Close()
	check(t, copied.Truncate(d.system.size))
	for offset := int64(0); ; {
		start, err := unix.Seek(int(from.Fd()), offset, unix.SEEK_DATA)
		if err == syscall.ENXIO {
			return
		}
		check(t, err)
		end, err := unix.Seek(int(from.Fd()), start, unix.SEEK_HOLE)
		check(t, err)
		_, err = io.Copy(io.NewOffsetWriter(copied, start), io.NewSectionReader(from, start, end-start))
		check(t, err)
		offset = end
	}
}

// restart mounts what a snapshot holds, as after a power cut, for as long as use
// takes. It is mounted over the disk, whose users keep theirs, so that all paths
// are the same.
func (d *disk) restart(t *testing.T, snapshot string, use func()) {
	t.Helper()
	again := &disk{system: d.system, image: snapshot, dir: d.dir}
	check(t, again.mount(t, again.system.mountTwice()))
	defer func() {
		again.unmount(t)
		check(t, os.Remove(snapshot))
	}()
	use()
}
