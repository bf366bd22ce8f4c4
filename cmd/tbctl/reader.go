package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/term"
)

// errReaderGone says that what tbctl prints reaches nobody any more, as when ssh lost its
// connection.
var errReaderGone = fault.New(fault.Interrupted, "its reader is gone, as when the connection is lost")

// whileRead returns a context that ends with EPIPE when the reader of standard output is gone: where there is nothing to print
// nothing else tells.
func (a *app) whileRead() (context.Context, func()) {
	return interrupt.Unless(a.ctx, func(context.Context) error {
		if term.ReaderLost(a.std.out) {
			return syscall.EPIPE
		}
		return nil
	})
}

// untilReaderGone returns a context that ends with the error of refuseUnread.
func (a *app) untilReaderGone() (context.Context, func()) {
	return interrupt.Unless(a.ctx, a.refuseUnread)
}

// orReaderGone is err, or that the reader is gone where that has ended the context and nothing was changed.
func orReaderGone(ctx context.Context, outcome *install.Outcome, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errReaderGone) && (outcome == nil || !outcome.Changed) && fault.Of(err) != fault.Unknown {
		return cause
	}
	return err
}

// refuseUnread refuses to change anything after standard output or standard error lost its
// reader: the operator has seen the command fail by then.
func (a *app) refuseUnread(ctx context.Context) error {
	if err := a.readerGone(ctx); err != nil {
		return &hints.Error{Of: fault.Interrupted, Hint: "run the same command again: nothing was changed", Err: err}
	}
	return nil
}

// unheard is the error of a run that changes hosts when nobody can read what it does: standard output or standard error lost its reader, or cannot be
// written, as a log on a full disk.
func (a *app) unheard(ctx context.Context) error {
	if err := a.readerGone(ctx); err != nil {
		return err
	}
	for _, stream := range []struct {
		name string
		out  *term.Stream
	}{{"standard output", a.out}, {"standard error", a.err}} {
		if err := stream.out.Err(); err != nil {
			err = fmt.Errorf("%s: what it does cannot be written: %w", stream.name, err)
			return &hints.Error{Of: fault.Failed, Hint: "make room on the disk, or name another output, and then the same command again: nothing more was begun", Err: err}
		}
	}
	return nil
}

// readerGone is the error when standard output or standard error lost its reader, also for a command that may have changed something.
func (a *app) readerGone(context.Context) error {
	for _, stream := range []struct {
		name string
		w    io.Writer
	}{{"standard output", a.std.out}, {"standard error", a.std.err}} {
		if term.ReaderLost(stream.w) {
			return fmt.Errorf("%s: %w", stream.name, errReaderGone)
		}
	}
	return nil
}
