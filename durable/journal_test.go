package durable_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const appendLines = 50

// readJournal collects the lines.
func readJournal(fsys vfs.FS, name string, sizeMax int64) (lines []string, all bool, err error) {
	all, _, err = durable.ScanJournal(fsys, name, sizeMax, func(_ int, line []byte) { lines = append(lines, string(line)) })
	return lines, all, err
}

func TestJournalOS(t *testing.T) {
	t.Parallel()
	fsys := vfs.OS()
	name := filepath.Join(t.TempDir(), "a", "b", "journal")
	if _, _, err := readJournal(fsys, name, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	check(t, durable.Append(t.Context(), fsys, name, []byte("one")))
	check(t, os.WriteFile(name, []byte("one\ntor"), 0o644))
	lines, all, err := readJournal(fsys, name, 0)
	if err != nil || !all || !slices.Equal(lines, []string{"one", "tor"}) {
		t.Fatalf("lines %q, %v, %v", lines, all, err)
	}
	check(t, durable.Append(t.Context(), fsys, name, []byte("two")))
	contents, err := os.ReadFile(name)
	if err != nil || string(contents) != "one\ntor\ntwo\n" {
		t.Fatalf("contents %q, %v", contents, err)
	}
	lines, all, err = readJournal(fsys, name, 7)
	if err != nil || all || len(lines) != 1 || lines[0] != "two" {
		t.Fatalf("lines %q, %v, %v", lines, all, err)
	}
	if err := durable.Append(t.Context(), fsys, name, []byte("a\nb")); err == nil {
		t.Fatal("a line with a newline was taken")
	}
	if err := durable.Append(t.Context(), fsys, name, make([]byte, durable.LineSizeMax+1)); !errors.Is(err, vfs.ErrTooLarge) {
		t.Fatalf("error %v", err)
	}
	if err := durable.Append(t.Context(), fsys, filepath.Dir(name), nil); !errors.Is(err, vfs.ErrDirectory) {
		t.Fatalf("error %v", err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 { // it was made with 0644
		t.Fatalf("mode %s, %v", info.Mode(), err)
	}
	second := name + "-second"
	check(t, os.Link(name, second))
	for _, name := range []string{name, second} {
		if err := durable.Append(t.Context(), fsys, name, []byte("three")); !errors.Is(err, vfs.ErrNotRegular) {
			t.Fatalf("%s, with a second link: error %v", name, err)
		}
	}
	if again, err := os.ReadFile(name); err != nil || string(again) != string(contents) {
		t.Fatalf("contents %q, %v", again, err)
	}
	check(t, os.Remove(second))
	link := name + "-link"
	check(t, os.Symlink(name, link))
	if err := durable.Append(t.Context(), fsys, link, nil); !errors.Is(err, vfs.ErrNotRegular) {
		t.Fatalf("error %v", err)
	}
}

// TestJournalConcurrent: lines of several processes and goroutines stay whole.
func TestJournalConcurrent(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "new", "journal")
	var wait sync.WaitGroup
	for _, who := range []string{"a", "b"} {
		binary, err := os.Executable()
		check(t, err)
		command := exec.CommandContext(t.Context(), binary, name, who)
		command.Env = append(os.Environ(), appendVariable+"=1")
		wait.Go(func() {
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
	for _, who := range []string{"c", "d"} {
		wait.Go(func() {
			if err := appendMany(name, who); err != nil {
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
	long := strings.Repeat("x", durable.LineSizeMax)
	longer := long + long[:len(long)/4]
	check(t, os.WriteFile(name, []byte("one\n\n"+long+"\n"+long+"y\ntwo\n"+longer+"\nthree\ntorn"), 0o600))
	lines, all, err := readJournal(vfs.OS(), name, 0)
	if err != nil || !all || !slices.Equal(lines, []string{"one", long, "", "two", "", "three", "torn"}) {
		t.Fatalf("%d lines, %v, %v", len(lines), all, err)
	}
	for size, want := range map[int64][]string{
		4:                         nil,
		5:                         {"torn"},
		10:                        {"torn"},
		11:                        {"three", "torn"},
		int64(len(long)):          {"three", "torn"},
		int64(len(longer)) + 11:   {"three", "torn"},
		int64(len(longer)) + 1000: {"two", "", "three", "torn"},
	} {
		lines, all, err := readJournal(vfs.OS(), name, size)
		if err != nil || all || !slices.Equal(lines, want) {
			t.Errorf("the last %d bytes: %.20q, %v, %v, want %q", size, lines, all, err, want)
		}
	}
}

// TestJournalReadMax: of a journal that is longer than is read the newest lines are.
func TestJournalReadMax(t *testing.T) {
	t.Parallel()
	const most, line = 4 << 20, "a line\n"
	name := filepath.Join(t.TempDir(), "journal")
	check(t, os.WriteFile(name, []byte(strings.Repeat(line, 2*most/len(line))+"newest\n"), 0o600))
	for _, size := range []int64{0, -1, 1 << 40} {
		lines, all, err := readJournal(vfs.OS(), name, size)
		if err != nil || all || len(lines) > most/len(line) || lines[len(lines)-1] != "newest" {
			t.Errorf("%d: %d lines, all %v, %v", size, len(lines), all, err)
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

// TestNoInodes: what is written needs no numbers of inodes.
func TestNoInodes(t *testing.T) {
	t.Parallel()
	m := newFS(t, memfs.Options{})
	for _, line := range []string{"one", "two"} {
		check(t, durable.Append(t.Context(), noInodes{m}, testDir+"/journal", []byte(line)))
	}
	if got, _ := contentsOf(t, m, testDir+"/journal"); got != "one\ntwo\n" {
		t.Errorf("contents %q", got)
	}
	p, err := durable.OpenPartial(noInodes{m}, testDir+"/download")
	check(t, err)
	check(t, writeString("part")(p))
	check(t, p.Close())
	check(t, durable.WriteFile(noInodes{m}, testDir+"/file", 0o644, true, writeString("whole")))
	for name, want := range map[string]string{"download": "part", "file": "whole"} {
		if got, _ := contentsOf(t, m, testDir+"/"+name); got != want {
			t.Errorf("%s has %q", name, got)
		}
	}
}

// TestJournalCrash: what was appended with nil is there after every crash.
func TestJournalCrash(t *testing.T) {
	t.Parallel()
	const name = testDir + "/log/journal"
	lines := [][]byte{[]byte("first"), []byte("second"), []byte("third")}
	run := func(m *memfs.FS) (done int) {
		for _, line := range lines {
			if durable.Append(context.Background(), m, name, line) != nil {
				return done
			}
			done++
		}
		return done
	}
	setUp := func() *memfs.FS {
		m := newFS(t, memfs.Options{})
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
			check(t, durable.Append(t.Context(), m, name, []byte("last")))
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
	m := newFS(t, memfs.Options{FreeBytes: 1 << 20})
	name := testDir + "/journal"
	check(t, durable.Append(t.Context(), m, name, []byte("one")))
	m.SetFree(3)
	if err := durable.Append(t.Context(), m, name, []byte("too long")); !errors.Is(err, vfs.ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v, want no space", err)
	}
	if got, _ := contentsOf(t, m, name); got != "one\n" {
		t.Fatalf("contents %q", got)
	}
}

// TestAppendAfterRotation: a line goes to the journal of that name, although another one
// had it when the wait for the lock began.
func TestAppendAfterRotation(t *testing.T) {
	t.Parallel()
	fsys, root := vfs.OS(), t.TempDir()
	name := filepath.Join(root, "journal")
	check(t, durable.Append(t.Context(), fsys, name, []byte("first")))
	dir := mustOpenDir(t, fsys, root)
	holder, err := dir.OpenAppend("journal")
	check(t, err)
	check(t, holder.TryLock())
	done := make(chan error)
	go func() { done <- durable.Append(t.Context(), fsys, name, []byte("second")) }()
	check(t, os.Rename(name, name+".1"))
	check(t, holder.Unlock())
	check(t, <-done)
	text, err := os.ReadFile(name)
	if err != nil || string(text) != "second\n" {
		t.Errorf("the journal has %q, %v", text, err)
	}
}

// TestCheckAppend: what would hinder a line in a journal is found without one.
func TestCheckAppend(t *testing.T) {
	t.Parallel()
	user := vfs.Self{UID: 12, GID: 34}
	for _, test := range []struct {
		name    string
		journal string
		alter   func(t *testing.T, m *memfs.FS)
		fails   bool
	}{
		{"nothing there", testDir + "/a/b/log", func(*testing.T, *memfs.FS) {}, false},
		{"there", testDir + "/log", func(t *testing.T, m *memfs.FS) {
			check(t, durable.Append(t.Context(), m, testDir+"/log", []byte("line")))
		}, false},
		{"read-only", testDir + "/log", func(_ *testing.T, m *memfs.FS) { m.SetReadOnly(true) }, true},
		{"full", testDir + "/a/log", func(_ *testing.T, m *memfs.FS) { m.SetFree(100) }, true},
		{"another's directory", testDir + "/a/log", func(_ *testing.T, m *memfs.FS) { m.SetUser(user) }, true},
		{"another's journal", testDir + "/log", func(t *testing.T, m *memfs.FS) {
			check(t, durable.Append(t.Context(), m, testDir+"/log", []byte("line")))
			check(t, m.Alter(testDir, func(info *vfs.Info) { info.UID, info.GID = user.UID, user.GID }))
			m.SetUser(user)
		}, true},
		{"a file in the way", testName + "/log", func(t *testing.T, m *memfs.FS) {
			check(t, durable.WriteFile(m, testName, 0o644, false, writeString("x")))
		}, true},
	} {
		m := newFS(t, memfs.Options{})
		check(t, m.Alter(testDir, func(info *vfs.Info) { info.UID, info.GID, info.Mode = 0, 0, 0o755 }))
		test.alter(t, m)
		m.CrashAt(0)
		err := durable.CheckAppend(m, test.journal, []byte("line"))
		if (err != nil) != test.fails || m.Count() > 0 {
			t.Errorf("%s: %v after %q", test.name, err, m.Trace())
		}
		if appendErr := durable.Append(t.Context(), m, test.journal, []byte("a line of no more than 100 bytes")); (appendErr != nil) != test.fails && test.name != "full" && test.name != "another's directory" {
			t.Errorf("%s: told %v, then %v", test.name, err, appendErr)
		}
	}
}

// appendMany appends many lines to the journal.
func appendMany(name, who string) error {
	for i := range appendLines {
		line := fmt.Sprintf("%s %d %s", who, i, strings.Repeat("x", i%100))
		if err := durable.Append(context.Background(), vfs.OS(), name, []byte(line)); err != nil {
			return err
		}
	}
	return nil
}

// A ring keeps the last lines: its older part, and those since.
func TestAppendRing(t *testing.T) {
	t.Parallel()
	fsys := memfs.New(memfs.Options{})
	const name, size = "/state/ring", 100
	for index := range 50 {
		check(t, durable.AppendRing(t.Context(), fsys, name, fmt.Appendf(nil, "line %02d", index), size))
	}
	var lines []string
	for _, part := range []string{name + durable.RingSuffix, name} {
		more, all, err := readJournal(fsys, part, 0)
		if err != nil || !all {
			t.Fatalf("%s: %v, %v", part, all, err)
		}
		lines = append(lines, more...)
	}
	if len(lines) < size/len("line 00\n") || len(lines) > 2*(size/len("line 00\n")+1) {
		t.Errorf("%d lines are kept", len(lines))
	}
	for index, line := range lines {
		if want := fmt.Sprintf("line %02d", 50-len(lines)+index); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
	}
}
