package fsatomic_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// newAttributes are those of a first installation.
var newAttributes = fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: 0o755}

// lockTarget looks up, locks and recovers.
func lockTarget(t *testing.T, fsys vfs.FS, name string) (*fsatomic.Lock, fsatomic.Target) {
	t.Helper()
	target, err := fsatomic.Lookup(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := fsatomic.Acquire(t.Context(), fsys, target, fsatomic.LockOptions{Command: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	if _, err := fsatomic.Recover(lock, fsatomic.Recorded{}); err != nil {
		t.Fatal(err)
	}
	return lock, target
}

func sumOf(contents string) string {
	sum := sha256.Sum256([]byte(contents))
	return hex.EncodeToString(sum[:])
}

// replace does all steps of an installation.
func replace(t *testing.T, fsys vfs.FS, name, contents string, options fsatomic.CommitOptions) fsatomic.Committed {
	t.Helper()
	lock, target := lockTarget(t, fsys, name)
	defer lock.Release()
	attrs := newAttributes
	if target.Exists {
		attrs = target.Attributes
		there, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		target.SHA256 = sumOf(string(there))
	}
	staged, err := fsatomic.Stage(lock, target, int64(len(contents)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(staged, contents); err != nil {
		t.Fatal(err)
	}
	if err := staged.SetAttributes(attrs); err != nil {
		t.Fatal(err)
	}
	committed, err := staged.Commit(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	installed, err := fsatomic.ReadBack(fsys, committed)
	if err != nil {
		t.Fatal(err)
	}
	defer installed.Close()
	got, err := io.ReadAll(io.NewSectionReader(installed, 0, installed.Info.Size))
	if err != nil || string(got) != contents {
		t.Fatalf("read back %q, %v, want %q", got, err, contents)
	}
	return committed
}

func TestReplaceOS(t *testing.T) {
	t.Parallel()
	fsys := vfs.OS()
	name := filepath.Join(t.TempDir(), "binary")
	first := replace(t, fsys, name, "first", fsatomic.CommitOptions{})
	second := replace(t, fsys, name, "second", fsatomic.CommitOptions{})
	if first.Method != fsatomic.MethodCreated || second.Method != fsatomic.MethodExchanged {
		t.Fatalf("methods %s and %s", first.Method, second.Method)
	}
	lock, target := lockTarget(t, fsys, name)
	if !target.Old.SameFile(first.File) {
		t.Fatalf("kept file is %+v, want inode %d", target.Old, first.File.Inode)
	}
	back, err := fsatomic.SwapBack(t.Context(), lock, target)
	if err != nil {
		t.Fatal(err)
	}
	if !back.File.SameFile(first.File) {
		t.Fatalf("after the way back: %+v", back)
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 { // the file, the old one, the lock
		t.Fatalf("left over: %v", entries)
	}
}
