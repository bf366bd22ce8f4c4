package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// However many ask at once, one look at a time is under way, and each gets one that began after it had asked.
func TestLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s looks
		began, running := 0, 0
		var mu sync.Mutex
		release := make(chan struct{})
		do := func(ctx context.Context) ([]byte, error) {
			mu.Lock()
			began++
			number := began
			if running++; running > 1 {
				t.Error("two looks at once")
			}
			mu.Unlock()
			defer func() { mu.Lock(); running--; mu.Unlock() }()
			select {
			case <-release:
				return fmt.Append(nil, number), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		var asked sync.WaitGroup
		var got []string
		ask := func(ctx context.Context) {
			asked.Go(func() {
				found, err := s.get(ctx, do)
				mu.Lock()
				got = append(got, fmt.Sprintf("%s %v", found, err))
				mu.Unlock()
			})
			synctest.Wait()
		}
		ask(t.Context()) // gets the first
		for range 30 {
			ask(t.Context()) // get the second, all of them
		}
		gone, leave := context.WithCancelCause(t.Context())
		ask(gone)
		errGone := errors.New("gone")
		leave(errGone) // which is no matter to the others
		synctest.Wait()
		if began != 1 {
			t.Errorf("%d looks began while the first was under way", began-1)
		}
		close(release)
		asked.Wait()
		want := append([]string{" gone", "1 <nil>"}, slices.Repeat([]string{"2 <nil>"}, 30)...)
		if slices.Sort(got); !slices.Equal(got, want) || began != 2 {
			t.Errorf("%d looks, %q", began, got)
		}
	})
}

// A look for which nobody waits any more is cancelled, and who asks then gets one of his own.
func TestLooksLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s looks
		gone, leave := context.WithCancel(t.Context())
		cancelled := 0
		var asked sync.WaitGroup
		for range 2 { // one that is under way, and one that is to begin
			asked.Go(func() {
				s.get(gone, func(ctx context.Context) ([]byte, error) {
					<-ctx.Done()
					cancelled++
					return nil, ctx.Err()
				})
			})
			synctest.Wait()
		}
		leave()
		asked.Wait()
		found, err := s.get(t.Context(), func(context.Context) ([]byte, error) { return []byte("own"), nil })
		if string(found) != "own" || err != nil || cancelled == 0 { // the other one need not have begun
			t.Errorf("%q, %v; %d were cancelled", found, err, cancelled)
		}
	})
}

// On one target one request works at a time; another target's does not wait for it, and who leaves waits no more.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s turns
		back, err := s.take(t.Context(), "/a")
		if err != nil {
			t.Fatal(err)
		}
		if other, err := s.take(t.Context(), "/b"); err != nil {
			t.Error(err)
		} else {
			other()
		}
		gone, leave := context.WithCancelCause(t.Context())
		errGone := errors.New("gone")
		leave(errGone)
		if _, err := s.take(gone, "/a"); !errors.Is(err, errGone) {
			t.Errorf("a turn that is taken: %v", err)
		}
		taken := false
		go func() {
			if _, err := s.take(t.Context(), "/a"); err == nil {
				taken = true
			}
		}()
		synctest.Wait()
		if taken {
			t.Error("two at once")
		}
		back()
		synctest.Wait()
		if !taken {
			t.Error("it waits for a turn that was given back")
		}
	})
}
