package fsatomic_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestRecoverKinds: what is done about each kind of leftover.
func TestRecoverKinds(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	put := func(name string) {
		contents := name
		if strings.Contains(name, "prev-995") {
			contents = contentsOld
		}
		check(t, durable.WriteFile(m, testDir+"/x", 0o644, true, writeString(contents)))
		check(t, openDir(t, m).Rename("x", name))
	}
	const prefix = ".tigerbeetle.tbctl-"
	for _, name := range []string{
		prefix + "stage-0123456789abcdef", prefix + "stage-01", prefix + "stage-0123456789abcdefff",
		prefix + "ready-999", prefix + "ready-998", prefix + "ready-0", prefix + "ready-01", prefix + "ready--1",
		prefix + "prev-1", prefix + "prev-997-996", prefix + "prev-995-" + inode(target.File), prefix + "other-1",
		".tigerbeetle2.tbctl-stage-0123456789abcdef",
	} {
		put(name)
	}
	check(t, m.Make(testDir+"/"+prefix+"stage-fedcba9876543210", vfs.KindDirectory, 0o755))
	m.CrashAt(0)
	plan, err := fsatomic.Residue(m, target, fsatomic.Recorded{})
	check(t, err)
	if m.Count() != 0 {
		t.Fatalf("changes: %v", m.Trace())
	}
	lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
	check(t, err)
	done, err := fsatomic.Recover(lock, fsatomic.Recorded{})
	check(t, err)
	if !reflect.DeepEqual(plan, done) {
		t.Fatalf("done %v, planned %v", done, plan)
	}
	got := map[string]fsatomic.Action{}
	for _, leftover := range done.Leftovers {
		got[strings.TrimPrefix(leftover.Path, testDir+"/"+prefix)] = leftover.Action
	}
	want := map[string]fsatomic.Action{
		"stage-0123456789abcdef":         fsatomic.ActionRemoved,
		"prev-995-" + inode(target.File): fsatomic.ActionRemoved,
		"prev-997-996":                   fsatomic.ActionKept,
		"ready-998":                      fsatomic.ActionLeft,
		"ready-999":                      fsatomic.ActionLeft,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	names, err := openDir(t, m).List("", 100)
	check(t, err)
	if len(names) != 14 {
		t.Fatalf("names %q", names)
	}
	if _, exists := contentsOf(t, m, testName+"-old"); !exists {
		t.Fatal("the orphan was not kept")
	}
}

// TestRecoverCopies: where inode numbers were given anew, as after another mount, what
// has the target's contents is of no use, and what has others may be the only copy.
func TestRecoverCopies(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"prev-997-996", "ready-998"} {
		for contents, want := range map[string]fsatomic.Action{contentsOld: fsatomic.ActionRemoved, "the previous releasE": fsatomic.ActionKept} {
			m := scenario{exists: true}.setUp(t, memfs.Options{})
			leftover := testDir + "/.tigerbeetle.tbctl-" + kind
			check(t, durable.WriteFile(m, leftover, 0o755, false, writeString(contents)))
			lock, target, err := begin(t.Context(), m)
			check(t, err)
			defer lock.Release()
			if _, exists := contentsOf(t, m, leftover); exists || target.OldExists != (want == fsatomic.ActionKept) {
				t.Errorf("%s with %q: still there %v, previous %v", kind, contents, exists, target.OldExists)
			}
		}
	}
}

func inode(info vfs.Info) string {
	text, _ := json.Marshal(info.Inode)
	return string(text)
}

// TestRecoverForeign: what another user may have planted beside the target never
// becomes the previous file, and what was kept stays.
func TestRecoverForeign(t *testing.T) {
	t.Parallel()
	const stranger = 4711
	for _, test := range []struct {
		name  string
		owner int
		mode  vfs.Mode // of the directory
		want  fsatomic.Action
	}{
		{"planted", stranger, 0o1777, fsatomic.ActionLeft},
		{"planted by the group", stranger, 0o775, fsatomic.ActionLeft},
		{"the target's owner", testAttributes().UID, 0o1777, fsatomic.ActionKept},
		{"this process", 55, 0o1777, fsatomic.ActionKept},
		{"root", 0, 0o1777, fsatomic.ActionKept},
		{"replaced with another owner", stranger, 0o755, fsatomic.ActionKept},
	} {
		for _, kind := range []string{"prev of the target", "ready of the target", "orphan"} {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				m := scenario{exists: true, older: kind != "orphan"}.setUp(t, memfs.Options{})
				check(t, m.Alter(testDir, func(info *vfs.Info) { info.Mode = test.mode }))
				target, err := fsatomic.Lookup(m, testName)
				check(t, err)
				base := ".tigerbeetle.tbctl-" + map[string]string{
					"prev of the target":  "prev-" + inode(target.File) + "-1",
					"ready of the target": "ready-" + inode(target.File),
					"orphan":              "prev-998-999",
				}[kind]
				planted := testDir + "/" + base
				check(t, durable.WriteFile(m, planted, 0o755, false, writeString("planted")))
				check(t, m.Alter(planted, func(info *vfs.Info) { info.UID = test.owner }))
				m.SetUser(vfs.Self{UID: 55, AnyFile: true})
				lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
				check(t, err)
				done, err := fsatomic.Recover(lock, fsatomic.Recorded{})
				check(t, err)
				if len(done.Leftovers) != 1 || done.Leftovers[0].Action != test.want {
					t.Fatalf("got %v, want %s", done.Leftovers, test.want)
				}
				old, kept := contentsOf(t, m, testName+"-old")
				_, there := contentsOf(t, m, planted)
				if left := test.want == fsatomic.ActionLeft; there != left || (kept && old == "planted") == left {
					t.Fatalf("previous file %q, leftover there: %v", old, there)
				}
				if test.want == fsatomic.ActionLeft && kind != "orphan" && old != contentsOlder {
					t.Fatalf("the previous file was lost: %q", old)
				}
			})
		}
	}
}

