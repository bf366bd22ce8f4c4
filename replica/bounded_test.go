package replica

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var few = limits{workers: 3, answer: time.Second, late: 4, all: 20 * time.Second}

func sequence(count int) []int {
	items := make([]int, count)
	for index := range items {
		items[index] = index
	}
	return items
}

func TestBoundedAll(t *testing.T) {
	t.Parallel()
	outs, answered, err := bounded(t.Context(), few, sequence(100), func(_ context.Context, item int) int { return item * item })
	if err != nil || slices.Contains(answered, false) || outs[99] != 99*99 {
		t.Errorf("%v, %v, %v", outs, answered, err)
	}
	if outs, _, err := bounded(t.Context(), few, nil, func(context.Context, int) int { return 0 }); err != nil || len(outs) != 0 {
		t.Errorf("nothing to look at: %v, %v", outs, err)
	}
}

// Looks that never answer cost a second each, not the others their turn.
func TestBoundedLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ever := make(chan struct{})
		defer close(ever)
		hangs := []int{2, 30, 31}
		start := time.Now()
		outs, answered, err := bounded(t.Context(), few, sequence(100), func(_ context.Context, item int) int {
			if slices.Contains(hangs, item) {
				<-ever
			}
			return item
		})
		if err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		for item := range 100 {
			if answered[item] == slices.Contains(hangs, item) || answered[item] && outs[item] != item {
				t.Errorf("item %d: answered %t, %d", item, answered[item], outs[item])
			}
		}
	})
}

// Where too many do not answer no other look is begun: each takes a thread.
func TestBoundedTooManyLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ever := make(chan struct{})
		defer close(ever)
		begun := make(chan int, 1000)
		_, answered, err := bounded(t.Context(), few, sequence(1000), func(_ context.Context, item int) int {
			begun <- item
			<-ever
			return item
		})
		if err != nil || slices.Contains(answered, true) {
			t.Errorf("%v, %v", answered, err)
		}
		synctest.Wait()
		if count := len(begun); count > few.late+2*few.workers {
			t.Errorf("%d looks were begun", count)
		}
	})
}

func TestBoundedInAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, answered, err := bounded(t.Context(), few, sequence(1000), func(context.Context, int) int {
			time.Sleep(900 * time.Millisecond)
			return 0
		})
		took := time.Since(start)
		time.Sleep(time.Second) // until the last looks have ended
		if err != nil || took != few.all || !slices.Contains(answered, true) || answered[999] {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestBoundedCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		ever := make(chan struct{})
		defer close(ever)
		_, _, err := bounded(ctx, few, sequence(10), func(context.Context, int) int { <-ever; return 0 })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}
