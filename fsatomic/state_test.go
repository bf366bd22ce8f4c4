package fsatomic_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const testState = testDir + "/.tigerbeetle.tbctl-state"

// stateTwice writes a state twice under one lock, each durably.
func stateTwice(t *testing.T, m *memfs.FS) error {
	lock, _, err := begin(t.Context(), m)
	if err != nil {
		return err
	}
	defer lock.Release()
	for _, text := range []string{"first", "the second one"} {
		if err := lock.WriteState([]byte(text)); err != nil {
			return err
		}
		if err := lock.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func readState(t *testing.T, m *memfs.FS) (string, error) {
	t.Helper()
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	text, _, err := fsatomic.ReadState(m, target)
	return string(text), err
}

// TestStateCrash: after a crash or fault anywhere the state is one of those that were
// written, whole, and nothing is left once the next run has looked.
func TestStateCrash(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]memfs.Options{"": {}, "umask": {Umask: 0o777}} {
		undisturbed := scenario{exists: true}.setUp(t, options)
		undisturbed.CrashAt(0)
		check(t, stateTwice(t, undisturbed))
		for number := range undisturbed.Count() {
			for what, disturb := range map[string]func(m *memfs.FS){
				"crash, nothing kept":    func(m *memfs.FS) { m.CrashAt(number + 1) },
				"crash, everything kept": func(m *memfs.FS) { m.CrashAt(number + 1) },
				"crash, some kept":       func(m *memfs.FS) { m.CrashAt(number + 1) },
				"fault":                  func(m *memfs.FS) { m.FailAt(number+1, errInjected) },
				"late fault":             func(m *memfs.FS) { m.FailLateAt(number+1, errInjected) },
			} {
				m := scenario{exists: true}.setUp(t, options)
				disturb(m)
				err := stateTwice(t, m)
				what = fmt.Sprintf("%s %s at %s: %v", name, what, m.Trace()[number], err)
				switch {
				case err == nil && !strings.Contains(what, "lock") && !strings.Contains(what, "allocate"): // the holder's name and the reserve are wishes
					t.Errorf("%s: no error", what)
				case strings.Contains(what, "nothing"):
					m.Restart(memfs.None())
				case strings.Contains(what, "everything"):
					m.Restart(memfs.All())
				case strings.Contains(what, "some"):
					m.Restart(memfs.Random(uint64(number)))
				}
				m.CrashAt(0)
				text, err := readState(t, m)
				if text != "first" && text != "the second one" && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %q, %v", what, text, err)
				}
				lock, _, err := begin(t.Context(), m)
				check(t, err)
				check(t, lock.Release())
				if w := look(t, m, options); w.target != contentsOld || len(w.residue()) > 0 {
					t.Errorf("%s: %+v", what, w)
				}
			}
		}
	}
}

// TestStateBelieved: a state counts only if nobody else can have written it.
func TestStateBelieved(t *testing.T) {
	t.Parallel()
	alter := func(change func(*vfs.Info)) func(*memfs.FS) error {
		return func(m *memfs.FS) error { return m.Alter(testState, change) }
	}
	for name, test := range map[string]struct {
		spoil func(*memfs.FS) error
		want  error
	}{
		"root's":              {alter(func(i *vfs.Info) { i.UID = 0 }), nil},
		"the directory's":     {alter(func(i *vfs.Info) { i.UID = 12 }), nil},
		"this user's":         {alter(func(i *vfs.Info) { i.UID = 1000 }), nil},
		"another user's":      {alter(func(i *vfs.Info) { i.UID = 1001 }), fsatomic.ErrStateFile},
		"writable by others":  {alter(func(i *vfs.Info) { i.Mode = 0o646 }), fsatomic.ErrStateFile},
		"writable by a group": {alter(func(i *vfs.Info) { i.Mode = 0o664 }), fsatomic.ErrStateFile},
		"with a second name":  {func(m *memfs.FS) error { return openDir(t, m).Link(".tigerbeetle.tbctl-state", "second") }, fsatomic.ErrStateFile},
		"a link":              {func(m *memfs.FS) error { return errors.Join(remove(m, testState), m.Symlink("tigerbeetle", testState)) }, fsatomic.ErrStateFile},
		"a directory": {func(m *memfs.FS) error {
			return errors.Join(remove(m, testState), m.Make(testState, vfs.KindDirectory, 0o755))
		}, fsatomic.ErrStateFile},
		"a pipe": {func(m *memfs.FS) error {
			return errors.Join(remove(m, testState), m.Make(testState, vfs.KindPipe, 0o644))
		}, fsatomic.ErrStateFile},
		"larger than anything": {func(m *memfs.FS) error {
			file, err := openDir(t, m).OpenAppend(".tigerbeetle.tbctl-state")
			check(t, err)
			return file.Truncate(fsatomic.StateSizeMax + 1)
		}, vfs.ErrTooLarge},
		"gone": {func(m *memfs.FS) error { return remove(m, testState) }, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := scenario{exists: true}.setUp(t, memfs.Options{})
			check(t, stateTwice(t, m))
			check(t, m.Alter(testDir, func(i *vfs.Info) { i.UID = 12 }))
			check(t, test.spoil(m))
			m.SetUser(vfs.Self{UID: 1000, GID: 34})
			if text, err := readState(t, m); !errors.Is(err, test.want) || (text == "the second one") != (test.want == nil) {
				t.Errorf("%q, %v, want %v", text, err, test.want)
			}
		})
	}
}

// TestStateRefused: what is too large, or comes without the lock, is not written.
func TestStateRefused(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	check(t, stateTwice(t, m))
	lock, _, err := begin(t.Context(), m)
	check(t, err)
	if err := lock.WriteState(make([]byte, fsatomic.StateSizeMax+1)); !errors.Is(err, vfs.ErrTooLarge) {
		t.Error(err)
	}
	m.SetFree(1)
	if err := lock.WriteState(make([]byte, fsatomic.StateSizeMax-1)); !errors.Is(err, vfs.ErrNoSpace) {
		t.Error(err)
	}
	check(t, lock.Release())
	if err := lock.WriteState(nil); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	if err := lock.Sync(); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	if text, err := readState(t, m); text != "the second one" || err != nil {
		t.Errorf("%.20q, %v", text, err)
	}
	if w := look(t, m, memfs.Options{}); len(w.residue()) > 0 {
		t.Errorf("%+v", w)
	}
}

// TestStateFull: on a full disk a state takes the room that the one before it held for it, time and
// again, and what other files take meanwhile does not matter.
func TestStateFull(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	check(t, stateTwice(t, m))
	m.SetFree(0)
	lock, _, err := begin(t.Context(), m)
	check(t, err)
	for number := range 10 {
		want := strings.Repeat(fmt.Sprint(number), 3000)
		if err := lock.WriteState([]byte(want)); err != nil {
			t.Fatalf("state %d: %v", number, err)
		}
		check(t, lock.Sync())
		if text, err := readState(t, m); text != want || err != nil {
			t.Fatalf("state %d: %.10q, %v", number, text, err)
		}
	}
	check(t, lock.Release())
	if w := look(t, m, memfs.Options{}); len(w.residue()) > 0 {
		t.Errorf("%+v", w)
	}
}

// TestStateOfAnotherDirectory: the state is read in the directory that was looked up, or not at all.
func TestStateOfAnotherDirectory(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	target.Dir.Inode++
	if _, _, err := fsatomic.ReadState(m, target); !errors.Is(err, fsatomic.ErrChanged) {
		t.Errorf("error %v, want %v", err, fsatomic.ErrChanged)
	}
}
