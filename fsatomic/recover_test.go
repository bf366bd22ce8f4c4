package fsatomic_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/fsatomic/memfs"
)

// TestRecoverKinds: what is done about each kind of leftover.
func TestRecoverKinds(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	put := func(name string) {
		check(t, fsatomic.WriteFile(m, testDir+"/x", 0o644, true, writeString(name)))
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
	check(t, m.Make(testDir+"/"+prefix+"stage-fedcba9876543210", fsatomic.KindDirectory, 0o755))
	m.CrashAt(0)
	plan, err := fsatomic.Residue(m, target)
	check(t, err)
	if m.Count() != 0 {
		t.Fatalf("changes: %v", m.Trace())
	}
	lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
	check(t, err)
	done, err := fsatomic.Recover(lock)
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

func inode(info fsatomic.Info) string {
	text, _ := json.Marshal(info.Inode)
	return string(text)
}
