package interrupt_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/tbctl/tbctl/internal/interrupt"
)

// TestUnless holds that a context ends with what is found out while it goes on, and that nothing is asked after it has ended.
func TestUnless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		asked := 0
		ctx, end := interrupt.Unless(t.Context(), func(context.Context) error {
			if asked++; asked == 3 {
				return lost
			}
			return nil
		})
		<-ctx.Done()
		synctest.Wait()
		if !errors.Is(context.Cause(ctx), lost) || asked != 3 {
			t.Errorf("it ends with %v after %d questions", context.Cause(ctx), asked)
		}
		end()
		ctx, end = interrupt.Unless(t.Context(), func(context.Context) error { return nil })
		synctest.Wait()
		end()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("ended by its caller it has the cause %v", context.Cause(ctx))
		}
	})
}
