package fsatomic_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestSession holds that a session is seen from its opening to its closing, whoever has the lock.
func TestSession(t *testing.T) {
	t.Parallel()
	memory := memfs.New(memfs.Options{})
	if err := memory.Make("/bin", vfs.KindDirectory, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, on := range map[string]struct {
		fsys vfs.FS
		dir  string
	}{"memory": {memory, "/bin"}, "disk": {vfs.OS(), t.TempDir()}} {
		target, err := fsatomic.Lookup(on.fsys, filepath.Join(on.dir, "tigerbeetle"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		const number = 4<<32 | 2
		alive := func(number int64) bool {
			t.Helper()
			alive, err := fsatomic.SessionAlive(on.fsys, target, number)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return alive
		}
		if alive(number) {
			t.Errorf("%s: alive before anything is there", name)
		}
		lock, err := fsatomic.Acquire(t.Context(), on.fsys, target, fsatomic.LockOptions{})
		if err != nil {
			t.Fatal(err)
		}
		session, err := lock.OpenSession(number)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		second, err := lock.OpenSession(number)
		if err != nil {
			t.Fatalf("%s: a second session of the number: %v", name, err)
		}
		other, err := lock.OpenSession(number + 1)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := lock.Release(); err != nil {
			t.Fatal(err)
		}
		if !alive(number) || !alive(number+1) || alive(number+2) {
			t.Errorf("%s: the sessions are not the ones that are seen", name)
		}
		// The lock is free meanwhile.
		lock, err = fsatomic.Acquire(t.Context(), on.fsys, target, fsatomic.LockOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		if !alive(number) {
			t.Errorf("%s: the second session of the number is not seen", name)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		if alive(number) || !alive(number+1) {
			t.Errorf("%s: after it was closed the session is seen, or the other is not", name)
		}
		if err := errors.Join(other.Close(), lock.Release()); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat("/bin/.tigerbeetle.tbctl-lock"); err == nil {
		t.Error("the test left something in /bin")
	}
}

// TestSessionExchanged: a session is marked at the lock that is held, and nowhere else.
func TestSessionExchanged(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "tigerbeetle")
	target, err := fsatomic.Lookup(vfs.OS(), name)
	check(t, err)
	lock, err := fsatomic.Acquire(t.Context(), vfs.OS(), target, fsatomic.LockOptions{})
	check(t, err)
	defer lock.Release()
	check(t, os.Rename(lockOf(name), name+"-away"))
	check(t, os.WriteFile(lockOf(name), nil, 0o600))
	if session, err := lock.OpenSession(7); !errors.Is(err, fsatomic.ErrChanged) {
		t.Errorf("%v, %v", session, err)
	}
}
