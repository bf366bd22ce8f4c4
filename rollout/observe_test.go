package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
)

const (
	release0177 = multiversion.Release(17<<8 | 7)
	release0178 = multiversion.Release(17<<8 | 8)
)

// What a report says is in the observation, and what it does not say is not known.
func TestObserve(t *testing.T) {
	t.Parallel()
	replicaOf := func(change func(*host.Replica)) host.Replica {
		r := host.Replica{Process: replica.Process{
			PID: 7, Addresses: "3001,3002,3003,3004,3005,3006,3007", Replica: true, Polls: true, State: replica.StateRunning, Running: replica.Running{Release: release0177},
			Superblock: &datafile.Superblock{Cluster: datafile.NewID(7), ReplicaIndex: 2, ReplicaCount: 6, Release: release0177, View: 3, CheckpointOp: 40},
			Armed:      &replica.Armed{Current: release0178, Checksum: multiversion.Checksum{1}, Offered: []multiversion.Release{release0177, release0178}},
			Peers:      &replica.Peers{Others: 6, Connected: 5, Replicas: 4},
		}, Answer: &host.Answer{Pong: replica.Pong{Replica: 2, View: 9, Release: release0177}}}
		change(&r)
		return r
	}
	status := &report.Status{
		Target: fsatomic.Target{Path: "/a"}, LockObserved: true, Observed: true, StateObserved: true, HolderObserved: true,
		Last:      &install.Record{Time: time.Unix(100, 0), New: &install.File{SHA256: strings.Repeat("7", 64)}},
		Installed: &install.File{SHA256: strings.Repeat("7", 64), Size: 9, Release: release0177, Releases: []multiversion.Release{release0177}},
		Fence:     &fleet.Fence{Generation: 4}, HolderAlive: true,
		Replicas: []host.Replica{
			replicaOf(func(*host.Replica) {}),
			replicaOf(func(r *host.Replica) { r.Stranger = true }),
			replicaOf(func(r *host.Replica) { r.Superblock, r.Armed, r.Peers, r.Answer = nil, nil, nil, nil }),
			replicaOf(func(r *host.Replica) { r.Replica = false }),
		},
	}
	unread, unheld := *status, *status
	unread.StateObserved, unread.Fence, unread.Last = false, nil, nil
	unheld.HolderObserved = false
	hidden := &report.Status{Target: fsatomic.Target{Path: "/b"}, Hidden: []string{"/b"}, LockObserved: true, StateObserved: true}
	room, storeRoom := int64(5), int64(depot.ReceivedSpareMin+6)
	shown := rollout.Observe("tb2", &report.Host{Time: time.Unix(160, 0), StoreRoom: &storeRoom, Machine: "m", Boot: "b", Tbctl: "v", Platform: multiversion.PlatformX86_64Linux, Targets: []report.HostTarget{
		{Path: "/a", Status: status, Room: &room, Place: "1:2:a"}, {Path: "/b", Status: hidden}, {Path: "/c", Problem: "it is a directory"},
		{Path: "/d", Status: &unread}, {Path: "/e", Status: &unheld},
	}})
	if len(shown) != 5 {
		t.Fatalf("%+v", shown)
	}
	if problem := shown[3].Problem; problem == nil || !strings.HasPrefix(problem.Hint, "on tb2: look at it, as root: ls -l /.a.tbctl-state; ") || !strings.HasSuffix(problem.Hint, ": mv /.a.tbctl-state /.a.tbctl-state.away") {
		t.Errorf("%+v", problem)
	}
	for free, want := range map[int64]int64{depot.ReceivedSpareMin: 0, depot.ReceivedSpareMin - 1: 0, 0: 0} {
		if full := rollout.Observe("tb2", &report.Host{StoreRoom: &free, Targets: []report.HostTarget{{Path: "/a"}}}); full[0].StoreRoom != want {
			t.Errorf("with %d bytes free its store is said to take %d", free, full[0].StoreRoom)
		}
	}
	first := shown[0]
	if first.Host != "tb2" || first.Target != "/a" || first.Problem != nil || first.Machine != "m" || first.Boot != "b" || first.Tbctl != "v" || first.Room != 5 || first.StoreRoom != 6 || first.Place != "1:2:a" || shown[1].Room != -1 ||
		first.Installed == nil || first.Installed.SHA256 != "sha256:"+strings.Repeat("7", 64) || first.Fence == nil || first.InstalledFor != time.Minute || !first.Alive || len(first.Blind) != 0 || first.Stored || first.Checked {
		t.Errorf("%+v", first)
	}
	if len(first.Replicas) != 2 {
		t.Fatalf("%+v", first.Replicas)
	}
	whole, bare := first.Replicas[0], first.Replicas[1]
	if whole.Index != 2 || whole.Count != 6 || whole.Members != 7 || whole.Cluster != strings.Repeat("0", 31)+"7" || !whole.Answers || whole.View != 9 || whole.Peers != 4 || whole.Armed == nil ||
		whole.ArmedRelease != release0178 || whole.Durable != release0177 || whole.Checkpoint != 40 || whole.State != "running" {
		t.Errorf("%+v", whole)
	}
	if bare.Index != -1 || bare.Count != 0 || bare.Cluster != "" || bare.Answers || bare.Peers != -1 || bare.Armed != nil || bare.Durable != 0 {
		t.Errorf("%+v", bare)
	}
	if shown[1].Problem == nil || shown[1].Installed != nil || len(shown[1].Blind) == 0 {
		t.Errorf("%+v", shown[1])
	}
	if shown[2].Problem == nil || !strings.Contains(shown[2].Problem.Message, "directory") {
		t.Errorf("%+v", shown[2].Problem)
	}
	for _, o := range shown[3:] { // no fence, or nobody's, is not what was seen
		if o.Problem == nil || o.Problem.Reason != fleet.ProblemUnseen || !strings.Contains(o.Problem.Message, "cannot be seen") {
			t.Errorf("%+v", o.Problem)
		}
	}
}

