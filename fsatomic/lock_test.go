package fsatomic_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

func lockOf(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tbctl-lock")
}

// TestLockProcess: another process has the lock, says who it is, and loses it
// when it is killed.
func TestLockProcess(t *testing.T) {
	t.Parallel()
	fsys := vfs.OS()
	name := filepath.Join(t.TempDir(), "binary")
	command := helperCommand(t, "hold", name)
	started(t, command)
	target, err := fsatomic.Lookup(fsys, name)
	check(t, err)
	_, err = fsatomic.Acquire(t.Context(), fsys, target, fsatomic.LockOptions{})
	var busy *durable.BusyError
	if !errors.As(err, &busy) || !errors.Is(err, durable.ErrBusy) {
		t.Fatalf("error %v, want busy", err)
	}
	if busy.Holder.PID != command.Process.Pid || busy.Holder.Command != "hold for a test" || busy.Path != lockOf(target.Path) {
		t.Fatalf("holder %+v of %s, want process %d", busy.Holder, busy.Path, command.Process.Pid)
	}
	if !strings.Contains(err.Error(), "hold for a test") {
		t.Fatalf("message %q does not say who", err)
	}
	holder, held, err := fsatomic.HeldBy(fsys, target)
	if err != nil || !held || holder != busy.Holder {
		t.Fatalf("held by %+v, %v, %v, want %+v", holder, held, err, busy.Holder)
	}
	check(t, command.Process.Kill())
	_ = command.Wait()
	if holder, held, err = fsatomic.HeldBy(fsys, target); err != nil || held || holder.PID != 0 {
		t.Fatalf("held by %+v, %v, %v after the holder died", holder, held, err)
	}
	lock, err := fsatomic.Acquire(t.Context(), fsys, target, fsatomic.LockOptions{Wait: time.Minute})
	check(t, err)
	check(t, lock.Release())
	check(t, lock.Release())
	info, err := os.Stat(lockOf(name))
	check(t, err)
	if info.Size() != 0 || info.Mode() != 0o600 {
		t.Fatalf("released lock file: %d bytes, %s", info.Size(), info.Mode())
	}
}

// TestLockGoroutines: one holder at a time, also within a process.
func TestLockGoroutines(t *testing.T) {
	t.Parallel()
	fsys := vfs.OS()
	name := filepath.Join(t.TempDir(), "binary")
	target, err := fsatomic.Lookup(fsys, name)
	check(t, err)
	var wait sync.WaitGroup
	var inside sync.Mutex
	for range 4 {
		wait.Go(func() {
			for range 10 {
				lock, err := fsatomic.Acquire(t.Context(), fsys, target, fsatomic.LockOptions{Wait: durable.WaitForever})
				if err != nil {
					t.Error(err)
					return
				}
				if !inside.TryLock() {
					t.Error("two holders")
					return
				}
				inside.Unlock()
				if err := lock.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// TestLockWait: waiting ends with the time, with the context, or with success.
func TestLockWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := scenario{}.setUp(t, memfs.Options{})
		target, err := fsatomic.Lookup(m, testName)
		check(t, err)
		holder, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{Command: "first"})
		check(t, err)

		start := time.Now()
		_, err = fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{Wait: time.Minute})
		var busy *durable.BusyError
		if !errors.As(err, &busy) || busy.Holder.Command != "first" {
			t.Fatalf("error %v, want busy", err)
		}
		if waited := time.Since(start); waited > time.Minute || waited < 59*time.Second {
			t.Fatalf("waited %v, want a minute", waited)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = fsatomic.Acquire(ctx, m, target, fsatomic.LockOptions{Wait: durable.WaitForever})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &busy) {
			t.Fatalf("error %v, want the context's", err)
		}

		got := make(chan error)
		go func() {
			lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{Wait: durable.WaitForever})
			if err == nil {
				err = lock.Release()
			}
			got <- err
		}()
		<-time.After(time.Hour) // of the bubble
		check(t, holder.Release())
		check(t, <-got)
	})
}

// TestHeldByNobody: to look makes nothing.
func TestHeldByNobody(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "binary")
	target, err := fsatomic.Lookup(vfs.OS(), name)
	check(t, err)
	if holder, held, err := fsatomic.HeldBy(vfs.OS(), target); err != nil || held || holder.PID != 0 {
		t.Fatalf("held by %+v, %v, %v", holder, held, err)
	}
	if _, err := os.Lstat(lockOf(name)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the lock file: %v, want none", err)
	}
	check(t, os.WriteFile(name, nil, 0o755))
	check(t, os.Link(name, lockOf(name)))
	if _, _, err := fsatomic.HeldBy(vfs.OS(), target); !errors.Is(err, fsatomic.ErrLockFile) {
		t.Fatalf("error %v, want %v", err, fsatomic.ErrLockFile)
	}
}

