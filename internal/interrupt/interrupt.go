// Package interrupt ends a context at a signal, and keeps others from ending the process in the middle
// of what it does. A command that does not hear of it, since it waits in the system for what never answers, is
// left: see [Run].
package interrupt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// Error is the cause of a context that a signal ended.
type Error struct{ Signal os.Signal }

// Class is [fault.Interrupted].
func (e *Error) Class() fault.Class { return fault.Interrupted }

func (e *Error) Error() string { return fmt.Sprintf("interrupted by signal %s", e.Signal) }

// grace is the time in which a command ends in good order after a signal. The
// next one after that ends the process.
const grace = 3 * time.Second

// Context returns a context that ends at SIGINT, SIGTERM, SIGHUP or SIGQUIT with a
// [*Error]. A closed pipe and a file that grows beyond its limit
// must not kill the process in the middle of a swap: the write fails instead.
func Context(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	received := make(chan os.Signal, 1)
	for _, each := range endSignals() {
		if !signal.Ignored(each) { // as under nohup
			signal.Notify(received, each)
		}
	}
	failing := make(chan os.Signal, 1) // never read: the failing write says it all
	signal.Notify(failing, errorSignals()...)
	done := make(chan struct{})
	go func() {
		select {
		case got := <-received:
			cancel(&Error{Signal: got})
			select { // what blocks in the system does not hear of it: let the next one end it
			case <-time.After(grace):
				signal.Stop(received)
			case <-done:
			}
		case <-done:
		}
	}()
	return ctx, func() {
		close(done)
		signal.Stop(received)
		signal.Stop(failing)
		cancel(nil)
	}
}

// Cause returns the cause of a context that a signal ended, or nil.
func Cause(ctx context.Context) *Error {
	var cause *Error
	if errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return nil
}

// lostEvery is the time between two questions of [Unless].
const lostEvery = time.Second

// Unless returns a context that ends with the error of lost, which is asked at once, and again and again.
func Unless(parent context.Context, lost func(context.Context) error) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	go func() {
		ticker := time.NewTicker(lostEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if err := lost(ctx); err != nil {
				cancel(err)
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
