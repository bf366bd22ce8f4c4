package fsatomic_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// Raw values of attributes, as the kernel has them.
var (
	// rawCapability is cap_ipc_lock=ep, version 2.
	rawCapability = []byte{1, 0, 0, 2, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	rawLabel      = []byte("system_u:object_r:bin_t:s0\x00")
	// rawACL is u::rwx,u:34:r-x,g::r-x,m::r-x,o::r-x.
	rawACL = []byte{
		2, 0, 0, 0,
		1, 0, 7, 0, 255, 255, 255, 255,
		2, 0, 5, 0, 34, 0, 0, 0,
		4, 0, 5, 0, 255, 255, 255, 255,
		16, 0, 5, 0, 255, 255, 255, 255,
		32, 0, 5, 0, 255, 255, 255, 255,
	}
)

const xattrDefaultACL = "system.posix_acl_default"

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it changes owners and privileged attributes")
	}
}

// directories are places on the file systems of this machine.
func directories(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{"temp": t.TempDir()}
	if dir, err := os.MkdirTemp("/dev/shm", "fsatomic"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		dirs["shm"] = dir
	}
	return dirs
}

// setRaw sets an attribute, or skips where the file system has none such.
func setRaw(t *testing.T, name, attribute string, value []byte) {
	t.Helper()
	if err := unix.Setxattr(name, attribute, value, 0); err != nil {
		t.Skipf("the file system does not take %s: %v", attribute, err)
	}
}

// TestAttributesLinux: everything that a file has is on its replacement, which a
// process with the worst umask made.
func TestAttributesLinux(t *testing.T) {
	t.Parallel()
	needRoot(t)
	xattrs := map[string][]byte{
		fsatomic.XattrCapability: rawCapability, fsatomic.XattrSELinux: rawLabel,
		fsatomic.XattrACL: rawACL, "user.note": []byte("keep"), "user.empty": {},
	}
	for where, dir := range directories(t) {
		t.Run(where, func(t *testing.T) {
			name := filepath.Join(dir, "binary")
			check(t, os.WriteFile(name, []byte("old"), 0o755))
			check(t, os.Chown(name, 12, 34))
			check(t, os.Chmod(name, 0o755|os.ModeSetuid))
			for _, attribute := range slices.Sorted(maps.Keys(xattrs)) {
				setRaw(t, name, attribute, xattrs[attribute])
			}
			setRaw(t, name, "trusted.bound", []byte("to the contents"))
			before, err := fsatomic.Lookup(vfs.OS(), name)
			check(t, err)
			if problems := before.Check(3, before.Attributes); problems != nil {
				t.Fatalf("problems %v", problems)
			}
			if !slices.Equal(before.NotCarried, []string{"trusted.bound"}) {
				t.Fatalf("not carried: %q", before.NotCarried)
			}
			if output, err := helperCommand(t, "install", name, "new").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			after, err := fsatomic.Lookup(vfs.OS(), name)
			check(t, err)
			got := after.Attributes
			if got.UID != 12 || got.GID != 34 || got.Mode != 0o4755 || !maps.EqualFunc(got.Xattrs, xattrs, bytes.Equal) {
				t.Fatalf("attributes %+v, want %+v", got, xattrs)
			}
			if !after.Old.SameFile(before.File) || len(after.NotCarried) > 0 {
				t.Fatalf("after: %+v", after)
			}
		})
	}
}

// TestInheritedACL: a directory's default ACL opens the new file to nobody.
func TestInheritedACL(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "binary")
	setRaw(t, filepath.Dir(name), xattrDefaultACL, rawACL)
	lock, target := lockTarget(t, vfs.OS(), name)
	staged, err := fsatomic.Stage(lock, target, 0)
	check(t, err)
	info, err := os.Stat(staged.Path())
	check(t, err)
	if info.Mode() != 0o600 {
		t.Fatalf("staged file with mode %s", info.Mode())
	}
	check(t, staged.SetAttributes(fsatomic.Attributes{UID: -1, GID: -1, Mode: 0o755}))
	committed, err := staged.Commit(t.Context(), fsatomic.CommitOptions{})
	check(t, err)
	now, err := fsatomic.Lookup(vfs.OS(), committed.Path)
	check(t, err)
	attrs := now.Attributes
	if attrs.Mode != 0o755 || len(attrs.Xattrs) > 0 {
		t.Fatalf("attributes %+v", attrs)
	}
}

