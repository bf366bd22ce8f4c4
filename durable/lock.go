package durable

import (
	"context"
	"time"
)

const (
	lockPollFirst   = 10 * time.Millisecond
	lockPollLongest = 250 * time.Millisecond
	lockRacesMax    = 100 // files removed under our hands
)

// sleep waits for the time to pass or for the context to end.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
