package install_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

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

// TestLeft: a file that a refused installation made, and that cannot be removed, is named.
func TestLeft(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	in := m.installer()
	in.FS = undeletable{m.FS}
	var rejected *install.RejectedError
	outcome, err := in.Install(t.Context(), request(), fetchOf(b.new[:len(b.new)/2], nil))
	if !errors.As(err, &rejected) {
		t.Fatalf("error %v", err)
	}
	dir, err := m.OpenDir(targetDir)
	check(t, err)
	names, err := dir.List(".tigerbeetle.tbctl-stage-", 10)
	check(t, err)
	if len(names) != 1 || !slices.ContainsFunc(outcome.Plan.Warnings, func(warning string) bool {
		return strings.Contains(warning, names[0]) && strings.HasSuffix(warning, "it is left, and the next operation on the target removes it")
	}) {
		t.Errorf("left %q, warnings %q", names, outcome.Plan.Warnings)
	}
	outcome, err = m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
	check(t, err)
	if names, err := dir.List(".tigerbeetle.tbctl-stage-", 10); err != nil || len(names) > 0 || outcome.Result != install.ResultInstalled {
		t.Errorf("left %q, %v", names, err)
	}
}
