//go:build unix

package interrupt_test

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"

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
