package remote

import (
	"context"
	"slices"
	"sync"
)

// SessionsMax is how many sessions of a [Dialer] are open at once, unless it says otherwise. Each is a process and some pipes here, and a
// process on its host.
const SessionsMax = 64

// seats bound how many sessions are open at once. A session that nobody uses is closed for one that is to be started; one that is kept, see
// [Session.Keep], has no seat.
type seats struct {
	mu      sync.Mutex
	free    int
	coming  int             // of sessions that are being closed
	waiting []chan struct{} // each is closed when it has a seat
	idle    []*Session      // that nobody uses, the one that has been so for longest first
}

// take waits for a seat.
func (s *seats) take(ctx context.Context) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	s.waiting = append(s.waiting, ready)
	var oldest *Session
	if len(s.idle) > 0 && s.wanted() {
		oldest = s.idle[0]
		oldest.part()
	}
	s.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close() // its host sees that it has ended
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.waiting, ready); at >= 0 {
		s.waiting = slices.Delete(s.waiting, at, at+1)
	} else {
		s.give()
	}
	return context.Cause(ctx)
}

// wanted says that there are sessions that wait for more than what is coming; mu is held.
func (s *seats) wanted() bool { return len(s.waiting) > s.coming }

// give gives a seat back, or to the first that waits; mu is held.
func (s *seats) give() {
	if len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		return
	}
	s.free++
}

// seat is what a session has of the seats of its dialer. Its fields are under their mu.
type seat struct {
	of     *seats // nil: it was not started by a dialer
	taken  bool   // it has one
	users  int
	kept   bool
	parted bool // it is closed, or about to be
}

// part takes a session out of use for ever; mu is held.
func (s *Session) part() {
	if s.seat.taken && !s.seat.parted {
		s.seat.of.coming++
	}
	s.seat.parted = true
	s.seat.of.idle = slices.DeleteFunc(s.seat.of.idle, func(each *Session) bool { return each == s })
}

// Use says that the session is about to be used, and whether it still can be: one that nobody uses may have been closed meanwhile. Who
// has dialed uses it.
func (s *Session) Use() bool {
	of := s.seat.of
	if of == nil {
		return true
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	if s.seat.parted {
		return false
	}
	s.seat.users++
	of.idle = slices.DeleteFunc(of.idle, func(each *Session) bool { return each == s })
	return true
}

// Rest says that a use has ended. A session that nobody uses stays open until another is to be started in its place.
func (s *Session) Rest() {
	of := s.seat.of
	if of == nil {
		return
	}
	of.mu.Lock()
	s.seat.users--
	s.settle()
}

// Keep says whether the session is to stay open also while nobody uses it. One that was kept does not count from then on, and is closed
// when it is kept no longer and nobody uses it.
func (s *Session) Keep(keep bool) {
	of := s.seat.of
	if of == nil {
		return
	}
	of.mu.Lock()
	if s.seat.kept = keep; keep && !s.seat.parted {
		of.idle = slices.DeleteFunc(of.idle, func(each *Session) bool { return each == s })
		s.give()
	}
	s.settle()
}

// settle lets a session that nobody uses wait for its next use, or closes it where its seat is wanted; mu is held, and let go.
func (s *Session) settle() {
	of := s.seat.of
	if s.seat.users > 0 || s.seat.kept || s.seat.parted || slices.Contains(of.idle, s) {
		of.mu.Unlock()
		return
	}
	wanted := !s.seat.taken || of.wanted()
	if wanted {
		s.part()
	} else {
		of.idle = append(of.idle, s)
	}
	of.mu.Unlock()
	if wanted {
		_ = s.Close() // its host sees that it has ended
	}
}

// leave gives the session's seat back, when its program has ended.
func (s *Session) leave() {
	of := s.seat.of
	if of == nil {
		return
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	s.part()
	s.give()
}

// give gives the session's seat back, if it has one; mu is held.
func (s *Session) give() {
	if s.seat.taken {
		s.seat.taken = false
		if s.seat.parted {
			s.seat.of.coming--
		}
		s.seat.of.give()
	}
}
