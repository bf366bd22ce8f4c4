//go:build unix

package fsatomic_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// A replacement from the first look to the last.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "program")
	for _, contents := range []string{"first", "second"} {
		if err := install(context.Background(), name, contents); err != nil {
			fmt.Println(err)
			return
		}
	}
	now, _ := os.ReadFile(name)
	old, _ := os.ReadFile(name + "-old")
	fmt.Printf("now %s, before %s\n", now, old)
	// Output: now second, before first
}

func install(ctx context.Context, name, contents string) error {
	fsys := vfs.OS()
	target, err := fsatomic.Lookup(fsys, name)
	if err != nil {
		return err
	}
	attrs := target.Attributes
	if !target.Exists {
		attrs = fsatomic.Attributes{UID: fsatomic.OwnerUnchanged, GID: fsatomic.OwnerUnchanged, Mode: 0o755}
	}
	if problems := target.Check(int64(len(contents)), attrs); problems != nil {
		return errors.Join(problems...)
	}
	lock, err := fsatomic.Acquire(ctx, fsys, target, fsatomic.LockOptions{Command: "example"})
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := fsatomic.Recover(lock, fsatomic.Recorded{}); err != nil {
		return err
	}
	staged, err := fsatomic.Stage(lock, target, int64(len(contents)))
	if err != nil {
		return err
	}
	defer staged.Abort() // does nothing after Commit
	if _, err := io.WriteString(staged, contents); err != nil {
		return err
	}
	if err := staged.SetAttributes(attrs); err != nil {
		return err
	}
	committed, err := staged.Commit(ctx, fsatomic.CommitOptions{})
	if err != nil {
		return err
	}
	installed, err := fsatomic.ReadBack(fsys, committed)
	if err != nil {
		return err
	}
	return installed.Close()
}
