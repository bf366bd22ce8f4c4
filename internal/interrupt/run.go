package interrupt

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Grace says for how long a command may go on after a signal, to end in good order.
type Grace int

// The graces. A command begins as one that looks.
const (
	Looks  Grace = iota // it has nothing to put in order
	Clears              // it takes away what it has begun, and records that
	Stays               // it ends by itself, whenever that is: what it is about must be finished
)

// within is the time, 0 for no end.
func (g Grace) within() time.Duration {
	switch g {
	case Looks:
		return 500 * time.Millisecond
	case Clears:
		return grace
	default:
		return 0
	}
}

// StuckError says that a signal came, and that the command was left because it did not end after that: a system call that
// waits for a file system which does not answer hears of no signal.
type StuckError struct{ Cause *Error }

func (e *StuckError) Error() string {
	return fmt.Sprintf("%v: tbctl was waiting for something that does not answer, such as a file system", e.Cause)
}

// Unwrap returns the signal's error, which has the class.
func (e *StuckError) Unwrap() error { return e.Cause }

// watched is a command that runs.
type watched struct {
	mu      sync.Mutex
	grace   Grace
	left    bool
	changed chan struct{} // with room for one: the grace is another
}

type key struct{}

// Run runs a command with a context that [Context] made, and returns what it returns. After a signal it returns
// within the command's [Grace], with a [*StuckError] if the command has not ended. It goes on then,
// until the process ends, and must not be asked for anything it knows.
func Run(ctx context.Context, command func(context.Context) error) error {
	w := &watched{changed: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- command(context.WithValue(ctx, key{}, w)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	cause := Cause(ctx)
	began := time.Now()
	for cause != nil {
		w.mu.Lock()
		within := w.grace.within()
		w.mu.Unlock()
		var late <-chan time.Time
		if within > 0 {
			late = time.After(within - time.Since(began))
		}
		select {
		case err := <-ended:
			return err
		case <-w.changed: // what it does now has its own time
			began = time.Now()
		case <-late:
			if w.leave(within) {
				return &StuckError{cause}
			}
		}
	}
	return <-ended
}

// leave notes that the command is left, unless it has another grace by now.
func (w *watched) leave(within time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = w.grace.within() == within
	return w.left
}

// Set says which grace a command that [Run] runs has from now on. It does not return if the command has been left, so
// that what follows is done by none that was.
func Set(ctx context.Context, grace Grace) {
	w, ok := ctx.Value(key{}).(*watched)
	if !ok {
		return
	}
	w.mu.Lock()
	left := w.left
	if !left {
		w.grace = grace
	}
	w.mu.Unlock()
	if left {
		select {}
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}
