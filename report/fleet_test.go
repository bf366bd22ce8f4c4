package report

import (
	"errors"
	"testing"
	"time"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/replica"
)

// What a host shows is another thing when anything of it is, but for the time and how long its replicas took to answer; asking
// changes nothing of it.
func TestFleetEssence(t *testing.T) {
	t.Parallel()
	shown := func(at time.Time, milliseconds int64, view uint32) FleetHost {
		answer := &host.Answer{Pong: replica.Pong{View: view}, Milliseconds: milliseconds}
		return FleetHost{Name: "tb0", Report: &Host{Time: at, Targets: []HostTarget{{Path: "/a", Status: &Status{Replicas: []host.Replica{{Answer: answer}}}}, {Path: "/b"}}}}
	}
	essence := func(h FleetHost) string {
		text, err := h.Essence()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first := shown(now, 3, 7)
	want := essence(first)
	if first.Report.Time != now || first.Report.Targets[0].Status.Replicas[0].Answer.Milliseconds != 3 {
		t.Errorf("%+v", first.Report)
	}
	problem := first
	problem.Problem = &FleetProblem{Message: "it is gone"}
	for name, test := range map[string]struct {
		host FleetHost
		same bool
	}{
		"later, and slower": {shown(now.Add(time.Second), 9, 7), true},
		"another view":      {shown(now, 3, 8), false},
		"a problem":         {problem, false},
		"not asked yet":     {FleetHost{Name: "tb0"}, false},
	} {
		if got := essence(test.host); (got == want) != test.same {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A target whose state beside it cannot be read was not looked at as a whole: whether a rollout has it is not known.
func TestFleetErr(t *testing.T) {
	t.Parallel()
	shown := func(s *Status) *Fleet {
		return &Fleet{Hosts: []FleetHost{{Name: "tb0", Target: "/a", Report: &Host{Targets: []HostTarget{{Path: "/a", Status: s}, {Path: "/b"}}}}}}
	}
	if err := shown(&Status{StateObserved: true}).Err(); err != nil {
		t.Error(err)
	}
	for _, status := range []*Status{nil, {StateProblem: "it is cut short"}} {
		err, is := errors.AsType[*UnseenError](shown(status).Err())
		if !is || !err.Asked || err.Error() != "the targets of 1 of 1 hosts could not be looked at as a whole" {
			t.Errorf("%+v: %v", status, err)
		}
	}
}
