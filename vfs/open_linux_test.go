package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestMagicLinks: a symbolic link leads to no other process's files, nor does any path that is not the operator's own.
func TestMagicLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, place := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "place")
	through := "/proc/self/root" + file
	for _, err := range []error{os.WriteFile(file, []byte("text"), 0o600), os.Symlink(through, link), os.Symlink("/proc/self/root"+dir, place)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(open func(string, func(fs.FileMode) error) (*os.File, fs.FileInfo, error)) func(string) error {
		return func(name string) error {
			file, _, err := open(name, nil)
			if err == nil {
				file.Close()
			}
			return err
		}
	}
	stat := func(stat func(string) (fs.FileInfo, error)) func(string) error {
		return func(name string) error {
			_, err := stat(name)
			return err
		}
	}
	openDir := func(name string) error {
		dir, err := vfs.OS().OpenDir(name)
		if err == nil {
			dir.Close()
		}
		return err
	}
	for _, test := range []struct {
		what string
		do   func(string) error
		name string
		want error
	}{
		{"open", open(vfs.OpenFile), file, nil},
		{"open", open(vfs.OpenFile), through, nil},
		{"open", open(vfs.OpenFile), link, vfs.ErrMagicLink},
		{"open foreign", open(vfs.OpenForeign), file, nil},
		{"open foreign", open(vfs.OpenForeign), through, vfs.ErrMagicLink},
		{"open foreign", open(vfs.OpenForeign), link, vfs.ErrMagicLink},
		{"stat", stat(vfs.Stat), through, nil},
		{"stat", stat(vfs.Stat), link, vfs.ErrMagicLink},
		{"stat foreign", stat(vfs.StatForeign), file, nil},
		{"stat foreign", stat(vfs.StatForeign), through, vfs.ErrMagicLink},
		{"lstat", stat(vfs.Lstat), link, nil},
		{"lstat", stat(vfs.Lstat), place + "/file", vfs.ErrMagicLink},
		{"open directory", openDir, dir, nil},
		{"open directory", openDir, "/proc/self/root" + dir, vfs.ErrMagicLink},
		{"open directory", openDir, place, vfs.ErrMagicLink},
	} {
		if err := test.do(test.name); !errors.Is(err, test.want) {
			t.Errorf("%s %s: %v, want %v", test.what, test.name, err, test.want)
		}
	}
}

// TestSharedMemory: every user can make links in /dev/shm, and a path there is not the operator's for beginning with /dev.
func TestSharedMemory(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "tbctl-test-")
	if err != nil {
		t.Skip("skipped: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink("/proc/self/root/tmp", link), os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.OS().OpenDir(link); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("open directory: %v", err)
	}
	if _, err := vfs.Stat(link); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("stat: %v", err)
	}
	if _, _, err := vfs.OpenFile(filepath.Join(link, "file"), nil); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("open: %v", err)
	}
	if file, _, err := vfs.OpenFile("/dev/fd/0", nil); err != nil {
		t.Errorf("an own descriptor: %v", err)
	} else {
		file.Close()
	}
}

// TestResolveMagicLink: a target is not looked for in what another user's process sees.
func TestResolveMagicLink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a process of another user needs root")
	}
	other := exec.Command("/bin/sleep", "1h")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 45551, Gid: 45551}}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	through := "/proc/" + strconv.Itoa(other.Process.Pid) + "/root" + dir + "/file"
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.Symlink(through, link)); err != nil {
		t.Fatal(err)
	}
	if at, err := vfs.Resolve(vfs.OS(), link); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("%+v, %v", at, err)
	}
}
