package watch

import (
	"testing"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// What a replica has been at before is no progress, however often it is started.
func TestProgress(t *testing.T) {
	t.Parallel()
	again := at(replica.StateStarting, 8, 6)
	again.PID = 9
	elsewhere := at(replica.StateStarting, 8, 6)
	elsewhere.DataFile = "0_1.tigerbeetle"
	served := []Answer{{PID: 1, Pong: &replica.Pong{Release: 6}}}
	looks := []struct {
		name      string
		processes []replica.Process
		answers   []Answer
		want      string // what is progress, "" for none
	}{
		{"the first look", []replica.Process{at(replica.StateRunning, 5, 5)}, nil, ""},
		{"the same", []replica.Process{at(replica.StateRunning, 5, 5)}, nil, ""},
		{"armed", []replica.Process{armedWith(at(replica.StateRunning, 5, 5), 5, 8)}, nil, "process 1 is armed with 0.0.8"},
		{"its data is further", []replica.Process{at(replica.StateStarting, 8, 6)}, nil, "process 1 starts on 0.0.6"},
		{"the newest is there again", []replica.Process{at(replica.StateStarting, 8, 6)}, nil, ""},
		{"crashed, and starts again", []replica.Process{again}, nil, ""},
		{"gone", nil, nil, ""},
		{"runs", []replica.Process{at(replica.StateRunning, 6, 6)}, nil, "process 1 runs 0.0.6"},
		{"serves", []replica.Process{at(replica.StateRunning, 6, 6)}, served, "process 1 serves with 0.0.6"},
		{"serves still", []replica.Process{at(replica.StateRunning, 6, 6)}, served, ""},
		{"is silent", []replica.Process{at(replica.StateRunning, 6, 6)}, []Answer{{PID: 1}}, ""},
		{"another starts", []replica.Process{elsewhere}, nil, "process 1 starts on 0.0.6"},
	}
	var p progress
	now := time.Unix(1000, 0)
	for _, look := range looks {
		now = now.Add(time.Second)
		before := p.last
		further := p.note(now, look.processes, look.answers)
		if further != (look.want != "") || further && (p.last.What != look.want || !p.last.Time.Equal(now)) || !further && p.last != before {
			t.Errorf("%s: %t, %+v, want %q", look.name, further, p.last, look.want)
		}
	}
}

// A process that makes up data files comes no further after some thousands.
func TestProgressEnds(t *testing.T) {
	t.Parallel()
	var p progress
	p.note(time.Unix(1, 0), nil, nil)
	made, steps := at(replica.StateStarting, 8, 6), 0
	for release := range multiversion.Release(2 * stepsMax) {
		made.Superblock.Release = release + 1
		if p.note(time.Unix(2, 0), []replica.Process{made}, nil) {
			steps++
		}
	}
	if steps > stepsMax || len(p.seen) > stepsMax {
		t.Errorf("%d steps, %d remembered", steps, len(p.seen))
	}
	made.Stranger = true
	p = progress{}
	p.note(time.Unix(1, 0), nil, nil)
	if p.note(time.Unix(2, 0), []replica.Process{made}, nil) || len(p.seen) > 0 {
		t.Errorf("a stranger came further: %+v", p)
	}
}
