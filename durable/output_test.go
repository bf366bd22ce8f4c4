package durable_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

func TestWriteFileOS(t *testing.T) {
	t.Parallel()
	fsys, dir := vfs.OS(), t.TempDir()
	name := filepath.Join(dir, "file")
	check(t, durable.WriteFile(fsys, name, 0o640, false, writeString("one")))
	if err := durable.WriteFile(fsys, name, 0o644, false, writeString("two")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("error %v, want that it exists", err)
	}
	if err := durable.WriteFile(fsys, name, 0o644, true, func(io.Writer) error { return errInjected }); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	contents, err := os.ReadFile(name)
	if err != nil || string(contents) != "one" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	link := filepath.Join(dir, "link")
	check(t, os.Symlink("file", link))
	check(t, durable.WriteFile(fsys, link, 0o604, true, writeString("three")))
	contents, err = os.ReadFile(name)
	if err != nil || string(contents) != "three" {
		t.Fatalf("contents through a link %q, %v", contents, err)
	}
	info, err := os.Lstat(name)
	check(t, err)
	if info.Mode() != 0o604 {
		t.Fatalf("mode %s", info.Mode())
	}
	for _, device := range []string{os.DevNull, dir} {
		err := durable.WriteFile(fsys, device, 0o644, true, writeString("x"))
		if !errors.Is(err, vfs.ErrNotRegular) && !errors.Is(err, vfs.ErrDirectory) {
			t.Fatalf("%s: error %v", device, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Fatalf("left over: %v, %v", entries, err)
	}
}

// TestOutputLive: a file in the making is not taken for a dead writer's.
func TestOutputLive(t *testing.T) {
	t.Parallel()
	fsys, dir := vfs.OS(), t.TempDir()
	name := filepath.Join(dir, "file")
	stale := filepath.Join(dir, ".file.tbctl-temp-0011223344556677")
	check(t, os.WriteFile(stale, nil, 0o600))
	strange := filepath.Join(dir, ".file.tbctl-temp-mine")
	check(t, os.WriteFile(strange, nil, 0o600))
	first, err := durable.Create(fsys, name, 0o644, false)
	check(t, err)
	second, err := durable.Create(fsys, name, 0o644, false)
	check(t, err)
	check(t, writeString("first")(first))
	check(t, writeString("second")(second))
	buffer := make([]byte, 5)
	if _, err := first.ReadAt(buffer, 0); err != nil || string(buffer) != "first" || first.Size() != 5 {
		t.Fatalf("read %q, %v", buffer, err)
	}
	check(t, second.Commit())
	if err := first.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("error %v, want that it exists", err)
	}
	if err := first.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("error %v, want closed", err)
	}
	if _, err := first.Write(nil); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("error %v, want closed", err)
	}
	check(t, first.Abort())
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 2 || entries[0].Name() != filepath.Base(strange) || entries[1].Name() != "file" {
		t.Fatalf("left over: %v", entries)
	}
}

// systems are the file systems that tests of crashes run on.
func systems() map[string]memfs.Options {
	return map[string]memfs.Options{
		"everything":       {},
		"plain":            {NoNoReplace: true},
		"by name":          {NoNoReplace: true, NameInodes: true, NoUnnamed: true},
		"no links":         {NoNoReplace: true, NoLinks: true},
		"no attributes":    {NoXattrs: true},
		"umask":            {Umask: 0o777},
		"count everything": {CountReads: true},
		"plain, reads":     {NoNoReplace: true, CountReads: true},
	}
}

// writing is how a file is made, or replaced, and the file system on which that is disturbed.
func writing(t *testing.T, options memfs.Options, overwrite bool, before, after string) (setUp func() *memfs.FS, run func(*memfs.FS) error) {
	setUp = func() *memfs.FS {
		t.Helper()
		m := newFS(t, options)
		if overwrite {
			check(t, durable.WriteFile(m, testName, 0o644, true, writeString(before)))
		}
		m.CrashAt(0)
		return m
	}
	return setUp, func(m *memfs.FS) error { return durable.WriteFile(m, testName, 0o644, overwrite, writeString(after)) }
}

