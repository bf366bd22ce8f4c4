package vfs

import (
	"context"
	"io"
)

// Interruptible returns a reader that ends when ctx does. A read that nothing can end, as of a quiet pipe, is left
// alone then: its buffer is its own.
func Interruptible(ctx context.Context, r io.Reader) io.Reader { return &interruptible{ctx: ctx, r: r} }

type interruptible struct {
	ctx    context.Context
	r      io.Reader
	buffer []byte
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil { // the last read may still be at the buffer
		return 0, context.Cause(i.ctx)
	}
	if len(i.buffer) < len(p) {
		i.buffer = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := i.r.Read(i.buffer[:len(p)])
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, i.buffer[:r.n]), r.err
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	}
}
