package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tbctl/tbctl/replica"
)

// Answer is a replica's answer to a ping.
type Answer struct {
	replica.Pong
	Milliseconds int64 `json:"milliseconds"` // that it took
}

// NoAnswerKind says in one word why there is no answer.
type NoAnswerKind string

// The kinds.
const (
	NoAnswerCannotAsk NoAnswerKind = "cannot-ask"  // whether it serves cannot be seen from here, now or later
	NoAnswerSilent    NoAnswerKind = "silent"      // nothing came in time
	NoAnswerClosed    NoAnswerKind = "closed"      // the connection was closed
	NoAnswerEvicted   NoAnswerKind = "turned-away" // it serves no client of this release
	NoAnswerFailed    NoAnswerKind = "failed"      // nothing listens there, or what came is no answer
)

func noAnswerKind(err error) NoAnswerKind {
	if _, ok := errors.AsType[*replica.CannotAskError](err); ok {
		return NoAnswerCannotAsk
	}
	if _, ok := errors.AsType[*replica.EvictionError](err); ok {
		return NoAnswerEvicted
	}
	switch {
	case errors.Is(err, replica.ErrSilent):
		return NoAnswerSilent
	case errors.Is(err, replica.ErrClosed):
		return NoAnswerClosed
	}
	return NoAnswerFailed
}

// askingMax is how many replicas are asked at a time.
const askingMax = 8

// Ask asks the replicas that run and count whether they serve, each for a second at most, and notes what they
// answer. A standby never answers.
func Ask(ctx context.Context, replicas []Replica) {
	var asked sync.WaitGroup
	turn := make(chan struct{}, askingMax)
	for index := range replicas {
		r := &replicas[index]
		if !r.Counts() || r.State != replica.StateRunning || r.Superblock == nil || r.Superblock.Standby {
			continue
		}
		turn <- struct{}{}
		asked.Go(func() {
			defer func() { <-turn }()
			before := time.Now()
			pong, err := r.Process.Ask(ctx)
			if err != nil {
				r.NoAnswer, r.NoAnswerKind = err.Error(), noAnswerKind(err)
				return
			}
			r.Answer = &Answer{pong, time.Since(before).Milliseconds()}
		})
	}
	asked.Wait()
}