// TestInodeSpokenOf: a new file does not get the inode number that the name of a
// leftover has, and so no recovery takes one for the other.
func TestInodeSpokenOf(t *testing.T) {
	t.Parallel()
	const prefix = ".tigerbeetle.tbctl-"
	for _, test := range []struct {
		name  string
		names func(next uint64) []string
		want  error
	}{
		{"ready", func(next uint64) []string { return []string{fmt.Sprint("ready-", next)} }, nil},
		{"prev", func(next uint64) []string { return []string{fmt.Sprintf("prev-%d-1", next)} }, nil},
		{"prev, other", func(next uint64) []string { return []string{fmt.Sprintf("prev-1-%d", next)} }, nil},
		{"several", func(next uint64) []string {
			return []string{fmt.Sprint("ready-", next), fmt.Sprintf("prev-%d-%d", next+1, next+2)}
		}, nil},
		{"all", func(next uint64) (names []string) {
			for i := range uint64(64) {
				names = append(names, fmt.Sprint("ready-", next+i))
			}
			return names
		}, fsatomic.ErrInode},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := scenario{exists: true, older: true}.setUp(t, memfs.Options{})
			lock, target := lockTarget(t, m, testName)
			check(t, durable.WriteFile(m, testDir+"/x", 0o755, false, writeString("somebody's")))
			x, err := openDir(t, m).Lstat("x")
			check(t, err)
			names := test.names(x.Inode + 1) // memfs counts
			for _, name := range names {
				check(t, openDir(t, m).Link("x", prefix+name))
			}
			check(t, openDir(t, m).Remove("x"))
			staged, err := fsatomic.Stage(lock, target, 0)
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if err == nil {
				check(t, writeString(contentsNew)(staged))
				check(t, staged.SetAttributes(target.Attributes))
				_, err = staged.Commit(t.Context(), fsatomic.CommitOptions{})
				check(t, err)
			}
			_, err = fsatomic.Recover(lock, fsatomic.Recorded{})
			check(t, err)
			for _, name := range names {
				if got, _ := contentsOf(t, m, testDir+"/"+prefix+name); got != "somebody's" {
					t.Errorf("%s holds %q", name, got)
				}
			}
			if all, err := openDir(t, m).List(prefix, 100); err != nil || len(all) != len(names)+1 {
				t.Errorf("names %q, %v", all, err)
			}
		})
	}
}

// TestReadyNameTaken: what appears at the ready name is not replaced.
func TestReadyNameTaken(t *testing.T) {
	t.Parallel()
	for name, options := range systems() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := scenario{exists: true}.setUp(t, options)
			lock, target := lockTarget(t, m, testName)
			staged, err := fsatomic.Stage(lock, target, 0)
			check(t, err)
			info, err := openDir(t, m).Lstat(filepath.Base(staged.Path()))
			check(t, err)
			ready := testDir + "/.tigerbeetle.tbctl-ready-" + inode(info)
			check(t, durable.WriteFile(m, ready, 0o755, false, writeString("somebody's")))
			check(t, staged.SetAttributes(target.Attributes))
			if _, err := staged.Commit(t.Context(), fsatomic.CommitOptions{}); !errors.Is(err, fs.ErrExist) {
				t.Fatalf("error %v", err)
			}
			if got, _ := contentsOf(t, m, ready); got != "somebody's" {
				t.Errorf("at the ready name is %q", got)
			}
			if got, _ := contentsOf(t, m, testName); got != contentsOld {
				t.Errorf("the target holds %q", got)
			}
		})
	}
}
