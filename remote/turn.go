package remote

import (
	"context"
	"sync"
)

// looks are looks at the same thing, of which one at a time is under way, however many ask. Who asks gets one that began after
// it was asked for, together with all others for whom that is so. One for which nobody waits any more is cancelled.
type looks struct {
	once  sync.Once
	turn  chan struct{} // held by the look that is under way
	mu    sync.Mutex
	later *look // that has not begun; nil: nobody waits for one
}

type look struct {
	ctx     context.Context
	cancel  context.CancelFunc
	waiting int
	done    chan struct{} // closed when it has ended
	found   []byte
	err     error
}

// get waits for a look, and begins one if none is to begin. What it returns is shared.
func (s *looks) get(ctx context.Context, do func(context.Context) ([]byte, error)) ([]byte, error) {
	s.once.Do(func() { s.turn = make(chan struct{}, 1) })
	s.mu.Lock()
	l := s.later
	if l == nil {
		l = &look{done: make(chan struct{})}
		l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
		s.later = l
		go s.begin(l, do)
	}
	l.waiting++
	s.mu.Unlock()
	defer s.leave(l)
	select {
	case <-l.done:
		return l.found, l.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin looks when the one before has ended.
func (s *looks) begin(l *look, do func(context.Context) ([]byte, error)) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-l.ctx.Done():
		return // nobody waits
	}
	s.mu.Lock()
	if s.later == l {
		s.later = nil // who asks from now on asks for what is there from now on
	}
	s.mu.Unlock()
	defer close(l.done)
	l.found, l.err = do(l.ctx)
}

func (s *looks) leave(l *look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.waiting--; l.waiting > 0 {
		return
	}
	l.cancel()
	if s.later == l {
		s.later = nil
	}
}

// turns let one request at a time work on each target.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

// take waits for the turn at a target. It is given back by calling what is returned.
func (t *turns) take(ctx context.Context, target string) (back func(), err error) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = make(map[string]chan struct{})
	}
	turn := t.taken[target]
	if turn == nil {
		turn = make(chan struct{}, 1)
		t.taken[target] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
