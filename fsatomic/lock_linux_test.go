package fsatomic_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// TestLockExchanged: who may write the directory exchanges the lock file with a file of another's again and again. That one
// keeps its contents and its mode.
func TestLockExchanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o775))
	name, secret := filepath.Join(dir, "binary"), filepath.Join(dir, "secret")
	target, err := fsatomic.Lookup(vfs.OS(), name)
	check(t, err)
	const text = "a password\n"
	check(t, os.WriteFile(secret, []byte(text), 0o600))
	opened, err := os.Open(secret) // whatever its name is
	check(t, err)
	defer opened.Close()
	lock, err := fsatomic.Acquire(t.Context(), vfs.OS(), target, fsatomic.LockOptions{})
	check(t, err)
	check(t, lock.Release())

	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, lockOf(name), unix.AT_FDCWD, secret, unix.RENAME_EXCHANGE)
			}
		}
	}()
	took := 0
	for range 2000 {
		if lock, err := fsatomic.Acquire(t.Context(), vfs.OS(), target, fsatomic.LockOptions{Command: "exchanged"}); err == nil {
			took++
			check(t, lock.Release())
		}
	}
	close(stop)
	<-done
	info, err := opened.Stat()
	check(t, err)
	contents := make([]byte, 100)
	count, _ := opened.ReadAt(contents, 0)
	if took == 0 || info.Mode() != 0o600 || !bytes.Equal(contents[:count], []byte(text)) {
		t.Fatalf("%d times taken; the file has mode %s and holds %q", took, info.Mode(), contents[:count])
	}
}

// TestLockFileOfOthers: a lock file is closed to others whatever an earlier tbctl left in it, and what is none stays as it is.
func TestLockFileOfOthers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		ours bool
	}{
		"empty":            {"", true},
		"a holder":         {`{"pid":7,"command":"tbctl install","host":"h","start":"2026-01-02T03:04:05Z"}` + "\n", true},
		"two":              {`{"pid":7,"command":"","host":"","start":"2026-01-02T03:04:05Z"}` + "\n{}\n", false},
		"more than that":   {`{"pid":7,"password":"secret"}`, false},
		"no process":       {`{}`, false},
		"text":             {"a password\n", false},
		"more than a line": {`{"pid":7}` + string(bytes.Repeat([]byte("\n"), 4096)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := filepath.Join(t.TempDir(), "binary")
			check(t, os.WriteFile(lockOf(target), []byte(test.text), 0o644))
			check(t, os.Chmod(lockOf(target), 0o644))
			found, err := fsatomic.Lookup(vfs.OS(), target)
			check(t, err)
			lock, err := fsatomic.Acquire(t.Context(), vfs.OS(), found, fsatomic.LockOptions{Command: "mine"})
			check(t, err)
			held, err := os.ReadFile(lockOf(target))
			check(t, err)
			check(t, lock.Release())
			info, err := os.Stat(lockOf(target))
			check(t, err)
			after, err := os.ReadFile(lockOf(target))
			check(t, err)
			switch {
			case test.ours && (info.Mode() != 0o600 || !bytes.Contains(held, []byte(`"mine"`)) || len(after) > 0):
				t.Errorf("mode %s, %q while it was held, and %q afterwards", info.Mode(), held, after)
			case !test.ours && (info.Mode() != 0o644 || string(held) != test.text || string(after) != test.text):
				t.Errorf("mode %s, %q while it was held, and %q afterwards, want it as it was", info.Mode(), held, after)
			}
		})
	}
}
