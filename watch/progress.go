package watch

import (
	"fmt"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// stepsMax is how many steps are remembered: a host has a few for each replica and release. What comes
// after so many is none, so that a process that makes steps up is not waited for without end.
const stepsMax = 1 << 12

// Progress is the last time that a replica came further than any time before.
type Progress struct {
	Time time.Time `json:"time"`
	What string    `json:"what"` // for people
}

// step is a place that a replica can come to. It is told by its data file: one that crashes and is
// started again and again comes no further.
type step struct {
	dataFile string
	what     string
	release  multiversion.Release
	checksum multiversion.Checksum
}

// progress remembers where the replicas have been.
type progress struct {
	seen map[step]bool
	last Progress // zero: none since the first look
}

// note takes note of how the replicas that count are, and of those that answered, and reports whether one of
// them came further.
func (p *progress) note(now time.Time, processes []replica.Process, answers []Answer) bool {
	further := false
	first := p.seen == nil
	if first {
		p.seen = make(map[step]bool)
	}
	reach := func(process *replica.Process, reached step, text string) {
		reached.dataFile = process.DataFile
		if p.seen[reached] || len(p.seen) >= stepsMax {
			return
		}
		p.seen[reached] = true
		if !first {
			further = true
			p.last = Progress{Time: now.UTC(), What: fmt.Sprintf("process %d %s", process.PID, text)}
		}
	}
	for index := range processes {
		process := &processes[index]
		if !process.Counts() {
			continue
		}
		if process.Superblock != nil {
			release := process.Superblock.Release
			reach(process, step{what: "durable", release: release}, "has its data at "+release.String())
		}
		if process.State == replica.StateStarting {
			reach(process, step{what: "starting", release: process.Settles()}, "starts on "+nameOf(process.Settles()))
			continue
		}
		if process.Running.Certain && process.State != replica.StateStopped {
			reach(process, step{what: "running", release: process.Running.Release}, "runs "+process.Running.Release.String())
		}
		if process.Armed != nil {
			reach(process, step{what: "armed", checksum: process.Armed.Checksum}, "is armed with "+process.Armed.Current.String())
		}
		for _, answer := range answers {
			if answer.PID == process.PID && answer.Pong != nil {
				reach(process, step{what: "serving", release: answer.Pong.Release}, "serves with "+answer.Pong.Release.String())
			}
		}
	}
	return further
}

// patience is a time that starts again with every progress.
type patience struct {
	limit time.Duration // 0: it has no end
	timer *time.Timer
	over  bool
}

func newPatience(limit time.Duration) patience {
	if limit == 0 {
		return patience{}
	}
	return patience{limit: limit, timer: time.NewTimer(limit)}
}

// start starts it again.
func (p *patience) start() {
	if p.timer != nil {
		p.timer.Reset(p.limit)
		p.over = false
	}
}

// ended is where it says that it is over; never, without a limit.
func (p *patience) ended() <-chan time.Time {
	if p.timer == nil {
		return nil
	}
	return p.timer.C
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
