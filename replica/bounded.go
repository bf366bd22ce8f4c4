package replica

import (
	"context"
	"sync"
	"time"
)

// limits bound how long looking at processes may take.
type limits struct {
	workers int           // that look at the same time
	answer  time.Duration // that one look may take
	late    int           // how many looks may not answer, before no other is begun
	all     time.Duration // that all looks together may take
}

// bounded looks at each item with a few workers, and does not wait for a look that
// does not answer: a system call on another process may wait for a server that is gone,
// and nothing ends it. It returns what the looks found, and which of them answered; a look
// that did not goes on by itself. The error is the context's.
func bounded[In, Out any](ctx context.Context, limits limits, items []In, look func(context.Context, In) Out) ([]Out, []bool, error) {
	if len(items) == 0 {
		return nil, nil, ctx.Err()
	}
	b := &looks[In, Out]{limits: limits, items: items, look: look, found: make(chan finding[Out]), done: make(chan struct{})}
	defer close(b.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return b.run(ctx)
}

// finding is what a look found. The worker begins the next one when it is taken.
type finding[Out any] struct {
	index int
	out   Out
}

type looks[In, Out any] struct {
	limits limits
	items  []In
	look   func(context.Context, In) Out
	found  chan finding[Out]
	done   chan struct{} // closed when nobody takes answers any more

	mu    sync.Mutex
	next  int               // the first item that nobody looks at yet
	since map[int]time.Time // when the looks that go on began, by their index
}

func (b *looks[In, Out]) run(ctx context.Context) ([]Out, []bool, error) {
	outs, answered := make([]Out, len(b.items)), make([]bool, len(b.items))
	b.since = make(map[int]time.Time)
	for range min(b.limits.workers, len(b.items)) {
		go b.work(ctx)
	}
	end := time.NewTimer(b.limits.all)
	defer end.Stop()
	tick := time.NewTicker(b.limits.answer / 10)
	defer tick.Stop()
	late := 0
	for open := len(b.items); open > 0; {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case finding := <-b.found:
			outs[finding.index], answered[finding.index] = finding.out, true
			open--
		case <-tick.C:
			given := b.giveUp()
			for range given {
				go b.work(ctx) // in the place of the one that waits
			}
			open -= given
			if late += given; late > b.limits.late {
				return outs, answered, nil
			}
		case <-end.C:
			return outs, answered, nil
		}
	}
	return outs, answered, nil
}

// giveUp takes the items whose looks have lasted too long off the list, and returns how
// many there are.
func (b *looks[In, Out]) giveUp() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for index, since := range b.since {
		if time.Since(since) >= b.limits.answer {
			delete(b.since, index)
			count++
		}
	}
	return count
}

// work looks at one item after the other, until there is none or it was given up.
func (b *looks[In, Out]) work(ctx context.Context) {
	for {
		b.mu.Lock()
		index := b.next
		if index == len(b.items) || ctx.Err() != nil {
			b.mu.Unlock()
			return
		}
		b.next++
		b.since[index] = time.Now()
		b.mu.Unlock()

		limited, cancel := context.WithTimeout(ctx, b.limits.answer)
		out := b.look(limited, b.items[index])
		cancel()

		b.mu.Lock()
		_, wanted := b.since[index]
		delete(b.since, index)
		b.mu.Unlock()
		if !wanted {
			return
		}
		select {
		case b.found <- finding[Out]{index, out}:
		case <-b.done:
			return
		}
	}
}
