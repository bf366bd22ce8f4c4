package fsatomic_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestLowerOld: what only the target needs is taken, durably, and nothing else; a fault is told.
func TestLowerOld(t *testing.T) {
	t.Parallel()
	arrange := func(t *testing.T, options memfs.Options) (*memfs.FS, *fsatomic.Lock) {
		m := scenario{exists: true, older: true}.setUp(t, options)
		lock, _, err := begin(t.Context(), m)
		check(t, err)
		m.CrashAt(0)
		return m, lock
	}
	attributes := func(t *testing.T, m *memfs.FS) string {
		file, err := openDir(t, m).Open("tigerbeetle-old")
		check(t, err)
		info, err := file.Stat()
		check(t, err)
		names, _ := file.Xattrs()
		return fmt.Sprint(info.UID, info.GID, info.Mode, names)
	}
	const want = "0 34 0750 [security.selinux user.note]"
	m, lock := arrange(t, memfs.Options{})
	check(t, lock.LowerOld())
	count := m.Count()
	check(t, lock.LowerOld())
	if m.Count() != count {
		t.Errorf("the second time it did %v", m.Trace()[count:])
	}
	m.Restart(memfs.None())
	if got := attributes(t, m); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for number := range count {
		m, lock := arrange(t, memfs.Options{})
		m.FailAt(number+1, errInjected)
		if err := lock.LowerOld(); !errors.Is(err, errInjected) {
			t.Errorf("%s: %v", m.Trace()[number], err)
		}
		check(t, lock.LowerOld())
		if got := attributes(t, m); got != want {
			t.Errorf("%s: %s, want %s", m.Trace()[number], got, want)
		}
	}

	m, lock = arrange(t, memfs.Options{NoXattrs: true})
	m.SetUser(vfs.Self{UID: 12, GID: 34})
	check(t, lock.LowerOld())
	if got := attributes(t, m); got != "12 34 0750 []" {
		t.Errorf("without rights and attributes: %s", got)
	}
	m, lock = arrange(t, memfs.Options{})
	check(t, openDir(t, m).Link("tigerbeetle-old", "second"))
	before := attributes(t, m)
	if err := lock.LowerOld(); !errors.Is(err, fsatomic.ErrLinks) || attributes(t, m) != before {
		t.Errorf("linked: %v, %s", err, attributes(t, m))
	}
	check(t, remove(m, testName+"-old"))
	check(t, lock.LowerOld())
	check(t, m.Make(testName+"-old", vfs.KindDirectory, 0o777))
	if err := lock.LowerOld(); err == nil {
		t.Errorf("a directory: %v", err)
	}
	check(t, lock.Release())
	if err := lock.LowerOld(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("without the lock: %v", err)
	}
}
