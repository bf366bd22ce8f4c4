package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

// Observe is what a host's report shows of each of its targets, in their order. What the report does not
// say is not known. Name is the host as the plan or the inventory has it.
func Observe(name string, shown *report.Host) []fleet.Observation {
	observations := make([]fleet.Observation, 0, len(shown.Targets))
	for index := range shown.Targets {
		target := &shown.Targets[index]
		o := fleet.Observation{
			Host: name, Target: target.Path, Machine: shown.Machine, Boot: shown.Boot, Tbctl: shown.Tbctl, Platform: shown.Platform,
			Room: known(target.Room), StoreRoom: storeRoom(shown.StoreRoom), Place: target.Place, Require: shown.Require, PublicKey: shown.PublicKey,
		}
		if target.Status == nil {
			o.Problem = problem(name, target.Problem)
		} else {
			observeStatus(&o, target.Status, shown.Time)
			o.WayBackLost = target.WayBackLost
		}
		observations = append(observations, o)
	}
	return observations
}

// known is a figure, or -1.
func known(figure *int64) int64 {
	if figure == nil {
		return -1
	}
	return *figure
}

// storeRoom is how large an artifact may be that a host's store takes from another end, or -1: what is received leaves some room.
func storeRoom(free *int64) int64 {
	if free == nil {
		return -1
	}
	return max(*free-depot.ReceivedSpareMin, 0)
}

// Unseen is the observation of a host that could not be asked. Its reason is that of the connection.
func Unseen(name, target string, err error) fleet.Observation {
	o := fleet.Observation{Host: name, Target: target, Room: -1, StoreRoom: -1}
	o.Problem = problem(name, strings.TrimPrefix(err.Error(), "host "+name+": "))
	o.Problem.Hint = hintOf(err)
	if failed, ok := errors.AsType[*remote.SessionError](err); ok {
		o.Problem.Reason = fleet.ProblemReason(failed.Reason)
		if lacksTbctl(failed.Reason) {
			o.Problem.Hint = "install it there, or have this one put there: tbctl fleet plan --push-tbctl"
		}
	}
	return o
}

// hintOf is what an error of a host says is to be typed there; "": it says nothing.
func hintOf(err error) string {
	if knows, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return knows.Hint()
	}
	return ""
}

// NotNamed is the observation of a target that a host's own configuration does not name.
func NotNamed(name, target string, named []fleet.Observation) fleet.Observation {
	o := fleet.Observation{Host: name, Target: target, Room: -1, StoreRoom: -1}
	paths := []string{}
	for index := range named {
		paths = append(paths, named[index].Target)
		o.Machine, o.Boot, o.Tbctl, o.Platform = named[index].Machine, named[index].Boot, named[index].Tbctl, named[index].Platform
	}
	o.Problem = problem(name, fmt.Sprintf("its configuration does not name the target %q: its targets are %q", target, paths))
	if target == "" {
		o.Problem.Message = "its configuration names no target"
	}
	o.Problem.Hint = "name the target in /etc/tbctl/config.toml on " + name
	return o
}

func problem(name, message string) *fleet.Problem {
	return &fleet.Problem{Host: name, Replica: -1, Reason: fleet.ProblemUnseen, Message: message}
}

func observeStatus(o *fleet.Observation, status *report.Status, now time.Time) {
	if file := status.Installed; file != nil {
		o.Installed = &fleet.InstalledFile{Size: file.Size, Release: file.Release, Releases: file.Releases, Damaged: file.Damaged}
		if file.SHA256 != "" {
			o.Installed.SHA256 = sha.Name(file.SHA256)
		}
		if last := status.Recorded.Installed; last != nil && last.SHA256 != "" {
			o.Installed.Recorded = sha.Name(last.SHA256)
		}
	}
	switch {
	case status.Hides(status.Target.Path):
		o.Problem = problem(o.Host, "what is installed at "+status.Target.Path+" may not be read there")
	case !status.LockObserved:
		o.Problem = problem(o.Host, "whether another tbctl works on "+status.Target.Path+" cannot be seen there")
	case !status.StateObserved:
		why := cmp.Or(status.StateProblem, "what is kept beside it cannot be read, or is not to be believed")
		o.Problem = problem(o.Host, "whether a rollout has "+status.Target.Path+" cannot be seen there: "+why)
		o.Problem.Hint = "on " + o.Host + ": " + status.StateHint()
	case status.Fence != nil && !status.HolderObserved:
		o.Problem = problem(o.Host, "whether the run that has "+status.Target.Path+" is still alive cannot be seen there")
	}
	o.Fence, o.Alive, o.InstalledFor = status.Fence, status.HolderAlive, installedFor(status, now)
	if done := status.Despite; done != nil {
		o.Despite = fmt.Sprintf("%s by %s, %s", done.Operation, done.User, done.Time.UTC().Format(time.RFC3339))
	}
	if holder := status.HeldBy; holder != nil {
		o.Busy = holder.String()
	}
	for index := range status.Interrupted {
		if interrupted := &status.Interrupted[index]; !interrupted.Busy && status.HeldBy == nil {
			o.Unsettled = interrupted.String()
		}
	}
	for _, unseen := range status.Unseen {
		o.Blind = append(o.Blind, unseen.Reason)
	}
	if !status.Observed && len(o.Blind) == 0 {
		o.Blind = append(o.Blind, "not all processes there could be looked at")
	}
	for index := range status.Replicas {
		if r := &status.Replicas[index]; r.Counts() {
			o.Replicas = append(o.Replicas, observeReplica(r))
		}
	}
}

// installedFor is for how long the installed file has been at the target, by the host's own record of that; 0: it has none of this file.
func installedFor(status *report.Status, now time.Time) time.Duration {
	last := status.Last
	if last == nil || last.New == nil || status.Installed == nil || last.New.SHA256 != status.Installed.SHA256 || last.Time.IsZero() {
		return 0
	}
	return max(0, now.Sub(last.Time))
}

func observeReplica(r *host.Replica) fleet.Replica {
	o := fleet.Replica{
		PID: r.PID, Started: r.Started, Polls: r.Polls, NoPolling: r.NoPolling,
		Index: -1, Members: r.Members(), State: string(r.State), Running: r.Running.Release, NoAnswer: r.NoAnswer, Peers: -1,
	}
	if s := r.Superblock; s != nil {
		o.Cluster, o.Index, o.Count, o.Standby = s.Cluster.Hex(), s.ReplicaIndex, int(s.ReplicaCount), s.Standby
		o.Durable, o.View, o.Checkpoint = s.Release, s.View, s.CheckpointOp
	}
	for _, unreadable := range r.Unreadable {
		switch {
		case unreadable.What == "fd" && r.Armed == nil:
			o.ArmedUnseen = unreadable.Reason
		case unreadable.What == replica.UnreadableSockets:
			o.PeersUnseen = unreadable.Reason
		}
	}
	if r.Armed != nil && r.Armed.Offered == nil && r.State != replica.StateStarting {
		o.ArmedUnseen = "what it offers of the binary in its memory is not known"
	}
	if r.Armed != nil {
		sum := r.Armed.Checksum
		o.Armed, o.ArmedRelease = &sum, r.Armed.Newest()
	}
	if r.Process.Peers != nil {
		o.Peers = r.Process.Peers.Replicas
	}
	if r.Answer != nil {
		o.Answers, o.View = true, r.Answer.View
		if o.Running == 0 {
			o.Running = r.Answer.Release
		}
	}
	return o
}
