package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tbctl/tbctl/report"
)

const (
	redialFirst = time.Second      // after a session was lost; then twice as long each time
	redialMax   = 30 * time.Second // but no longer than this
)

// Follow asks a host for its report again and again, over the same session as long as [SessionsMax] allows, until the context ends. Each answer is told, or
// why there is none; interval is the time from an answer to the next question. A session that is lost, or cannot be had, is
// tried again after a while that grows with each failure. One question at a time is under way.
func (d *Dialer) Follow(ctx context.Context, host string, interval time.Duration, tell func(*report.Host, error)) {
	var session *Session
	defer func() { session.Close() }()
	again := redialFirst
	for {
		var shown *report.Host
		var err error
		if session == nil || !session.Use() {
			session, err = d.Dial(ctx, host)
		}
		if err == nil {
			shown, err = session.Report(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if session != nil {
			session.Rest()
		}
		tell(shown, err)
		wait := interval
		var answered *AnswerError
		switch {
		case err == nil:
			again = redialFirst
		case errors.As(err, &answered): // the session is there, and the host cannot tell now
		default:
			session.Close()
			session = nil
			wait = max(interval, again/2+rand.N(again/2)) // not all at once after a network's failure
			again = min(2*again, redialMax)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
