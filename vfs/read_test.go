package vfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestReadBlocks: a stretch of a file comes once and in order; one that the file does not have, the
// end of the context and an error of each end it.
func TestReadBlocks(t *testing.T) {
	t.Parallel()
	file := make([]byte, 600<<10)
	for i := range file {
		file[i] = byte(i >> 10)
	}
	r := bytes.NewReader(file)
	for _, stretch := range []struct{ offset, size int64 }{{0, 0}, {0, 600 << 10}, {5, 256 << 10}, {100, 300<<10 + 1}} {
		var got []byte
		err := vfs.ReadBlocks(t.Context(), r, stretch.offset, stretch.size, func(block []byte, offset int64) error {
			if offset != stretch.offset+int64(len(got)) {
				t.Errorf("%v: a block at %d after %d bytes", stretch, offset, len(got))
			}
			got = append(got, block...)
			return nil
		})
		if err != nil || !bytes.Equal(got, file[stretch.offset:][:stretch.size]) {
			t.Errorf("%v: %d bytes, %v", stretch, len(got), err)
		}
	}
	calls := 0
	count := func([]byte, int64) error { calls++; return nil }
	if err := vfs.ReadBlocks(t.Context(), r, 0, 600<<10+1, count); !errors.Is(err, io.ErrUnexpectedEOF) || calls != 2 {
		t.Errorf("too short: %v after %d blocks", err, calls)
	}
	errEnough := errors.New("enough")
	if err := vfs.ReadBlocks(t.Context(), r, 0, 600<<10, func([]byte, int64) error { return errEnough }); !errors.Is(err, errEnough) {
		t.Errorf("an error of each: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := vfs.ReadBlocks(ctx, r, 0, 600<<10, func([]byte, int64) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
	}
}