// TestHeldWithoutName: who holds the lock and did not write a name is seen too, by one who looks as by one
// who wants it; and to look stands in nobody's way.
func TestHeldWithoutName(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	check(t, m.Make(lockOf(testName), vfs.KindFile, 0o600))
	file, err := openDir(t, m).OpenAppend(filepath.Base(lockOf(testName)))
	check(t, err)
	check(t, file.TryLock())
	if holder, held, err := fsatomic.HeldBy(m, target); err != nil || !held || holder != (durable.Holder{}) {
		t.Fatalf("held by %+v, %v, %v", holder, held, err)
	}
	for name, err := range map[string]error{
		"await": fsatomic.AwaitFree(t.Context(), m, target, 0),
		"take": func() error {
			_, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
			return err
		}(),
	} {
		if !errors.Is(err, durable.ErrBusy) || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLookStandsInNobodysWay: who has the lock for an instant, as to look whether it is held, is waited for.
func TestLookStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := scenario{}.setUp(t, memfs.Options{})
		target, err := fsatomic.Lookup(m, testName)
		check(t, err)
		check(t, m.Make(lockOf(testName), vfs.KindFile, 0o600))
		for range 2 {
			file, err := openDir(t, m).OpenAppend(filepath.Base(lockOf(testName)))
			check(t, err)
			check(t, file.TryLock())
			time.AfterFunc(20*time.Millisecond, func() { _ = file.Unlock() })
			if _, held, err := fsatomic.HeldBy(m, target); err != nil || held {
				t.Fatalf("%v, %v", held, err)
			}
			check(t, file.TryLock())
			time.AfterFunc(20*time.Millisecond, func() { _ = file.Unlock() })
			lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
			check(t, err)
			check(t, lock.Release())
		}
	})
}

// TestLockFile: what may stand at the lock's name.
func TestLockFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(t *testing.T, name, lock string)
		want error // nil: lockable
	}{
		{"stale text", func(t *testing.T, _, lock string) { check(t, os.WriteFile(lock, []byte(`{"pid":`), 0o644)) }, nil},
		{"read-only", func(t *testing.T, _, lock string) { check(t, os.WriteFile(lock, nil, 0o444)) }, nil},
		{"symbolic link", func(t *testing.T, name, lock string) { check(t, os.Symlink(name, lock)) }, fsatomic.ErrLockFile},
		{"directory", func(t *testing.T, _, lock string) { check(t, os.Mkdir(lock, 0o755)) }, fsatomic.ErrLockFile},
		{"second link", func(t *testing.T, name, lock string) { check(t, os.Link(name, lock)) }, fsatomic.ErrLockFile},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "binary")
			check(t, os.WriteFile(name, []byte("contents"), 0o755))
			test.make(t, name, lockOf(name))
			target, err := fsatomic.Lookup(vfs.OS(), name)
			check(t, err)
			lock, err := fsatomic.Acquire(t.Context(), vfs.OS(), target, fsatomic.LockOptions{})
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			check(t, lock.Release())
			if contents, err := os.ReadFile(name); err != nil || string(contents) != "contents" {
				t.Fatalf("the target holds %q, %v", contents, err)
			}
		})
	}
}

// TestLockMode: nobody may open the lock file, and so hold it, but its owner and root, and the
// group that may do as it likes in the directory anyway; one that an earlier tbctl made is closed.
func TestLockMode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dir       vfs.Mode
		gid, made int // of the directory; the mode of the file that is there, or 0
		want      vfs.Mode
		wantGID   int
	}{
		{0o755, 0, 0, 0o600, 0},
		{0o755, 0, 0o644, 0o600, 0},
		{0o755, 34, 0o666, 0o600, 0},
		{0o775, 34, 0, 0o660, 34},
		{0o775, 34, 0o644, 0o660, 34},
		{0o1777, 0, 0o644, 0o660, 0},
	} {
		m := scenario{}.setUp(t, memfs.Options{Umask: 0o022})
		check(t, m.Alter(testDir, func(i *vfs.Info) { i.Mode, i.GID = test.dir, test.gid }))
		if test.made != 0 {
			check(t, m.Make(lockOf(testName), vfs.KindFile, vfs.Mode(test.made)))
		}
		target, err := fsatomic.Lookup(m, testName)
		check(t, err)
		lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
		check(t, err)
		info, err := openDir(t, m).Lstat(filepath.Base(lockOf(testName)))
		if err != nil || info.Mode != test.want || info.GID != test.wantGID {
			t.Errorf("%+v: mode %s, group %d, %v", test, info.Mode, info.GID, err)
		}
		check(t, lock.Release())
		if test.want == 0o660 {
			continue
		}
		m.SetUser(vfs.Self{UID: 1000, GID: 1000})
		if _, held, err := fsatomic.HeldBy(m, target); held || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%+v: another user: %v, %v", test, held, err)
		}
	}
}

// TestLockRemoved: a lock file removed under a holder does not let two in.
func TestLockRemoved(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	first, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
	check(t, err)
	check(t, remove(m, lockOf(testName)))
	// The second gets a new lock file: that is why nobody may remove it. The
	// first notices nothing, and the swap's own checks are what is left.
	second, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
	check(t, err)
	check(t, errors.Join(first.Release(), second.Release()))
}

// TestLockOrder: without the lock, or before the recovery, nothing is staged.
func TestLockOrder(t *testing.T) {
	t.Parallel()
	m := scenario{}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
	check(t, err)
	if _, err := fsatomic.Stage(lock, target, 0); !errors.Is(err, fsatomic.ErrNotRecovered) {
		t.Fatalf("error %v", err)
	}
	if _, err := fsatomic.SwapBack(t.Context(), lock, target); !errors.Is(err, fsatomic.ErrNotRecovered) {
		t.Fatalf("error %v", err)
	}
	other := target
	other.Path += "-2"
	if _, err := fsatomic.Stage(lock, other, 0); !errors.Is(err, fsatomic.ErrChanged) {
		t.Fatalf("error %v", err)
	}
	check(t, lock.Release())
	if _, err := fsatomic.Recover(lock, fsatomic.Recorded{}); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("error %v", err)
	}
	if _, err := fsatomic.Stage(lock, target, 0); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("error %v", err)
	}
}
