package fsatomic_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const appendLines = 50

func writeString(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestWriteFileOS(t *testing.T) {
	t.Parallel()
	fsys, dir := vfs.OS(), t.TempDir()
	name := filepath.Join(dir, "file")
	check(t, fsatomic.WriteFile(fsys, name, 0o640, false, writeString("one")))
	if err := fsatomic.WriteFile(fsys, name, 0o644, false, writeString("two")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("error %v, want that it exists", err)
	}
	if err := fsatomic.WriteFile(fsys, name, 0o644, true, func(io.Writer) error { return errInjected }); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	contents, err := os.ReadFile(name)
	if err != nil || string(contents) != "one" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	link := filepath.Join(dir, "link")
	check(t, os.Symlink("file", link))
	check(t, fsatomic.WriteFile(fsys, link, 0o604, true, writeString("three")))
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
		err := fsatomic.WriteFile(fsys, device, 0o644, true, writeString("x"))
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
	first, err := fsatomic.Create(fsys, name, 0o644, false)
	check(t, err)
	second, err := fsatomic.Create(fsys, name, 0o644, false)
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
	if err := first.Commit(); !errors.Is(err, fsatomic.ErrClosed) {
		t.Fatalf("error %v, want closed", err)
	}
	if _, err := first.Write(nil); !errors.Is(err, fsatomic.ErrClosed) {
		t.Fatalf("error %v, want closed", err)
	}
	check(t, first.Abort())
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 2 || entries[0].Name() != filepath.Base(strange) || entries[1].Name() != "file" {
		t.Fatalf("left over: %v", entries)
	}
}

// TestWriteFileCrash: after every operation the file is the old one or the new.
func TestWriteFileCrash(t *testing.T) {
	t.Parallel()
	const before, after = "before", "after, and longer"
	for name, options := range systems() {
		for _, overwrite := range []bool{true, false} {
			run := func(m *memfs.FS) error {
				return fsatomic.WriteFile(m, testName, 0o644, overwrite, writeString(after))
			}
			setUp := func() *memfs.FS {
				m := scenario{}.setUp(t, options)
				if overwrite {
					check(t, fsatomic.WriteFile(m, testName, 0o644, true, writeString(before)))
				}
				m.CrashAt(0)
				return m
			}
			m := setUp()
			check(t, run(m))
			for number := range m.Count() {
				for seed := range uint64(crashSeeds) {
					m := setUp()
					m.CrashAt(number + 1)
					_ = run(m)
					m.Restart(memfs.Random(seed))
					got, exists := contentsOf(t, m, testName)
					if got != after && (exists || overwrite) && (!overwrite || got != before) {
						t.Fatalf("%s: operation %d, seed %d: %q", name, number+1, seed, got)
					}
					check(t, fsatomic.WriteFile(m, testName, 0o644, true, writeString(after)))
					names, err := openDir(t, m).List("", 10)
					if err != nil || !slices.Equal(names, []string{"tigerbeetle"}) {
						t.Fatalf("%s: operation %d, seed %d: left over: %q", name, number+1, seed, names)
					}
				}
				m := setUp()
				m.FailAt(number+1, errInjected)
				err := run(m)
				var failed *fsatomic.SyncError
				got, _ := contentsOf(t, m, testName)
				if swapped := errors.As(err, &failed) && failed.Swapped; (err == nil || swapped) != (got == after) {
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
	for _, mode := range []vfs.Mode{0o666, 0o755} {
		m := scenario{}.setUp(t, memfs.Options{FixedMode: mode})
		output, err := fsatomic.Create(m, testName, 0o755, false)
		check(t, err)
		check(t, writeString("new")(output))
		check(t, output.Commit())
		m.Restart(memfs.None())
		if got, _ := contentsOf(t, m, testName); got != "new" {
			t.Errorf("mode %s: %q", mode, got)
		}
		if err := output.ModeErr(); (err == nil) != (mode == 0o755) || err != nil && !errors.Is(err, fsatomic.ErrAttribute) {
			t.Errorf("mode %s: %v", mode, err)
		}
		check(t, fsatomic.MkdirAll(m, testDir+"/a/b", 0o750))
		check(t, fsatomic.Append(t.Context(), m, testDir+"/a/b/log", []byte("line")))
	}
	m := scenario{}.setUp(t, memfs.Options{})
	output, err := fsatomic.Create(forgetful{m, fsatomic.AttributeMode}, testName, 0o4755, false)
	check(t, err)
	check(t, output.Commit())
	if err := output.ModeErr(); !errors.Is(err, fsatomic.ErrAttribute) {
		t.Errorf("a mode that does not hold: %v", err)
	}
}

// TestOutputLate: an error of a call that took effect all the same is no reason to say
// that nothing is there.
func TestOutputLate(t *testing.T) {
	t.Parallel()
	const before, after = "before", "after, and longer"
	for name, options := range systems() {
		for _, overwrite := range []bool{true, false} {
			run := func(m *memfs.FS) error {
				return fsatomic.WriteFile(m, testName, 0o644, overwrite, writeString(after))
			}
			setUp := func() *memfs.FS {
				m := scenario{}.setUp(t, options)
				if overwrite {
					check(t, fsatomic.WriteFile(m, testName, 0o644, true, writeString(before)))
				}
				m.CrashAt(0)
				return m
			}
			m := setUp()
			check(t, run(m))
			told := 0
			for number := range m.Count() {
				m := setUp()
				m.FailLateAt(number+1, errInjected)
				err := run(m)
				what := fmt.Sprintf("%s: overwrite %v: %s: %v", name, overwrite, m.Trace()[number], err)
				var unknown *fsatomic.UnknownStateError
				var failed *fsatomic.SyncError
				got, _ := contentsOf(t, m, testName)
				visible := errors.As(err, &unknown) && unknown.Visible || errors.As(err, &failed) && failed.Swapped
				if (err == nil || visible) != (got == after) {
					t.Fatalf("%s: but there is %q", what, got)
				}
				if unknown != nil {
					told++
				}
				if names, _ := openDir(t, m).List(".", 10); unknown != nil && len(names) > 0 {
					t.Fatalf("%s: left %q", what, names)
				}
			}
			if told == 0 {
				t.Fatalf("%s: no error of a rename that took effect was tried", name)
			}
		}
	}
}

func contentsOf(t *testing.T, fsys vfs.FS, name string) (string, bool) {
	t.Helper()
	dir, err := fsys.OpenDir(filepath.Dir(name))
	check(t, err)
	defer dir.Close()
	file, err := dir.Open(filepath.Base(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	check(t, err)
	defer file.Close()
	info, err := file.Stat()
	check(t, err)
	text, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	check(t, err)
	return string(text), true
}

// readJournal collects the lines.
func readJournal(fsys vfs.FS, name string, sizeMax int64) (lines []string, all bool, err error) {
	all, err = fsatomic.ScanJournal(fsys, name, sizeMax, func(line []byte) { lines = append(lines, string(line)) })
	return lines, all, err
}

func TestJournalOS(t *testing.T) {
	t.Parallel()
	fsys := vfs.OS()
	name := filepath.Join(t.TempDir(), "a", "b", "journal")
	if _, _, err := readJournal(fsys, name, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	check(t, fsatomic.Append(t.Context(), fsys, name, []byte("one")))
	check(t, os.WriteFile(name, []byte("one\ntor"), 0o644))
	lines, all, err := readJournal(fsys, name, 0)
	if err != nil || !all || len(lines) != 1 {
		t.Fatalf("lines %q, %v, %v", lines, all, err)
	}
	check(t, fsatomic.Append(t.Context(), fsys, name, []byte("two")))
	contents, err := os.ReadFile(name)
	if err != nil || string(contents) != "one\ntor\ntwo\n" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	lines, all, err = readJournal(fsys, name, 7)
	if err != nil || all || len(lines) != 1 || lines[0] != "two" {
		t.Fatalf("lines %q, %v, %v", lines, all, err)
	}
	if err := fsatomic.Append(t.Context(), fsys, name, []byte("a\nb")); err == nil {
		t.Fatal("a line with a newline was taken")
	}
	if err := fsatomic.Append(t.Context(), fsys, name, make([]byte, fsatomic.LineSizeMax+1)); !errors.Is(err, vfs.ErrTooLarge) {
		t.Fatalf("error %v", err)
	}
	if err := fsatomic.Append(t.Context(), fsys, filepath.Dir(name), nil); !errors.Is(err, vfs.ErrDirectory) {
		t.Fatalf("error %v", err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 { // it was made with 0644
		t.Fatalf("mode %s, %v", info.Mode(), err)
	}
	second := name + "-second"
	check(t, os.Link(name, second))
	for _, name := range []string{name, second} {
		if err := fsatomic.Append(t.Context(), fsys, name, []byte("three")); !errors.Is(err, vfs.ErrNotRegular) {
			t.Fatalf("%s, with a second link: error %v", name, err)
		}
	}
	if again, err := os.ReadFile(name); err != nil || string(again) != string(contents) {
		t.Fatalf("contents %q, %v", again, err)
	}
	check(t, os.Remove(second))
	link := name + "-link"
	check(t, os.Symlink(name, link))
	if err := fsatomic.Append(t.Context(), fsys, link, nil); !errors.Is(err, vfs.ErrNotRegular) {
		t.Fatalf("error %v", err)
	}
}

// TestJournalConcurrent: lines of several processes and goroutines stay whole.
func TestJournalConcurrent(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "new", "journal")
	var wait sync.WaitGroup
	for _, who := range []string{"a", "b"} {
		command := helperCommand(t, "append", name, who)
		wait.Go(func() {
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
	for _, who := range []string{"c", "d"} {
		wait.Go(func() {
			if err := helperAppend([]string{name, who}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	lines, _, err := readJournal(vfs.OS(), name, 0)
	check(t, err)
	next := map[string]int{}
	for _, line := range lines {
		var who, tail string
		var number int
		_, _ = fmt.Sscan(line, &who, &number, &tail)
		if number != next[who] || tail != strings.Repeat("x", number%100) {
			t.Fatalf("line %q, want number %d", line, next[who])
		}
		next[who]++
	}
	if len(lines) != 4*appendLines {
		t.Fatalf("%d lines", len(lines))
	}
}

// TestJournalLines: a journal is read line by line, whatever its size and its lines.
func TestJournalLines(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	long := strings.Repeat("x", fsatomic.LineSizeMax)
	check(t, os.WriteFile(name, []byte("one\n\n"+long+"\n"+long+"y\ntwo\n"+strings.Repeat(long, 3)+"\nthree\n"+long), 0o600))
	lines, all, err := readJournal(vfs.OS(), name, 0)
	if err != nil || !all || !slices.Equal(lines, []string{"one", long, "", "two", "", "three"}) {
		t.Fatalf("%d lines, %v, %v", len(lines), all, err)
	}
	for size, want := range map[int64][]string{
		int64(len(long)):          nil,
		int64(len(long)) + 1:      nil,
		int64(len(long)) + 5:      nil,
		int64(len(long)) + 8:      {"three"},
		3 * int64(len(long)):      {"three"},
		4*int64(len(long)) + 4:    {"three"},
		4*int64(len(long)) + 1000: {"two", "", "three"},
	} {
		lines, all, err := readJournal(vfs.OS(), name, size)
		if err != nil || all || !slices.Equal(lines, want) {
			t.Errorf("the last %d bytes: %.20q, %v, %v, want %q", size, lines, all, err, want)
		}
	}
}

// noInodes is a file system without numbers of inodes.
type noInodes struct{ *memfs.FS }

type noInodesDir struct{ vfs.Dir }

type noInodesFile struct{ vfs.File }

func (n noInodes) OpenDir(name string) (vfs.Dir, error) {
	dir, err := n.FS.OpenDir(name)
	return noInodesDir{dir}, err
}

func (n noInodesDir) Lstat(name string) (vfs.Info, error) {
	info, err := n.Dir.Lstat(name)
	info.Inode = 0
	return info, err
}

func (n noInodesDir) OpenAppend(name string) (vfs.File, error) {
	file, err := n.Dir.OpenAppend(name)
	return noInodesFile{file}, err
}

func (n noInodesDir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := n.Dir.Create(name, mode)
	return noInodesFile{file}, err
}

func (n noInodesFile) Stat() (vfs.Info, error) {
	info, err := n.File.Stat()
	info.Inode = 0
	return info, err
}

// TestJournalNoInodes: a log needs no numbers of inodes.
func TestJournalNoInodes(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	for _, line := range []string{"one", "two"} {
		check(t, fsatomic.Append(t.Context(), noInodes{m}, testDir+"/journal", []byte(line)))
	}
	if got, _ := contentsOf(t, m, testDir+"/journal"); got != "one\ntwo\n" {
		t.Errorf("contents %q", got)
	}
}

// TestJournalCrash: what was appended with nil is there after every crash.
func TestJournalCrash(t *testing.T) {
	t.Parallel()
	const name = testDir + "/log/journal"
	lines := [][]byte{[]byte("first"), []byte("second"), []byte("third")}
	run := func(m *memfs.FS) (done int) {
		for _, line := range lines {
			if fsatomic.Append(context.Background(), m, name, line) != nil {
				return done
			}
			done++
		}
		return done
	}
	setUp := func() *memfs.FS {
		m := scenario{}.setUp(t, memfs.Options{})
		m.CrashAt(0)
		return m
	}
	m := setUp()
	if run(m) != len(lines) {
		t.Fatal("undisturbed run failed")
	}
	for number := range m.Count() {
		for seed := range uint64(20) {
			m := setUp()
			m.CrashAt(number + 1)
			done := run(m)
			m.Restart(memfs.Random(seed))
			check(t, fsatomic.Append(t.Context(), m, name, []byte("last")))
			got, all, err := readJournal(m, name, 0)
			if err != nil || !all || len(got) < done+1 || got[len(got)-1] != "last" {
				t.Fatalf("operation %d, seed %d: %q, %v, after %d", number+1, seed, got, err, done)
			}
			for i := range done {
				if got[i] != string(lines[i]) {
					t.Fatalf("operation %d, seed %d: %q after %d", number+1, seed, got, done)
				}
			}
		}
	}
}

func TestJournalFull(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{FreeBytes: 1 << 20})
	name := testDir + "/journal"
	check(t, fsatomic.Append(t.Context(), m, name, []byte("one")))
	m.SetFree(3)
	if err := fsatomic.Append(t.Context(), m, name, []byte("too long")); !errors.Is(err, vfs.ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v, want no space", err)
	}
	if got, _ := contentsOf(t, m, name); got != "one\n" {
		t.Fatalf("contents %q", got)
	}
}

func TestPartialOS(t *testing.T) {
	t.Parallel()
	fsys, dir := vfs.OS(), t.TempDir()
	name := filepath.Join(dir, "download")
	p, err := fsatomic.OpenPartial(fsys, name)
	check(t, err)
	if _, err := fsatomic.OpenPartial(fsys, name); !errors.Is(err, fsatomic.ErrBusy) {
		t.Fatalf("error %v, want busy", err)
	}
	check(t, writeString("hello wrong")(p))
	check(t, p.Close())
	check(t, p.Close())

	p, err = fsatomic.OpenPartial(fsys, name)
	check(t, err)
	if p.Size() != 11 {
		t.Fatalf("size %d", p.Size())
	}
	if err := p.Truncate(12); !errors.Is(err, fs.ErrInvalid) {
		t.Fatalf("error %v", err)
	}
	check(t, p.Truncate(6))
	check(t, writeString("world")(p))
	check(t, p.Sync())
	check(t, os.WriteFile(filepath.Join(dir, "taken"), nil, 0o644))
	if err := p.Publish("taken", 0o755, false); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("error %v", err)
	}
	if err := p.Publish("../taken", 0o755, true); !errors.Is(err, vfs.ErrName) {
		t.Fatalf("error %v", err)
	}
	check(t, p.Publish("taken", 0o755, true))
	contents, err := os.ReadFile(filepath.Join(dir, "taken"))
	if err != nil || string(contents) != "hello world" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	if err := p.Publish("again", 0o755, true); !errors.Is(err, fsatomic.ErrClosed) {
		t.Fatalf("error %v", err)
	}

	p, err = fsatomic.OpenPartial(fsys, name)
	check(t, err)
	check(t, p.Remove())
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	check(t, os.Link(filepath.Join(dir, "taken"), name))
	if _, err := fsatomic.OpenPartial(fsys, name); !errors.Is(err, vfs.ErrNotRegular) {
		t.Fatalf("error %v", err)
	}
}

// TestPartialSync: a failed fsync is final.
func TestPartialSync(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	p, err := fsatomic.OpenPartial(m, testName)
	check(t, err)
	check(t, writeString("data")(p))
	m.FailAt(1, errInjected)
	var failed *fsatomic.SyncError
	if err := p.Sync(); !errors.As(err, &failed) || failed.Swapped {
		t.Fatalf("error %v", err)
	}
	if err := p.Publish("done", 0o644, false); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	if _, exists := contentsOf(t, m, testDir+"/done"); exists {
		t.Fatal("published")
	}
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	fsys, root := vfs.OS(), t.TempDir()
	name := filepath.Join(root, "a", "b", "c")
	check(t, fsatomic.MkdirAll(fsys, name, 0o751))
	check(t, fsatomic.MkdirAll(fsys, name, 0o700))
	info, err := os.Stat(filepath.Dir(name))
	check(t, err)
	if info.Mode().Perm() != 0o751 {
		t.Fatalf("mode %s", info.Mode())
	}
	check(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o644))
	if err := fsatomic.MkdirAll(fsys, filepath.Join(root, "file", "x"), 0o755); err == nil {
		t.Fatal("made a directory in a file")
	}
	temp, err := fsatomic.MkdirTemp(fsys, root)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(temp.Path(), "x"), nil, 0o400))
	check(t, temp.Remove())
	if _, err := os.Stat(temp.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	check(t, remove(fsys, filepath.Join(root, "file")))
	if err := remove(fsys, filepath.Join(root, "file")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
}

func TestScratch(t *testing.T) {
	t.Parallel()
	scratch, err := fsatomic.NewScratch()
	check(t, err)
	check(t, writeString("ri")(scratch))
	check(t, writeString("ght")(scratch))
	text, err := io.ReadAll(io.NewSectionReader(scratch, 0, scratch.Size()))
	if err != nil || string(text) != "right" {
		t.Fatalf("read %q, %v", text, err)
	}
	check(t, scratch.Close())
	var none *fsatomic.Scratch
	check(t, none.Close())
}

// TestMkdirAllBehindLinks: ".." behind a symbolic link is the other directory's parent,
// and what is no directory is none.
func TestMkdirAllBehindLinks(t *testing.T) {
	t.Parallel()
	fsys, root := vfs.OS(), t.TempDir()
	check(t, os.MkdirAll(filepath.Join(root, "real", "sub"), 0o755))
	check(t, os.Symlink("real/sub", filepath.Join(root, "link")))
	check(t, fsatomic.MkdirAll(fsys, root+"/link/../pages/", 0o755))
	if info, err := os.Stat(filepath.Join(root, "real", "pages")); err != nil || !info.IsDir() {
		t.Errorf("real/pages: %v, %v", info, err)
	}
	if _, err := os.Lstat(filepath.Join(root, "pages")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pages: %v", err)
	}
	check(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	check(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o644))
	for _, name := range []string{"dangling", "dangling/below", "file", "file/below"} {
		if err := fsatomic.MkdirAll(fsys, filepath.Join(root, name), 0o755); err == nil {
			t.Errorf("%s is no directory", name)
		}
	}
}

// TestAppendAfterRotation: a line goes to the journal of that name, although another one
// had it when the wait for the lock began.
func TestAppendAfterRotation(t *testing.T) {
	t.Parallel()
	fsys, root := vfs.OS(), t.TempDir()
	name := filepath.Join(root, "journal")
	check(t, fsatomic.Append(t.Context(), fsys, name, []byte("first")))
	dir := mustOpenDir(t, fsys, root)
	holder, err := dir.OpenAppend("journal")
	check(t, err)
	check(t, holder.TryLock())
	done := make(chan error)
	go func() { done <- fsatomic.Append(t.Context(), fsys, name, []byte("second")) }()
	check(t, os.Rename(name, name+".1"))
	check(t, holder.Unlock())
	check(t, <-done)
	text, err := os.ReadFile(name)
	if err != nil || string(text) != "second\n" {
		t.Errorf("the journal has %q, %v", text, err)
	}
}

func mustOpenDir(t *testing.T, fsys vfs.FS, name string) vfs.Dir {
	t.Helper()
	dir, err := fsys.OpenDir(name)
	check(t, err)
	t.Cleanup(func() { dir.Close() })
	return dir
}
