package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// at is a replica whose data file has the release durable and that executes another.
func at(state replica.State, executes, durable multiversion.Release) replica.Process {
	return replica.Process{
		PID: 1, Started: time.Unix(1000, 0), Replica: true, Polls: true, State: state, DataFile: "0_0.tigerbeetle",
		Running:    replica.Running{Release: executes, Certain: executes == durable},
		Superblock: &datafile.Superblock{Release: durable},
	}
}

func armedWith(process replica.Process, releases ...multiversion.Release) replica.Process {
	process.Armed = &replica.Armed{Current: releases[len(releases)-1], Releases: releases, Offered: releases}
	return process
}

func TestChanges(t *testing.T) {
	t.Parallel()
	one := at(replica.StateRunning, 5, 5)
	reborn, repl := one, one
	reborn.Started = one.Started.Add(time.Second)
	repl.Replica = false
	armed := armedWith(one, 5, 6)
	stopped := at(replica.StateStopped, 5, 5)
	newest, opens := at(replica.StateStarting, 8, 6), at(replica.StateStarting, 6, 6)
	tests := []struct {
		name  string
		looks [][]replica.Process
		want  []Kind
	}{
		{"nothing", [][]replica.Process{{one}, {one}}, []Kind{KindReplica}},
		{"ended", [][]replica.Process{{one}, nil}, []Kind{KindReplica, KindReplicaEnded}},
		{"upgraded, and nobody saw it start", [][]replica.Process{{one}, {at(replica.StateRunning, 6, 6)}}, []Kind{KindReplica, KindReplicaRunning}},
		{"what runs is known now", [][]replica.Process{{at(replica.StateUnknown, 0, 5)}, {at(replica.StateUnknown, 5, 5)}}, []Kind{KindReplica, KindReplicaRunning}},
		{"armed", [][]replica.Process{{one}, {armed}}, []Kind{KindReplica, KindReplicaArmed}},
		{"disarmed", [][]replica.Process{{armed}, {one}}, []Kind{KindReplica, KindReplicaArmed}},
		{"both", [][]replica.Process{{one}, {armedWith(at(replica.StateRunning, 6, 6), 5, 6)}}, []Kind{KindReplica, KindReplicaRunning, KindReplicaArmed}},
		{"the pid is another's now", [][]replica.Process{{one}, {reborn}}, []Kind{KindReplica, KindReplica, KindReplicaEnded}},
		{"not a replica", [][]replica.Process{{repl}}, nil},

		// The newest release always starts; nothing that it shows meanwhile is an event.
		{"starts", [][]replica.Process{{newest}, {armedWith(newest, 6, 8)}, {opens}, {armedWith(opens, 6, 8)}, {armedWith(at(replica.StateRunning, 6, 6), 6, 8)}},
			[]Kind{KindReplica, KindReplicaRunning}},
		{"starts again on the same release", [][]replica.Process{{armed}, {at(replica.StateStarting, 8, 5)}, {armed}}, []Kind{KindReplica, KindReplicaStarting, KindReplicaRunning}},
		{"upgrades over a stop", [][]replica.Process{{armed}, {at(replica.StateStarting, 5, 6)}, {newest}, {opens}, {armedWith(at(replica.StateRunning, 6, 6), 5, 6)},
			{at(replica.StateStarting, 8, 8)}, {armedWith(at(replica.StateRunning, 8, 8), 5, 6, 8)}},
			[]Kind{KindReplica, KindReplicaStarting, KindReplicaRunning, KindReplicaStarting, KindReplicaRunning, KindReplicaArmed}},
		{"a stop that nobody saw run", [][]replica.Process{{one}, {newest}, {at(replica.StateStarting, 8, 8)}}, []Kind{KindReplica, KindReplicaStarting, KindReplicaStarting}},
		{"stopped and continued", [][]replica.Process{{one}, {stopped}, {stopped}, {one}}, []Kind{KindReplica, KindReplicaStopped, KindReplicaRunning}},
		{"ends while it starts", [][]replica.Process{{newest}, nil}, []Kind{KindReplica, KindReplicaEnded}},
	}
	for _, test := range tests {
		var tracker tracker
		var got []Kind
		for _, look := range test.looks {
			for _, event := range tracker.changes("x", look, nil) {
				got = append(got, event.Kind)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestNoAnswer: a replica that could not be looked at has not ended, and is no new one when it can be again.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	one := at(replica.StateRunning, 5, 5)
	late := []replica.Unseen{{Kind: replica.UnseenNoAnswer, PID: one.PID}}
	other := []replica.Unseen{{Kind: replica.UnseenNoAnswer, PID: one.PID + 1}}
	more := []replica.Unseen{{Kind: replica.UnseenNoAnswer}}
	forbidden := []replica.Unseen{{Kind: replica.UnseenForbidden, PID: one.PID}}
	var tracker tracker
	for index, look := range []struct {
		found  []replica.Process
		unseen []replica.Unseen
		want   []Kind
	}{
		{[]replica.Process{one}, nil, []Kind{KindReplica}},
		{nil, late, nil},
		{nil, more, nil},
		{[]replica.Process{one}, nil, nil},
		{nil, other, []Kind{KindReplicaEnded}},
		{[]replica.Process{one}, nil, []Kind{KindReplica}},
		{nil, forbidden, []Kind{KindReplicaEnded}},
	} {
		var got []Kind
		for _, event := range tracker.changes("x", look.found, look.unseen) {
			got = append(got, event.Kind)
		}
		if !slices.Equal(got, look.want) {
			t.Errorf("look %d: %v, want %v", index, got, look.want)
		}
	}
}

// A condition is met by what was seen, and by nothing while the replica starts.
func TestMet(t *testing.T) {
	t.Parallel()
	running, starting, unseen := armedWith(at(replica.StateRunning, 6, 6), 5, 6, 7), armedWith(at(replica.StateStarting, 6, 6), 5, 6, 7), at(replica.StateUnknown, 6, 6)
	uncertain := at(replica.StateRunning, 6, 6)
	uncertain.Running.Certain = false
	other := running
	other.PID, other.DataFile = 2, "0_1.tigerbeetle"
	stopped := armedWith(at(replica.StateStopped, 6, 6), 5, 6, 7)
	stranger, service, halted := running, running, stopped
	stranger.PID, stranger.Stranger, stranger.UID = 3, true, 45551
	halted.PID, halted.Stranger, halted.UID = 4, true, 45551
	service.PID, service.Stranger, service.Service = 5, true, "tigerbeetle.service"
	pong := func(pid int, release multiversion.Release) Answer {
		return Answer{PID: pid, Pong: &replica.Pong{Release: release}}
	}
	tests := []struct {
		name      string
		condition Condition
		processes []replica.Process
		answers   []Answer
		want      bool
	}{
		{"nobody", Condition{What: ConditionRunning, Release: 6}, nil, nil, false},
		{"runs", Condition{What: ConditionRunning, Release: 6}, []replica.Process{running}, nil, true},
		{"runs another", Condition{What: ConditionRunning, Release: 7}, []replica.Process{running}, nil, false},
		{"starts", Condition{What: ConditionRunning, Release: 6}, []replica.Process{starting}, nil, false},
		{"one of two starts", Condition{What: ConditionRunning, Release: 6}, []replica.Process{running, starting}, nil, false},
		{"not seen to listen", Condition{What: ConditionRunning, Release: 6}, []replica.Process{unseen}, nil, false},
		{"not certain", Condition{What: ConditionRunning, Release: 6}, []replica.Process{uncertain}, nil, false},
		{"armed", Condition{What: ConditionArmed, Release: 7}, []replica.Process{running}, nil, true},
		{"armed, and starts", Condition{What: ConditionArmed, Release: 7}, []replica.Process{starting}, nil, false},
		{"offers", Condition{What: ConditionOffered, Release: 7}, []replica.Process{running}, nil, true},
		{"offers, and starts", Condition{What: ConditionOffered, Release: 7}, []replica.Process{starting}, nil, false},
		{"durable", Condition{What: ConditionDurable, Release: 6}, []replica.Process{starting}, nil, true},
		{"durable at another", Condition{What: ConditionDurable, Release: 7}, []replica.Process{running}, nil, false},
		{"no data file", Condition{What: ConditionDurable, Release: 6}, []replica.Process{{PID: 1, Replica: true}}, nil, false},
		{"not asked", Condition{What: ConditionServing, Release: 6}, []replica.Process{running}, nil, false},
		{"serves", Condition{What: ConditionServing, Release: 6}, []replica.Process{running}, []Answer{pong(1, 6)}, true},
		{"serves with any", Condition{What: ConditionServing}, []replica.Process{running}, []Answer{pong(1, 6)}, true},
		{"answers with another", Condition{What: ConditionServing, Release: 6}, []replica.Process{running}, []Answer{pong(1, 7)}, false},
		{"answered, and starts again", Condition{What: ConditionServing, Release: 6}, []replica.Process{starting}, []Answer{pong(1, 6)}, false},
		{"silent", Condition{What: ConditionServing, Release: 6}, []replica.Process{running}, []Answer{{PID: 1, Err: replica.ErrSilent}}, false},
		{"one of two is silent", Condition{What: ConditionServing, Release: 6}, []replica.Process{running, other}, []Answer{pong(1, 6)}, false},
		{"stopped", Condition{What: ConditionRunning, Release: 6}, []replica.Process{stopped}, nil, false},
		{"stopped, and runs any", Condition{What: ConditionRunning}, []replica.Process{stopped}, nil, false},
		{"answered, and is stopped since", Condition{What: ConditionServing}, []replica.Process{stopped}, []Answer{pong(1, 6)}, false},
		{"stopped, and holds it", Condition{What: ConditionArmed, Release: 7}, []replica.Process{stopped}, nil, false},
		{"a stranger alone", Condition{What: ConditionRunning}, []replica.Process{stranger}, nil, false},
		{"a stranger's data", Condition{What: ConditionDurable, Release: 6}, []replica.Process{stranger}, nil, false},
		{"a stranger serves, and the replica starts", Condition{What: ConditionServing}, []replica.Process{starting, stranger}, []Answer{pong(3, 6)}, false},
		{"a stranger is stopped", Condition{What: ConditionRunning}, []replica.Process{running, halted}, nil, true},
		{"a service of another user", Condition{What: ConditionRunning}, []replica.Process{service}, nil, true},
		{"one of two, a service, runs another", Condition{What: ConditionRunning, Release: 6}, []replica.Process{at(replica.StateRunning, 7, 7), service}, nil, false},
		{"both serve", Condition{What: ConditionServing, Release: 6}, []replica.Process{running, other}, []Answer{pong(1, 6), pong(2, 6)}, true},
	}
	for _, test := range tests {
		if got, err := test.condition.met(test.processes, test.answers); err != nil || got != test.want {
			t.Errorf("%s: %t, %v, want %t", test.name, got, err, test.want)
		}
	}
	cannot := &replica.CannotAskError{PID: 2, Reason: "it is a standby"}
	starts := starting
	starts.Polls, starts.NoPolling, starts.Armed = false, "--development", nil
	if met, err := (Condition{What: ConditionServing}).met([]replica.Process{starting, other}, []Answer{{PID: 2, Err: cannot}}); met || err != error(cannot) {
		t.Errorf("what cannot be asked: %t, %v", met, err)
	}
	if met, err := (Condition{What: ConditionArmed, Release: 7}).met([]replica.Process{starts}, nil); met || err != nil {
		t.Errorf("one that takes the file when it starts, and starts: %t, %v", met, err)
	}
}
