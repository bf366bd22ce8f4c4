package fsatomic_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestLockOfAnother holds that a lock which this user may not open is found before it is tried.
func TestLockOfAnother(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	check(t, m.Make("/bin", vfs.KindDirectory, 0o777))
	target, err := fsatomic.Lookup(m, "/bin/tigerbeetle")
	check(t, err)
	lock, err := fsatomic.Acquire(context.Background(), m, target, fsatomic.LockOptions{})
	check(t, err)
	check(t, lock.Release())
	for uid, want := range map[int]bool{0: false, 1000: true} {
		m.SetUser(vfs.Self{UID: uid, GID: uid, Chown: uid == 0, AnyFile: uid == 0})
		target, err := fsatomic.Lookup(m, "/bin/tigerbeetle")
		check(t, err)
		found := false
		for _, problem := range target.Check(1, fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: 0o755}) {
			found = found || errors.Is(problem, fs.ErrPermission)
		}
		if found != want {
			t.Errorf("user %d: a problem %v, want %v", uid, found, want)
		}
	}
}
