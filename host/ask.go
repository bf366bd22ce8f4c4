package host

import (
	"context"
	"sync"
	"time"

	"github.com/tbctl/tbctl/replica"
)

// Answer is a replica's answer to a ping.
type Answer struct {
	replica.Pong
	Milliseconds int64 `json:"milliseconds"` // that it took
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
				r.NoAnswer = err.Error()
				return
			}
			r.Answer = &Answer{pong, time.Since(before).Milliseconds()}
		})
	}
	asked.Wait()
}
