package fleet

import "github.com/tbctl/tbctl/fault"

// Problem is one obstacle, or with Note something to know.
type Problem struct {
	Cluster string        `json:"cluster"` // by name; "": of none
	Host    string        `json:"host"`    // "": of none
	Replica int           `json:"replica"` // index; -1: of none
	Reason  ProblemReason `json:"reason"`  // in one word; scripts compare it
	Message string        `json:"message"` // a sentence, for people
	Hint    string        `json:"hint"`    // what to type next; "": nothing that is known
	Note    bool          `json:"note"`    // it hinders nothing
}

// Error is the message, with what it is about before it.
func (p *Problem) Error() string {
	about := p.Host
	if about == "" {
		about = p.Cluster
	}
	if about == "" {
		return p.Message
	}
	return about + ": " + p.Message
}

// Class is what the problem means to whoever asked for what it hinders.
func (p *Problem) Class() fault.Class {
	if p.Note {
		return fault.None
	}
	return p.Reason.Class()
}

// ProblemReason is why something is not done, in one word.
type ProblemReason string

// Why there is no plan. Of a host that could not be looked at the reason is the observation's own.
const (
	ProblemUnseen       ProblemReason = "unseen"            // nothing is known of the host or its target
	ProblemHidden       ProblemReason = "hidden-replicas"   // there may be replicas on the host that cannot be seen
	ProblemUnreadable   ProblemReason = "data-file"         // which cluster and replica it is cannot be read
	ProblemNoReplica    ProblemReason = "no-replica"        // none runs from the target
	ProblemNoInstalled  ProblemReason = "nothing-installed" // there is no file at the target that could be put back
	ProblemMissing      ProblemReason = "missing-replica"   // a replica of the cluster is on no named host
	ProblemForeign      ProblemReason = "foreign-cluster"   // the host's replicas belong to another cluster than the others
	ProblemTwice        ProblemReason = "replica-twice"     // two hosts have the same replica
	ProblemSharedTarget ProblemReason = "shared-target"     // two clusters, or two names of one host, share a target
	ProblemClusterTwice ProblemReason = "cluster-twice"     // two entries of the inventory are the same cluster
	ProblemCountDiffers ProblemReason = "count-differs"     // the data files do not agree on how many replicas there are
	ProblemSkip         ProblemReason = "skip"              // an advisory says that the release is to be skipped
	ProblemClients      ProblemReason = "client-too-old"    // a client in use is older than the release serves
	ProblemLeaving      ProblemReason = "leaving"           // something to know of the release that runs
	ProblemDespite      ProblemReason = "despite-unused"    // an advisory was to be passed over that does not apply
	ProblemRoom         ProblemReason = "no-room"           // a file system of the host has too little room
	ProblemPlatform     ProblemReason = "platform"          // the artifact is for another processor or system
	ProblemSystem       ProblemReason = "not-linux"         // rollouts are done on Linux alone
	ProblemNoPolling    ProblemReason = "no-polling"        // the replica does not look for a new binary by itself
	ProblemNotServing   ProblemReason = "not-serving"       // the replica is stopped, starting, or its state is not known
	ProblemRelease      ProblemReason = "release-unknown"   // what the replica runs or was checkpointed with is not known
	ProblemMixed        ProblemReason = "releases-differ"   // the replicas of the cluster do not all run the same release
	ProblemUnderWay     ProblemReason = "upgrade-under-way" // replicas offer a newer release than they run
	ProblemRunning      ProblemReason = "lacks-running"     // the artifact lacks a release that runs or that data needs
	ProblemOffered      ProblemReason = "lacks-offered"     // the artifact would take back a release that was offered
	ProblemPrevious     ProblemReason = "previous-lacks"    // the installed file lacks what would be needed of it after an abort
	ProblemDowngrade    ProblemReason = "downgrade"         // the artifact is older than what runs
	ProblemNothingToDo  ProblemReason = "nothing-to-do"     // all run it already
	ProblemHeld         ProblemReason = "held-by-rollout"   // another rollout has the target
	ProblemBusy         ProblemReason = "busy"              // another process works on the target
	ProblemTbctl        ProblemReason = "tbctl-too-old"     // the host's tbctl lacks something
	ProblemSize         ProblemReason = "too-large"         // more hosts, clusters or generations than a plan has
	ProblemMalformed    ProblemReason = "malformed"         // a name or a value that a plan cannot have
	ProblemNoEntry      ProblemReason = "no-cluster"        // the inventory has no cluster, or it has no hosts
	ProblemNotPlanned   ProblemReason = "not-planned"       // the plan has no such cluster
)

// Class is what the reason means to whoever asked for what it hinders.
func (r ProblemReason) Class() fault.Class {
	switch r {
	case ProblemHeld:
		return fault.Fenced
	case ProblemBusy:
		return fault.Busy
	case ProblemUnseen, ProblemNotServing, ProblemMixed, ProblemRoom:
		return fault.Failed // another try may find it otherwise
	case ProblemDespite, ProblemNoEntry, ProblemNotPlanned, ProblemMalformed:
		return fault.Usage
	}
	return fault.Refused
}
