package fsatomic_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestTry: what only the file system knows of attributes is found without anything that
// lasts.
func TestTry(t *testing.T) {
	t.Parallel()
	only := vfs.IDMap{Ranges: []vfs.IDRange{{First: 0, Last: 11}}, Nobody: 65534}
	for _, test := range []struct {
		name    string
		options memfs.Options
		forgets string
		user    vfs.Self
		want    error
	}{
		{"nothing", memfs.Options{}, "", vfs.Self{}, nil},
		{"a mode that does not hold", memfs.Options{}, fsatomic.AttributeMode, vfs.Self{}, fsatomic.ErrAttribute},
		{"a label that does not hold", memfs.Options{}, fsatomic.XattrSELinux, vfs.Self{}, fsatomic.ErrAttribute},
		{"no modes", memfs.Options{FixedMode: 0o644}, "", vfs.Self{}, fsatomic.ErrAttribute},
		{"an owner", memfs.Options{}, "", vfs.Self{Chown: true, AnyFile: true, Users: only}, fsatomic.ErrUnmapped},
		{"no inodes", memfs.Options{FreeInodes: 2}, "", vfs.Self{}, vfs.ErrNoSpace},
	} {
		for _, unnamed := range []bool{true, false} {
			options := test.options
			options.NoUnnamed = !unnamed
			m := scenario{}.setUp(t, options)
			if test.user.AnyFile {
				m.SetUser(test.user)
			}
			target, err := fsatomic.Lookup(m, testName)
			check(t, err)
			m.CrashAt(0)
			err = target.Try(forgetful{m, test.forgets}, testAttributes())
			if !errors.Is(err, test.want) {
				t.Errorf("%s, without names %v: %v", test.name, unnamed, err)
			}
			names, err := openDir(t, m).List("", 10)
			if err != nil || len(names) > 0 || unnamed && m.Count() > 0 {
				t.Errorf("%s, without names %v: left %q after %q", test.name, unnamed, names, m.Trace())
			}
		}
	}
}

// immovable is a file system that lets nobody rename a file.
type (
	immovable    struct{ vfs.FS }
	immovableDir struct{ vfs.Dir }
)

func (f immovable) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return immovableDir{dir}, err
}

func (d immovableDir) Rename(from, _ string) error {
	return &fs.PathError{Op: "rename", Path: from, Err: syscall.EPERM}
}

// TestTryRename: where files have names only, renaming is tried out too, and what refuses it leaves nothing; elsewhere
// it is found by the first name that is changed, before the target's.
func TestTryRename(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{NoUnnamed: true})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	err = target.Try(immovable{m}, testAttributes())
	if !errors.Is(err, fsatomic.ErrRename) || !errors.Is(err, syscall.EPERM) || strings.Contains(err.Error(), "stage") {
		t.Errorf("error %v", err)
	}
	lock, _ := lockTarget(t, immovable{m}, testName)
	if err := lock.WriteState([]byte("{}")); !errors.Is(err, fsatomic.ErrRename) {
		t.Errorf("the state: error %v", err)
	}
	if names, err := openDir(t, m).List(".tigerbeetle.tbctl-s", 10); err != nil || len(names) > 0 {
		t.Errorf("left %q, %v", names, err)
	}
}

// undeletable is a file system that lets nobody delete a file.
type (
	undeletable    struct{ vfs.FS }
	undeletableDir struct{ vfs.Dir }
)

func (f undeletable) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return undeletableDir{dir}, err
}

func (d undeletableDir) Remove(name string) error {
	return &fs.PathError{Op: "remove", Path: name, Err: syscall.EPERM}
}