// TestOtherUser: without rights, what cannot be done is said before and while it
// is tried, and nothing changes.
func TestOtherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	base, err := os.MkdirTemp("", "fsatomic") // its parents can be entered by anyone
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	check(t, os.Chmod(base, 0o755))
	binary, err := os.Executable()
	check(t, err)
	tester := filepath.Join(base, "tester")
	copyFile(t, binary, tester)
	dir := filepath.Join(base, "dir")
	check(t, os.Mkdir(dir, 0o755))
	check(t, os.Chown(dir, 65534, 65534))
	name := filepath.Join(dir, "binary")
	run := func(helper string, args ...string) string {
		command := exec.CommandContext(t.Context(), tester, args...)
		command.Env = append(os.Environ(), helperVariable+"="+helper)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		output, _ := command.Output()
		return string(output)
	}
	prepare := func(uid int, xattrs map[string][]byte) fsatomic.Target {
		_ = os.Remove(name)
		check(t, os.WriteFile(name, []byte("old"), 0o755))
		check(t, os.Chown(name, uid, uid))
		for key, value := range xattrs {
			setRaw(t, name, key, value)
		}
		target, err := fsatomic.Lookup(vfs.OS(), name)
		check(t, err)
		return target
	}
	tests := []struct {
		uid        int
		xattrs     map[string][]byte
		check, say string
	}{
		{0, nil, "set owner: user 65534 cannot give files to user 0", "set owner"},
		{65534, map[string][]byte{fsatomic.XattrCapability: rawCapability}, "set security.capability: needs root or CAP_SETFCAP", "set security.capability"},
		{65534, map[string][]byte{fsatomic.XattrACL: rawACL, "user.x": []byte("x")}, "", ""},
	}
	for _, test := range tests {
		before := prepare(test.uid, test.xattrs)
		if got := run("check", name); !strings.Contains(got, test.check) || (test.check == "" && got != "") {
			t.Errorf("check said %q, want %q", got, test.check)
		}
		if got := run("install", name, "new"); !strings.Contains(got, test.say) || (test.say == "" && got != "") {
			t.Errorf("install said %q, want %q", got, test.say)
		}
		after, err := fsatomic.Lookup(vfs.OS(), name)
		check(t, err)
		if same := after.File.Unchanged(before.File); same != (test.say != "") {
			t.Errorf("target unchanged: %v, after %q", same, test.say)
		}
		if test.say == "" && !maps.EqualFunc(after.Attributes.Xattrs, test.xattrs, bytes.Equal) {
			t.Errorf("attributes %q", after.Attributes.Xattrs)
		}
	}
	check(t, os.Chown(dir, 0, 0))
	if got := run("check", name); !strings.Contains(got, fsatomic.ErrDirNotWritable.Error()) {
		t.Errorf("check said %q", got)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	check(t, err)
	defer source.Close()
	syscall.ForkLock.RLock() // a child that another test starts would hold it open for writing
	defer syscall.ForkLock.RUnlock()
	check(t, durable.WriteFile(vfs.OS(), to, 0o755, false, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	}))
}

// TestRunningBinary: a binary that runs is replaced, and goes on running.
func TestRunningBinary(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "binary")
	binary, err := os.Executable()
	check(t, err)
	copyFile(t, binary, name)
	command := exec.CommandContext(t.Context(), name)
	command.Env = append(os.Environ(), helperVariable+"=wait")
	stdin := started(t, command)
	syscall.ForkLock.RLock()
	committed := replace(t, vfs.OS(), name, "#!/bin/sh\nexit 7\n", fsatomic.CommitOptions{})
	syscall.ForkLock.RUnlock()
	if committed.Method != fsatomic.MethodExchanged {
		t.Fatalf("method %s", committed.Method)
	}
	var exit *exec.ExitError
	if err := exec.CommandContext(t.Context(), name).Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("the new binary: %v", err)
	}
	check(t, stdin.Close())
	check(t, command.Wait())
	old := exec.CommandContext(t.Context(), committed.Old)
	old.Env = append(os.Environ(), helperVariable+"=wait")
	if err := old.Run(); err != nil {
		t.Fatalf("the previous binary: %v", err)
	}
}

// setFlags sets the inode flags of chattr(1).
func setFlags(t *testing.T, name string, flag int) {
	t.Helper()
	file, err := os.Open(name)
	check(t, err)
	defer file.Close()
	fd := int(file.Fd())
	before, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		t.Skipf("the file system has no flags: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, before|flag); err != nil {
		t.Skipf("the flag cannot be set: %v", err)
	}
	t.Cleanup(func() {
		if file, err := os.Open(name); err == nil {
			defer file.Close()
			_ = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, before)
		}
	})
}

