package vfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

// withoutOpenat2, when set, makes the test binary one of an old kernel: openat2(2) is not there.
const withoutOpenat2 = "VFS_TEST_WITHOUT_OPENAT2"

func TestMain(m *testing.M) {
	if os.Getenv(withoutOpenat2) != "" {
		if err := forbidOpenat2(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// forbidOpenat2 makes openat2(2) fail with ENOSYS in every thread of this process, as a kernel before 5.6 does.
func forbidOpenat2() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_OPENAT2},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("filter: %w", errno)
	}
	if _, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH}); !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("openat2: %v", err)
	}
	return nil
}

// TestWithoutOpenat2 runs what tests paths on a system without openat2(2).
func TestWithoutOpenat2(t *testing.T) {
	t.Parallel()
	if os.Getenv(withoutOpenat2) != "" {
		t.Skip("skipped: it is what runs")
	}
	again := exec.Command(os.Args[0], "-test.run=^(TestMagicLinks|TestResolveMagicLink|TestProcessPath|TestPaths)$", "-test.v")
	again.Env = append(os.Environ(), withoutOpenat2+"=1")
	out, err := again.CombinedOutput()
	if err != nil {
		if strings.Contains(string(out), "filter:") {
			t.Skipf("skipped: this system lets no filter of system calls be set: %s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"TestMagicLinks", "TestPaths"} {
		if !strings.Contains(string(out), "--- PASS: "+name) {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}

// TestPaths: a path leads where it leads for the system.
func TestPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	shared := in("shared")
	for _, err := range []error{
		os.MkdirAll(in("a/b"), 0o755), os.WriteFile(in("a/b/file"), []byte("text"), 0o600), os.Symlink("a/b", in("relative")), os.Symlink(in("a"), in("absolute")),
		os.Symlink("../relative/../b/file", in("a/up")), os.Symlink("loop", in("loop")), os.Symlink("nowhere", in("dangling")), os.Symlink("a//b/", in("slashes")),
		os.Mkdir(shared, 0o755), os.Chmod(shared, 0o777|os.ModeSticky), os.Symlink(in("a/b/file"), filepath.Join(shared, "mine")), os.Symlink(in("a/b/file"), filepath.Join(shared, "theirs")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root := os.Geteuid() == 0
	if root {
		if err := os.Lchown(filepath.Join(shared, "theirs"), 4001, 4001); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{
		"a/b/file": nil, "a//b/./file": nil, "relative/file": nil, "absolute/b/file": nil, "absolute/up": nil, "slashes/file": nil, "a/../a/b/file": nil, "shared/mine": nil,
		"loop": vfs.ErrMagicLink, "dangling": fs.ErrNotExist, "a/b/file/": syscall.ENOTDIR, "a/b/file/x": syscall.ENOTDIR, "none/file": fs.ErrNotExist,
	} {
		file, info, err := vfs.OpenFile(dir+"/"+name, nil)
		if !errors.Is(err, want) || err == nil && info.Size() != 4 {
			t.Errorf("open %s: %v, want %v", name, err, want)
		}
		if err == nil {
			file.Close()
		}
		if _, err := vfs.Stat(dir + "/" + name); !errors.Is(err, want) {
			t.Errorf("stat %s: %v, want %v", name, err, want)
		}
	}
	for name, link := range map[string]bool{"relative": true, "relative/": false, "dangling": true, "a": false, "a/": false} {
		info, err := vfs.Lstat(dir + "/" + name)
		if err != nil || info.Mode()&fs.ModeSymlink != 0 != link {
			t.Errorf("lstat %s: %v, %v", name, info, err)
		}
	}
	for name, want := range map[string]error{"relative": nil, "slashes/": nil, "a/b/file": syscall.ENOTDIR, "dangling": fs.ErrNotExist} {
		opened, err := vfs.OS().OpenDir(dir + "/" + name)
		if !errors.Is(err, want) {
			t.Errorf("open directory %s: %v, want %v", name, err, want)
		}
		if err == nil {
			opened.Close()
		}
	}
	if _, err := vfs.Stat("."); err != nil {
		t.Error(err)
	}
	if _, err := vfs.Stat(""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if os.Getenv(withoutOpenat2) != "" && root { // elsewhere the kernel's own setting decides
		if _, err := vfs.Stat(filepath.Join(shared, "theirs")); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a link of another user in a sticky directory: %v", err)
		}
	}
}

// TestProcessPath: a place is never looked for at the path that a file has for another process.
func TestProcessPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	self := "/proc/" + strconv.Itoa(os.Getpid())
	for _, name := range []string{self + "/root" + file, "/proc/self/root" + file, "/proc/self/cwd/file", self + "/exe", "/proc/thread-self/root" + file, "/dev/fd/" + strconv.Itoa(int(opened.Fd()))} {
		at, err := vfs.Resolve(vfs.OS(), name)
		if !errors.Is(err, vfs.ErrProcessPath) || fault.Of(err) != fault.Usage {
			t.Errorf("%s: %+v, %v", name, at, err)
		}
	}
	for name, want := range map[string]error{"/proc/self/status": nil, file: nil, self + "/no": nil} {
		if at, err := vfs.Resolve(vfs.OS(), name); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", name, at, err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/proc/self/root"+file, link); err != nil {
		t.Fatal(err)
	}
	if at, err := vfs.Resolve(vfs.OS(), link); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("%+v, %v", at, err)
	}
}