// TestTryDelete: where nothing can be deleted, the one file that is left is named, and no more of them are made; it is
// removed as soon as that is allowed.
func TestTryDelete(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{NoUnnamed: true})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	tried := func() []string {
		names, err := openDir(t, m).List(".tigerbeetle.tbctl-", 10)
		check(t, err)
		return names
	}
	for range 3 {
		err := target.Try(undeletable{m}, testAttributes())
		left := tried()
		if len(left) != 1 || !errors.Is(err, fsatomic.ErrDelete) || !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), left[0]) {
			t.Fatalf("left %q, error %v", left, err)
		}
	}
	plan, err := fsatomic.Residue(m, target, fsatomic.Recorded{})
	if err != nil || len(plan.Leftovers) != 1 || plan.Leftovers[0].Action != fsatomic.ActionRemoved {
		t.Errorf("found %+v, %v", plan, err)
	}
	check(t, target.Try(m, testAttributes()))
	if left := tried(); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	unnamed := scenario{exists: true}.setUp(t, memfs.Options{})
	check(t, target.Try(undeletable{unnamed}, testAttributes()))
}

// TestModeError: which mode a file has instead of the one asked for is told, and is one that can be asked for.
func TestModeError(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{FixedMode: 0o744})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	attrs := fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: 0o755}
	var mode *fsatomic.ModeError
	if err := target.Try(m, attrs); !errors.As(err, &mode) || mode.Want != 0o755 || mode.Got != 0o744 || !errors.Is(err, fsatomic.ErrAttribute) {
		t.Fatalf("%v", err)
	}
	attrs.Mode = mode.Got
	check(t, target.Try(m, attrs))
}

// TestAttributeClass: what the place does not keep, or this user may not do, does not fit; a disk that fails has failed.
func TestAttributeClass(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]fault.Class{
		syscall.EPERM: fault.Refused, syscall.ENOTSUP: fault.Refused, fsatomic.ErrUnmapped: fault.Refused,
		syscall.EIO: fault.Failed, syscall.ENOSPC: fault.Failed, syscall.EDQUOT: fault.Failed, vfs.ErrNoSpace: fault.Failed, vfs.ErrReadOnly: fault.Failed,
	} {
		whole := &fsatomic.AttributeError{Path: testName, Attribute: fsatomic.AttributeMode, Err: &fsatomic.ModeError{Want: 0o755, Got: 0o600, Err: err}}
		if got := fault.Of(whole); got != want {
			t.Errorf("%v: %s, want %s", whole, got, want)
		}
	}
}

func (d forgetfulDir) CreateUnnamed(mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.CreateUnnamed(mode)
	if err != nil {
		return nil, err
	}
	return forgetfulFile{file, d.attribute}, nil
}

// TestScratchBeside: what is kept beside a target takes the room there, and is gone.
func TestScratchBeside(t *testing.T) {
	t.Parallel()
	for _, unnamed := range []bool{true, false} {
		m := scenario{}.setUp(t, memfs.Options{NoUnnamed: !unnamed, FreeBytes: 5000})
		target, err := fsatomic.Lookup(m, testName)
		check(t, err)
		if _, err := fsatomic.ScratchBeside(m, target, 5001); !errors.Is(err, vfs.ErrNoSpace) {
			t.Errorf("without names %v: %v", unnamed, err)
		}
		scratch, err := fsatomic.ScratchBeside(m, target, 0)
		check(t, err)
		check(t, writeString(contentsNew)(scratch))
		text, err := io.ReadAll(io.NewSectionReader(scratch, 0, scratch.Size()))
		if err != nil || string(text) != contentsNew {
			t.Errorf("without names %v: %q, %v", unnamed, text, err)
		}
		names, err := openDir(t, m).List("", 10)
		if err != nil || unnamed && len(names) > 0 {
			t.Errorf("without names %v: %q stands there", unnamed, names)
		}
		if _, err := scratch.Write(make([]byte, 6000)); !errors.Is(err, vfs.ErrNoSpace) || !strings.Contains(err.Error(), testName) {
			t.Errorf("without names %v: %v", unnamed, err)
		}
		check(t, scratch.Close())
		if names, err := openDir(t, m).List("", 10); err != nil || len(names) > 0 {
			t.Errorf("without names %v: left %q", unnamed, names)
		}
		if target, err = fsatomic.Lookup(m, testName); err != nil || target.Volume.FreeBytes != 5000 {
			t.Errorf("without names %v: %d bytes are free afterwards", unnamed, target.Volume.FreeBytes)
		}
	}
}