func TestFlagsLinux(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, flag := range []int{unix.STATX_ATTR_IMMUTABLE, unix.STATX_ATTR_APPEND} { // the same bits as FS_IMMUTABLE_FL and FS_APPEND_FL
		for _, which := range []string{"binary", "binary-old", "."} {
			dir := t.TempDir()
			for _, name := range []string{"binary", "binary-old"} {
				check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o755))
			}
			setFlags(t, filepath.Join(dir, which), flag)
			target, err := fsatomic.Lookup(vfs.OS(), filepath.Join(dir, "binary"))
			check(t, err)
			problems := target.Check(1, target.Attributes)
			if len(problems) != 1 || !errors.Is(problems[0], fsatomic.ErrImmutable) {
				t.Fatalf("flag %#x of %s: problems %v", flag, which, problems)
			}
		}
	}
}

// mountTemp mounts a tmpfs, or skips.
func mountTemp(t *testing.T, flags uintptr, options string) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestMountsLinux(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		mount func(t *testing.T) string // returns the target
		want  error
	}{
		{"read-only", func(t *testing.T) string {
			return filepath.Join(mountTemp(t, unix.MS_RDONLY, ""), "binary")
		}, vfs.ErrReadOnly},
		{"noexec", func(t *testing.T) string {
			return filepath.Join(mountTemp(t, unix.MS_NOEXEC, ""), "binary")
		}, fsatomic.ErrNoExec},
		{"space", func(t *testing.T) string {
			return filepath.Join(mountTemp(t, 0, "size=64k"), "binary")
		}, vfs.ErrNoSpace},
		{"inodes", func(t *testing.T) string {
			return filepath.Join(mountTemp(t, 0, "nr_inodes=1"), "binary")
		}, fsatomic.ErrNoInodes},
		{"mounted file", func(t *testing.T) string {
			dir := mountTemp(t, 0, "")
			name, other := filepath.Join(dir, "binary"), filepath.Join(dir, "other")
			check(t, os.WriteFile(name, nil, 0o755))
			check(t, os.WriteFile(other, nil, 0o755))
			check(t, unix.Mount(other, name, "", unix.MS_BIND, ""))
			t.Cleanup(func() { _ = unix.Unmount(name, unix.MNT_DETACH) })
			return name
		}, fsatomic.ErrMountPoint},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target, err := fsatomic.Lookup(vfs.OS(), test.mount(t))
			check(t, err)
			problems := target.Check(100<<10, newAttributes)
			if len(problems) != 1 || !errors.Is(problems[0], test.want) {
				t.Fatalf("problems %v, want %v", problems, test.want)
			}
		})
	}
}

// TestFullLinux: a full disk is found when the space is reserved, or else while
// writing; nothing is left.
func TestFullLinux(t *testing.T) {
	t.Parallel()
	dir := mountTemp(t, 0, "size=256k")
	name := filepath.Join(dir, "binary")
	lock, target := lockTarget(t, vfs.OS(), name)
	var space *vfs.SpaceError
	if _, err := fsatomic.Stage(lock, target, 1<<20); !errors.As(err, &space) || space.Need != 1<<20 || space.Have > 256<<10 {
		t.Fatalf("error %v", err)
	}
	staged, err := fsatomic.Stage(lock, target, 0)
	check(t, err)
	if _, err := staged.Write(make([]byte, 1<<20)); !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatalf("error %v", err)
	}
	check(t, staged.Abort())
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("left over: %v, %v", entries, err)
	}
}

// TestUserNamespace: in a container's namespace the owner of a file of the host's is
// found to be unknown there.
func TestUserNamespace(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o755))
	for name, test := range map[string]struct {
		owner, size int
		want        string
	}{
		"host's":      {4711, 1, fsatomic.ErrUnmapped.Error()},
		"container's": {0, 1, ""},
		"hidden":      {70000, 65536, fsatomic.ErrUnmapped.Error()},
	} {
		file := filepath.Join(dir, name)
		check(t, os.WriteFile(file, []byte(contentsOld), 0o755))
		check(t, os.Chown(file, test.owner, test.owner))
		command := helperCommand(t, "check", file)
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: test.size}}
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
		output, err := command.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skipf("skipped: this machine lets nobody make user namespaces: %v", err)
		}
		if err != nil || !strings.Contains(string(output), test.want) || test.want == "" && len(output) > 0 {
			t.Errorf("%s: %v: %q", name, err, output)
		}
	}
}