// TestWriteFileCrash: after every operation the file is the old one or the new.
func TestWriteFileCrash(t *testing.T) {
	t.Parallel()
	const before, after = "before", "after, and longer"
	for name, options := range systems() {
		for _, overwrite := range []bool{true, false} {
			setUp, run := writing(t, options, overwrite, before, after)
			m := setUp()
			check(t, run(m))
			for number := range m.Count() {
				for seed := range uint64(6) {
					m := setUp()
					m.CrashAt(number + 1)
					_ = run(m)
					m.Restart(memfs.Random(seed))
					got, exists := contentsOf(t, m, testName)
					if got != after && (exists || overwrite) && (!overwrite || got != before) {
						t.Fatalf("%s: operation %d, seed %d: %q", name, number+1, seed, got)
					}
					check(t, durable.WriteFile(m, testName, 0o644, true, writeString(after)))
					names, err := openDir(t, m).List("", 10)
					if err != nil || !slices.Equal(names, []string{"tigerbeetle"}) {
						t.Fatalf("%s: operation %d, seed %d: left over: %q", name, number+1, seed, names)
					}
				}
				m := setUp()
				m.FailAt(number+1, errInjected)
				err := run(m)
				var unsure *durable.UnsureError
				got, _ := contentsOf(t, m, testName)
				if swapped := errors.As(err, &unsure) && unsure.Visible; (err == nil || swapped) != (got == after) {
					t.Fatalf("%s: operation %d: %q with error %v", name, number+1, got, err)
				}
			}
			m = setUp()
			check(t, run(m))
			m.Restart(memfs.None())
			if got, _ := contentsOf(t, m, testName); got != after {
				t.Fatalf("%s: after success and a power cut: %q", name, got)
			}
		}
	}
}

// TestWriteFileWithoutModes: where nobody may set a mode the file is written all the
// same, and it is told; where it has the mode already there is nothing to tell.
func TestWriteFileWithoutModes(t *testing.T) {
	t.Parallel()
	var path *fs.PathError
	for _, mode := range []vfs.Mode{0o666, 0o755} {
		m := newFS(t, memfs.Options{FixedMode: mode})
		output, err := durable.Create(m, testName, 0o755, false)
		check(t, err)
		check(t, writeString("new")(output))
		check(t, output.Commit())
		m.Restart(memfs.None())
		if got, _ := contentsOf(t, m, testName); got != "new" {
			t.Errorf("mode %s: %q", mode, got)
		}
		if err := output.ModeErr(); (err == nil) != (mode == 0o755) || err != nil && !errors.As(err, &path) {
			t.Errorf("mode %s: %v", mode, err)
		}
		check(t, durable.MkdirAll(m, testDir+"/a/b", 0o750))
		check(t, durable.Append(t.Context(), m, testDir+"/a/b/log", []byte("line")))
	}
	m := newFS(t, memfs.Options{})
	output, err := durable.Create(noSetuid{m}, testName, 0o4755, false)
	check(t, err)
	check(t, output.Commit())
	if err := output.ModeErr(); !errors.As(err, &path) || path.Path != testName || !strings.Contains(err.Error(), "want 4755, got 0755") {
		t.Errorf("a mode that does not hold: %v", err)
	}
}

// noSetuid is a file system that takes the bits above rwx and does not keep them.
type (
	noSetuid     struct{ *memfs.FS }
	noSetuidDir  struct{ vfs.Dir }
	noSetuidFile struct{ vfs.File }
)

func (n noSetuid) OpenDir(name string) (vfs.Dir, error) {
	dir, err := n.FS.OpenDir(name)
	return noSetuidDir{dir}, err
}

func (d noSetuidDir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.Create(name, mode)
	return noSetuidFile{file}, err
}

func (f noSetuidFile) Chmod(mode vfs.Mode) error { return f.File.Chmod(mode & 0o777) }

// TestOutputLate: an error of a call that took effect all the same is no reason to say
// that nothing is there.
func TestOutputLate(t *testing.T) {
	t.Parallel()
	const before, after = "before", "after, and longer"
	for name, options := range systems() {
		for _, overwrite := range []bool{true, false} {
			setUp, run := writing(t, options, overwrite, before, after)
			m := setUp()
			check(t, run(m))
			told := 0
			for number := range m.Count() {
				m := setUp()
				m.FailLateAt(number+1, errInjected)
				err := run(m)
				what := fmt.Sprintf("%s: overwrite %v: %s: %v", name, overwrite, m.Trace()[number], err)
				var unsure *durable.UnsureError
				got, _ := contentsOf(t, m, testName)
				visible := errors.As(err, &unsure) && unsure.Visible
				if (err == nil || visible) != (got == after) {
					t.Fatalf("%s: but there is %q", what, got)
				}
				if class := fault.Of(err); err != nil && class != fault.Failed {
					t.Errorf("%s: is of class %s: it is no target", what, class)
				}
				if unsure != nil && strings.Contains(err.Error(), "rename") {
					told++
				}
				if names, _ := openDir(t, m).List(".", 10); unsure != nil && len(names) > 0 {
					t.Fatalf("%s: left %q", what, names)
				}
			}
			if told == 0 {
				t.Fatalf("%s: no error of a rename that took effect was tried", name)
			}
		}
	}
}
