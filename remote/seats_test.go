package remote

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
)

// openOnes are sessions, and how many of their programs run.
type openOnes struct {
	mu  sync.Mutex
	all []*Session
}

func (o *openOnes) add(s *Session) (running int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, s)
	for _, each := range o.all {
		select {
		case <-each.program.exited:
		default:
			running++
		}
	}
	return running
}

// TestSessionsMax holds how many sessions are open at once: one that nobody uses is closed for another, and one that is used is not.
func TestSessionsMax(t *testing.T) {
	t.Parallel()
	const most, count = 3, 12
	dialer := testDialer()
	dialer.Sessions = most
	var open openOnes
	defer func() {
		for _, session := range open.all {
			session.Close()
		}
	}()
	dial := func() *Session {
		session, err := dialer.Dial(t.Context(), "good")
		if err != nil {
			t.Error(err)
			return nil
		}
		if running := open.add(session); running > most {
			t.Errorf("%d sessions are open, of at most %d", running, most)
		}
		return session
	}
	var asked sync.WaitGroup
	for range count {
		asked.Go(func() {
			session := dial()
			if session == nil {
				return
			}
			defer session.Rest()
			if text, err := ask(t.Context(), session, http.MethodGet, "/hello", nil); err != nil || text != "hello" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	asked.Wait()
	var used []*Session
	for _, session := range open.all {
		if session.Use() {
			used = append(used, session)
		} else if _, err := ask(t.Context(), session, http.MethodGet, "/hello", nil); err == nil {
			t.Error("a session that was closed answers")
		}
	}
	if len(used) != most {
		t.Fatalf("%d of %d sessions can be used", len(used), most)
	}

	// All are used: another waits, and with its context's end it has taken nothing.
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := dialer.Dial(ctx, "good")
		waits <- err
	}()
	select {
	case err := <-waits:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}

	// One that is kept does not count, and is not closed for another; kept no longer, it ends with its last use.
	kept := used[0]
	kept.Keep(true)
	kept.Rest()
	more := dialed(t, dialer, 1)[0]
	if !kept.Use() {
		t.Error("a session that was kept was closed")
	}
	kept.Keep(false)
	if text, err := ask(t.Context(), kept, http.MethodGet, "/hello", nil); err != nil || text != "hello" {
		t.Errorf("while it is used: %q, %v", text, err)
	}
	kept.Rest()
	if kept.Use() {
		t.Error("a session that is kept no longer is still open, and there is no room for it")
	}
	for _, session := range append(used[1:], more) {
		session.Rest()
	}

	// A host that cannot be had takes nothing.
	for range 2 * most {
		if _, err := dialer.Dial(t.Context(), "refused"); err == nil {
			t.Error("there is a session with a host that refuses")
		}
	}
	for _, session := range dialed(t, dialer, most) {
		session.Close()
		session.Rest()
		session.Keep(false)
	}
	for _, session := range dialed(t, dialer, most) { // closed twice, a session gives one seat back
		session.Close()
		session.Close()
	}
	if dialer.open.free != most || dialer.open.coming != 0 || len(dialer.open.waiting) > 0 || len(dialer.open.idle) > 0 {
		t.Errorf("%d seats are free, of %d; %d wait and %d are idle", dialer.open.free, most, len(dialer.open.waiting), len(dialer.open.idle))
	}
}

// dialed starts so many sessions.
func dialed(t *testing.T, dialer *Dialer, count int) (sessions []*Session) {
	t.Helper()
	for range count {
		session, err := dialer.Dial(t.Context(), "good")
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, session)
	}
	return sessions
}
