package memfs_test

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

var errInjected = errors.New("injected")

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func root(t *testing.T, m *memfs.FS) vfs.Dir {
	t.Helper()
	dir, err := m.OpenDir("/")
	check(t, err)
	return dir
}

// write makes a file with contents, synced or not.
func write(t *testing.T, m *memfs.FS, name, contents string, sync bool) vfs.File {
	t.Helper()
	file, err := root(t, m).Create(name, 0o644)
	check(t, err)
	_, err = io.WriteString(file, contents)
	check(t, err)
	if sync {
		check(t, file.Sync())
	}
	return file
}

// read returns contents, or "-" where there is nothing.
func read(t *testing.T, m *memfs.FS, name string) string {
	t.Helper()
	file, err := root(t, m).Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	check(t, err)
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
	check(t, err)
	return string(text)
}

// TestForget: contents and names are lost one without the other.
func TestForget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file, dir bool // synced
		persist   memfs.Persist
		want      string
	}{
		{true, true, memfs.None(), "data"},
		{false, true, memfs.None(), ""},
		{true, false, memfs.None(), "-"},
		{false, false, memfs.All(), "data"},
	}
	for _, test := range tests {
		m := memfs.New(memfs.Options{})
		file := write(t, m, "a", "data", test.file)
		if test.dir {
			check(t, root(t, m).Sync())
		}
		m.Restart(test.persist)
		if got := read(t, m, "a"); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
		if _, err := file.Stat(); !errors.Is(err, memfs.ErrCrashed) {
			t.Errorf("a handle from before the crash: %v", err)
		}
	}
}

// TestRandom: over many seeds everything that may happen does, and an exchange
// is never seen by half.
func TestRandom(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for seed := range uint64(200) {
		m := memfs.New(memfs.Options{})
		write(t, m, "a", "one", true)
		write(t, m, "b", "two", true)
		check(t, root(t, m).Sync())
		check(t, root(t, m).Exchange("a", "b"))
		write(t, m, "c", "new", false)
		m.Restart(memfs.Random(seed))
		state := read(t, m, "a") + " " + read(t, m, "b") + " " + read(t, m, "c")
		seen[state] = true
	}
	for _, want := range []string{"one two -", "two one -", "one two new", "two one new", "one two ", "two one \x00\x00\x00"} {
		if !seen[want] {
			t.Errorf("%q never happened", want)
		}
	}
	for state := range seen {
		if pair := state[:7]; pair != "one two" && pair != "two one" {
			t.Errorf("half an exchange: %q", state)
		}
	}
}

// TestFailedSync: what a failed Sync did not write, no later one writes.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	file := write(t, m, "a", "data", false)
	m.FailAt(1, errInjected)
	if err := file.Sync(); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	check(t, file.Sync())
	check(t, root(t, m).Sync())
	m.Restart(memfs.None())
	if got := read(t, m, "a"); got != "" {
		t.Fatalf("file: %q", got)
	}

	check(t, root(t, m).Rename("a", "b"))
	m.FailAt(1, errInjected)
	if err := root(t, m).Sync(); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	write(t, m, "c", "later", true)
	check(t, root(t, m).Sync())
	m.Restart(memfs.None())
	if got := read(t, m, "a") + read(t, m, "b") + read(t, m, "c"); got != "-later" {
		t.Fatalf("directory: %q", got)
	}
}

// TestFaults: before, after, crash, kill.
func TestFaults(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	write(t, m, "a", "data", true)
	m.FailAt(1, errInjected)
	if err := root(t, m).Rename("a", "b"); !errors.Is(err, errInjected) || read(t, m, "a") != "data" {
		t.Fatalf("error %v", err)
	}
	m.FailLateAt(1, errInjected)
	if err := root(t, m).Rename("a", "b"); !errors.Is(err, errInjected) || read(t, m, "b") != "data" {
		t.Fatalf("error %v", err)
	}
	m.CrashAt(1)
	if err := root(t, m).Rename("b", "c"); !errors.Is(err, memfs.ErrCrashed) || !m.Crashed() {
		t.Fatalf("error %v", err)
	}
	if _, err := m.OpenDir("/"); !errors.Is(err, memfs.ErrCrashed) {
		t.Fatalf("error %v", err)
	}
	m.Kill()
	if got := read(t, m, "c"); got != "data" {
		t.Fatalf("after the kill %q", got)
	}
	m.Restart(memfs.None())
	if got := read(t, m, "c"); got != "-" {
		t.Fatalf("after the power cut %q", got)
	}
}

// TestLimits: space, inodes and what the file system cannot do.
func TestLimits(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{FreeBytes: 10, FreeInodes: 2, NoExchange: true, NoNoReplace: true, NoLinks: true, NoXattrs: true})
	file := write(t, m, "a", "123456", true)
	if _, err := io.WriteString(file, "78901"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
	if err := file.Allocate(11); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("allocate: %v", err)
	}
	check(t, file.Allocate(10))
	write(t, m, "b", "", true)
	dir := root(t, m)
	if _, err := dir.Create("c", 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create: %v", err)
	}
	for name, err := range map[string]error{
		"exchange": dir.Exchange("a", "b"), "rename": dir.RenameNoReplace("a", "c"), "xattr": file.SetXattr("user.x", nil),
	} {
		if !errors.Is(err, vfs.ErrNotSupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := dir.Link("a", "c"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("link: %v", err)
	}
}