// TestCheckOwner: an owner that a user namespace hides is not taken over.
func TestCheckOwner(t *testing.T) {
	t.Parallel()
	some := vfs.IDMap{Ranges: []vfs.IDRange{{First: 0, Last: 999}, {First: 65534, Last: 65534}}, Nobody: 65534}
	target := fsatomic.Target{Exists: true, File: vfs.Info{UID: 65534, GID: 65534}}
	for _, test := range []struct {
		users, groups vfs.IDMap
		user, group   bool // are taken over
		want          bool
	}{
		{vfs.IDMap{}, vfs.IDMap{}, true, true, false},
		{some, some, true, true, true},
		{some, some, true, false, true},
		{some, some, false, true, true},
		{some, some, false, false, false},
		{vfs.IDMap{}, some, true, false, false},
	} {
		target.Self = vfs.Self{Users: test.users, UserGroups: test.groups}
		problems := target.CheckOwner(test.user, test.group)
		if got := len(problems) == 1 && errors.Is(problems[0], fsatomic.ErrUnmapped) && errors.Is(problems[0], fsatomic.ErrOwner); got != test.want {
			t.Errorf("%+v: %v", test, problems)
		}
	}
	target.File = vfs.Info{UID: 7, GID: 7}
	if problems := target.CheckOwner(true, true); problems != nil {
		t.Errorf("an owner who exists: %v", problems)
	}
	if some.Has(1000) || !some.Has(999) || !some.Has(65534) || !(vfs.IDMap{}).Has(1000) {
		t.Error("the map does not know its numbers")
	}
}

// TestCheckBackUnmapped: rights over files of others end at the user namespace.
func TestCheckBackUnmapped(t *testing.T) {
	t.Parallel()
	only := vfs.IDMap{Ranges: []vfs.IDRange{{First: 0, Last: 0}}, Nobody: 65534}
	target := fsatomic.Target{
		Attributes: fsatomic.Attributes{Mode: 0o755},
		Self:       vfs.Self{Chown: true, AnyFile: true, Users: only, UserGroups: only},
	}
	for _, test := range []struct {
		old  fsatomic.Attributes
		want bool
	}{
		{fsatomic.Attributes{Mode: 0o755}, true},
		{fsatomic.Attributes{Mode: 0o700}, true},
		{fsatomic.Attributes{UID: 65534, GID: 65534, Mode: 0o755}, false},
		{fsatomic.Attributes{GID: 65534, Mode: 0o700}, true}, // its owner may
	} {
		problems := target.CheckBack(test.old)
		if (len(problems) == 0) != test.want || !test.want && !errors.Is(problems[0], fsatomic.ErrUnmapped) {
			t.Errorf("%+v: %v", test.old, problems)
		}
	}
}

// TestAwaitFree: who changes nothing waits for the lock's holder too, and takes no lock.
func TestAwaitFree(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	check(t, fsatomic.AwaitFree(t.Context(), m, target, 0))
	if names, _ := openDir(t, m).List("", 10); len(names) > 0 {
		t.Errorf("left %q", names)
	}
	lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{Command: "test"})
	check(t, err)
	var busy *durable.BusyError
	if err := fsatomic.AwaitFree(t.Context(), m, target, 0); !errors.As(err, &busy) || busy.Holder.Command != "test" {
		t.Errorf("busy: %v", err)
	}
	done := make(chan error)
	go func() { done <- fsatomic.AwaitFree(t.Context(), m, target, time.Minute) }()
	check(t, lock.Release())
	check(t, <-done)
}
