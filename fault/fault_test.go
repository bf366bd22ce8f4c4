package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/fault"
)

// says is an error of a library: it may say a class, and wrap another.
type says struct {
	class fault.Class
	err   error
}

func (e *says) Error() string      { return "says " + string(e.class) }
func (e *says) Class() fault.Class { return e.class }
func (e *says) Unwrap() error      { return e.err }

// TestOf holds the rule of who decides.
func TestOf(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Refused, "refused")
	unknown := fault.New(fault.Unknown, "unknown")
	interrupted := fault.New(fault.Interrupted, "signal")
	plain := errors.New("plain")
	for name, test := range map[string]struct {
		err  error
		want fault.Class
	}{
		"nil":                             {nil, fault.None},
		"says nothing":                    {plain, fault.Failed},
		"sentinel":                        {refused, fault.Refused},
		"wrapped":                         {fmt.Errorf("install: %w", &fs.PathError{Op: "open", Path: "x", Err: refused}), fault.Refused},
		"method":                          {&says{fault.Busy, nil}, fault.Busy},
		"method that says nothing":        {&says{fault.None, refused}, fault.Refused},
		"the outermost":                   {&says{fault.Rejected, refused}, fault.Rejected},
		"the outermost, though it failed": {&says{fault.Failed, refused}, fault.Failed},
		"unknown inside":                  {&says{fault.Rejected, unknown}, fault.Unknown},
		"unknown inside a failure":        {&says{fault.Failed, fmt.Errorf("x: %w", unknown)}, fault.Unknown},
		"joined: the first that says":     {errors.Join(plain, refused, &says{fault.Busy, nil}), fault.Refused},
		"joined: unknown is last":         {errors.Join(refused, plain, unknown), fault.Unknown},
		"joined deeper":                   {fmt.Errorf("%w, and %w", fmt.Errorf("a: %w", plain), &says{fault.None, refused}), fault.Refused},
		"canceled":                        {fmt.Errorf("read: %w", context.Canceled), fault.Interrupted},
		"canceled while it was judged":    {&says{fault.Rejected, context.Canceled}, fault.Interrupted},
		"canceled dial":                   {&net.OpError{Op: "dial", Err: canceledDial(t)}, fault.Interrupted},
		"canceled at the swap":            {errors.Join(context.Canceled, unknown), fault.Unknown},
		"a cause that says it":            {&says{fault.Failed, interrupted}, fault.Interrupted},
		"deadline":                        {context.DeadlineExceeded, fault.Failed},
		"deadline of what is refused":     {&says{fault.Refused, context.DeadlineExceeded}, fault.Refused},
	} {
		if got := fault.Of(test.err); got != test.want {
			t.Errorf("%s: %v: class %q, want %q", name, test.err, got, test.want)
		}
	}
}

// canceledDial is what the net package says when a dial's context is canceled: an error of its own.
func canceledDial(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var dialer net.Dialer
	_, err := dialer.DialContext(ctx, "tcp", "127.0.0.1:1")
	operation, ok := errors.AsType[*net.OpError](err)
	if !ok {
		t.Fatalf("dial: %v", err)
	}
	return operation.Err
}

// TestNew requires that sentinels of one text are two errors.
func TestNew(t *testing.T) {
	t.Parallel()
	one, other := fault.New(fault.Failed, "x"), fault.New(fault.Failed, "x")
	if !errors.Is(fmt.Errorf("y: %w", one), one) || errors.Is(one, other) || one.Error() != "x" {
		t.Errorf("%v and %v", one, other)
	}
}

// TestAll goes through what is wrapped from the outside, and stops when it is told to.
func TestAll(t *testing.T) {
	t.Parallel()
	a, b := errors.New("a"), errors.New("b")
	wrapped := fmt.Errorf("%w", a)
	joined := errors.Join(wrapped, b)
	if got := slices.Collect(fault.All(joined)); !slices.Equal(got, []error{joined, wrapped, a, b}) {
		t.Errorf("%q", got)
	}
	for _, stop := range []error{joined, wrapped, a, b} {
		var last error
		for each := range fault.All(joined) {
			if last = each; each == stop { //nolint:errorlint // this very error
				break
			}
		}
		if last != stop { //nolint:errorlint // this very error
			t.Errorf("stopped at %v, not %v", last, stop)
		}
	}
	for each := range fault.All(nil) {
		t.Errorf("nil holds %v", each)
	}
}

// TestClasses requires that each class has a text of its own, and that Of gives back each of them.
func TestClasses(t *testing.T) {
	t.Parallel()
	seen := map[fault.Class]bool{fault.None: true}
	for _, class := range fault.Classes() {
		if seen[class] || fault.Of(&says{class, errors.New("x")}) != class {
			t.Errorf("%q", class)
		}
		seen[class] = true
	}
}

// TestWorst: of several hosts the class that must be known first is told.
func TestWorst(t *testing.T) {
	t.Parallel()
	for _, class := range append(fault.Classes(), fault.None) {
		if got := fault.Worst(class); got != class {
			t.Errorf("of %q alone: %q", class, got)
		}
		if got := fault.Worst(class, fault.Unknown); got != fault.Unknown {
			t.Errorf("of %q and unknown: %q", class, got)
		}
		if got := fault.Worst(fault.None, class); got != class {
			t.Errorf("of none and %q: %q", class, got)
		}
	}
	if got := fault.Worst(); got != fault.None {
		t.Errorf("of nothing: %q", got)
	}
	if got := fault.Worst(fault.Usage, fault.Busy, fault.Failed, fault.Refused, fault.Rejected, fault.Fenced); got != fault.Fenced {
		t.Errorf("of many: %q", got)
	}
}
