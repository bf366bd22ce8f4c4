package vfs_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// quota is a file whose owner may take no more.
type quota struct{ vfs.File }

func (quota) Allocate(int64) error {
	return &fs.PathError{Op: "allocate", Path: "/opt/.tigerbeetle.tbctl-stage", Err: syscall.EDQUOT}
}

// TestAllocateQuota: a quota that is used up is no space, and what the file system has free is not told as what there is.
func TestAllocateQuota(t *testing.T) {
	t.Parallel()
	err := vfs.Allocate(nil, "/opt", quota{}, 7)
	if !errors.Is(err, vfs.ErrNoSpace) || !errors.Is(err, syscall.EDQUOT) || errors.As(err, new(*vfs.SpaceError)) || strings.Contains(err.Error(), "stage") {
		t.Errorf("%v", err)
	}
}
