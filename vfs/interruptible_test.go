package vfs_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestInterruptible reads all that there is, and does not wait for a quiet pipe when its context has ended.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 10_000)
	if b, err := io.ReadAll(vfs.Interruptible(t.Context(), strings.NewReader(text))); err != nil || string(b) != text {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	quiet, other := io.Pipe()
	defer other.Close()
	r := vfs.Interruptible(ctx, reading{quiet, func() { cancel(gone) }})
	for range 2 {
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != gone {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}

// reading calls begins when it is read.
type reading struct {
	io.Reader
	begins func()
}

func (r reading) Read(p []byte) (int, error) {
	r.begins()
	return r.Reader.Read(p)
}