// TestObserveUnsettled: an operation of which the host has no outcome is seen, but not while it may be under way.
func TestObserveUnsettled(t *testing.T) {
	t.Parallel()
	intent := install.Record{Operation: install.OperationInstall, Time: time.Unix(100, 0), Error: "sync /opt: input/output error"}
	for name, test := range map[string]struct {
		change func(*report.Status)
		want   string
	}{
		"none":           {func(s *report.Status) { s.Interrupted = nil }, ""},
		"the disk":       {func(*report.Status) {}, "the outcome of the install of 1970-01-01T00:01:40Z there is not known: sync /opt: input/output error"},
		"killed":         {func(s *report.Status) { s.Interrupted[0].Intent.Error = "" }, "the outcome of the install of 1970-01-01T00:01:40Z there is not known"},
		"under way":      {func(s *report.Status) { s.Interrupted[0].Busy = true }, ""},
		"it has a lock":  {func(s *report.Status) { s.HeldBy = &durable.Holder{PID: 7} }, ""},
		"and a rollback": {func(s *report.Status) { s.Interrupted[0].Intent.Operation = install.OperationRollback }, "the outcome of the rollback of 1970"},
	} {
		status := &report.Status{Target: fsatomic.Target{Path: "/a"}, LockObserved: true, StateObserved: true, Interrupted: []install.Interrupted{{Intent: intent}}}
		test.change(status)
		got := rollout.Observe("tb2", &report.Host{Targets: []report.HostTarget{{Path: "/a", Status: status}}})[0].Unsettled
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestUnseen: a host that could not be asked has the reason of its connection, and what its own tbctl says is to be done.
func TestUnseen(t *testing.T) {
	t.Parallel()
	lost := rollout.Unseen("tb1", "/a", &remote.SessionError{Host: "tb1", Reason: remote.ReasonKeyChanged}).Problem
	if lost.Reason != fleet.ProblemReason(remote.ReasonKeyChanged) || lost.Hint != "" {
		t.Errorf("%+v", lost)
	}
	misset := rollout.Unseen("tb1", "/a", &remote.SessionError{Host: "tb1", Reason: remote.ReasonStart, Said: "tbctl: error: configuration /c: x\ntbctl: hint: mend or remove /c\n"}).Problem
	if misset.Hint != "on tb1: mend or remove /c" || misset.Message != "its tbctl does not start: configuration /c: x" {
		t.Errorf("%+v", misset)
	}
	if other := rollout.Unseen("tb1", "/a", errors.New("no report")).Problem; other.Reason != fleet.ProblemUnseen {
		t.Errorf("%+v", other)
	}
}

// oneHost is a host that answers as it is told to.
type oneHost struct {
	observe func(context.Context) ([]fleet.Observation, error)
}

func (h oneHost) Observe(ctx context.Context) ([]fleet.Observation, error)      { return h.observe(ctx) }
func (oneHost) Store(context.Context) ([]depot.Artifact, error)                 { return nil, nil }
func (oneHost) Lacks(context.Context, string, *rollout.Artifact) (int64, error) { return 0, nil }
func (oneHost) Send(context.Context, string, *rollout.Artifact) (rollout.Sent, error) {
	return rollout.Sent{}, nil
}
func (oneHost) OpenDepot(context.Context, string, string) (remote.DepotAnswer, error) {
	return remote.DepotAnswer{}, nil
}
func (oneHost) Copy(context.Context, remote.CopyRequest) (rollout.Sent, error) {
	return rollout.Sent{}, nil
}
func (oneHost) Claim(context.Context, remote.ClaimRequest) (fleet.Fence, error) {
	return fleet.Fence{}, nil
}
func (oneHost) Check(context.Context, remote.CheckRequest) ([]string, error)     { return nil, nil }
func (oneHost) Restart(context.Context, remote.RestartRequest) ([]string, error) { return nil, nil }
func (oneHost) Phase(context.Context, remote.PhaseRequest) error                 { return nil }
func (oneHost) Advise(context.Context, remote.AdvisoriesRequest) error           { return nil }
func (oneHost) Swap(context.Context, remote.SwapRequest) ([]string, error)       { return nil, nil }
func (oneHost) Close() error                                                     { return nil }

// Every place has an observation, in its order, and each host is asked once; what hinders one is no obstacle to another.
func TestCollect(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	hosts := map[string]oneHost{
		"tb0": {func(context.Context) ([]fleet.Observation, error) {
			asked <- "tb0"
			return []fleet.Observation{{Host: "tb0", Target: "/a"}, {Host: "tb0", Target: "/b"}}, nil
		}},
		"tb1": {func(context.Context) ([]fleet.Observation, error) {
			return nil, &remote.SessionError{Host: "tb1", Reason: remote.ReasonUnreachable, Err: errors.New("no route")}
		}},
		"tb2": {func(context.Context) ([]fleet.Observation, error) { return []fleet.Observation{}, nil }},
	}
	places := []rollout.Place{{"tb1", ""}, {"tb0", "/b"}, {"tb0", "/c"}, {"tb0", ""}, {"tb2", ""}}
	shown := rollout.Collect(t.Context(), func(name string) rollout.Host { return hosts[name] }, places, &fleet.Artifact{}, 2)
	var words []string
	for _, o := range shown {
		word := o.Host + o.Target
		if o.Problem != nil {
			word += ": " + o.Problem.Message
		}
		words = append(words, word)
	}
	want := []string{"tb1: cannot be reached", "tb0/b", `tb0/c: its configuration does not name the target "/c": its targets are ["/a" "/b"]`, "tb0/a", "tb0/b", "tb2: its configuration names no target"}
	for index := range want {
		if index >= len(words) || !strings.HasPrefix(words[index], want[index]) {
			t.Fatalf("%q, want %q", words, want)
		}
	}
	if len(words) != len(want) || len(asked) != 1 {
		t.Errorf("%q, and tb0 was asked %d times", words, len(asked))
	}
}
