//go:build unix

package interrupt_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/interrupt"
)

// TestContext is not parallel: it sends signals to this process.
func TestContext(t *testing.T) {
	guard := make(chan os.Signal, 1) // so that no signal that is let through ends the test
	signal.Notify(guard, syscall.SIGTERM)
	defer signal.Stop(guard)
	ctx, stop := interrupt.Context(t.Context())
	defer stop()
	if interrupt.Cause(ctx) != nil {
		t.Error("a cause before there is a signal")
	}
	if err := errors.Join(syscall.Kill(os.Getpid(), syscall.SIGPIPE), syscall.Kill(os.Getpid(), syscall.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	cause := interrupt.Cause(ctx)
	if cause == nil || cause.Signal != syscall.SIGTERM || cause.Class() != fault.Interrupted || cause.Error() != "interrupted by signal terminated" {
		t.Errorf("the cause is %v", cause)
	}
}

func TestContextStopped(t *testing.T) {
	ctx, stop := interrupt.Context(t.Context())
	stop()
	<-ctx.Done()
	if cause := interrupt.Cause(ctx); cause != nil {
		t.Errorf("stopped without a signal, but the cause is %v", cause)
	}
}

// TestRun is not parallel: it sends signals to this process.
func TestRun(t *testing.T) {
	guard := make(chan os.Signal, 1)
	signal.Notify(guard, syscall.SIGTERM)
	defer signal.Stop(guard)
	failed := errors.New("failed")
	for _, test := range []struct {
		name  string
		grace interrupt.Grace
		ends  bool // after the signal has come
		want  error
	}{
		{"ends in good order", interrupt.Looks, true, failed},
		{"hangs", interrupt.Looks, false, nil},
		{"has to be finished", interrupt.Stays, true, failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, stop := interrupt.Context(t.Context())
			defer stop()
			hangs := make(chan struct{})
			resumed := make(chan struct{})
			err := interrupt.Run(ctx, func(ctx context.Context) error {
				interrupt.Set(ctx, test.grace)
				if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
					return err
				}
				<-ctx.Done()
				if test.ends {
					if test.grace == interrupt.Stays {
						<-time.After(time.Second) // longer than one that looks has
					}
					return failed
				}
				<-hangs
				interrupt.Set(ctx, interrupt.Stays) // does not return
				close(resumed)
				return nil
			})
			close(hangs)
			var stuck *interrupt.StuckError
			switch {
			case test.want != nil:
				if !errors.Is(err, test.want) {
					t.Errorf("error %v", err)
				}
			case !errors.As(err, &stuck) || fault.Of(err) != fault.Interrupted:
				t.Errorf("error %v", err)
			default:
				select {
				case <-resumed:
					t.Error("it goes on to what must be finished")
				default:
				}
			}
		})
	}
}
