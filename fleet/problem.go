package fleet

import (
	"cmp"

	"github.com/tbctl/tbctl/fault"
)

// Problem is one obstacle, or with Note something to know.
type Problem struct {
	Cluster string        `json:"cluster"` // by name; "": of none
	Host    string        `json:"host"`    // "": of none
	Replica int           `json:"replica"` // index; -1: of none
	Reason  ProblemReason `json:"reason"`  // in one word; scripts compare it
	Message string        `json:"message"` // a sentence, for people
	Hint    string        `json:"hint"`    // what to type next; "": nothing that is known
	Note    bool          `json:"note"`    // it hinders nothing
	Kind    fault.Class   `json:"class"`   // what it means to whoever asked for what it hinders; "": a note, or it is only waited for
}

// Error is the message, with what it is about before it.
func (p *Problem) Error() string {
	text := p.Message
	switch p.Reason {
	case ProblemStage, ProblemCheck, ProblemClaim, ProblemPhase, ProblemSwap, ProblemRestart: // which the message does not say
		text = string(p.Reason) + ": " + text
	}
	if about := cmp.Or(p.Host, p.Cluster); about != "" {
		text = about + ": " + text
	}
	return text
}

// Class is what the problem means to whoever asked for what it hinders.
func (p *Problem) Class() fault.Class {
	if p.Note {
		return fault.None
	}
	if p.Kind != fault.None {
		return p.Kind
	}
	return p.Reason.Class()
}

// told is a problem as an obstacle is told: with its class, and with what to do.
func (p Problem) told() Problem {
	if p.Note {
		return p
	}
	p.Kind = p.Class()
	if p.Hint == "" {
		p.Hint = p.Reason.Hint(p.Host)
	}
	return p
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
	ProblemDamaged      ProblemReason = "installed-damaged" // the file at the target is not whole: it could not be put back
	ProblemStrange      ProblemReason = "installed-by-hand" // the file at the target is whole, and another than tbctl put there last
	ProblemMissing      ProblemReason = "missing-replica"   // a replica of the cluster is on no named host
	ProblemStandbys     ProblemReason = "missing-standby"   // a standby of the cluster is on no named host, or whether there is one cannot be seen
	ProblemForeign      ProblemReason = "foreign-cluster"   // the host's replicas belong to another cluster than the others
	ProblemTwice        ProblemReason = "replica-twice"     // two hosts have the same replica
	ProblemSharedTarget ProblemReason = "shared-target"     // two clusters, or two names of one host, share a target
	ProblemClusterTwice ProblemReason = "cluster-twice"     // two entries of the inventory are the same cluster
	ProblemSeveral      ProblemReason = "several-replicas"  // a host has more than one replica of the cluster: they take the file at once
	ProblemCountDiffers ProblemReason = "count-differs"     // the data files do not agree on how many replicas there are
	ProblemSkip         ProblemReason = "skip"              // an advisory says that the release is to be skipped
	ProblemClients      ProblemReason = "client-too-old"    // a client in use is older than the release serves
	ProblemAdvisory     ProblemReason = "advisory"          // something to know of the artifact, or of leaving what runs
	ProblemDespite      ProblemReason = "despite-unused"    // an advisory was to be passed over that does not apply
	ProblemRoom         ProblemReason = "no-room"           // a file system of the host has too little room
	ProblemRoomUnseen   ProblemReason = "room-unseen"       // how much room there is cannot be seen
	ProblemUnvouched    ProblemReason = "not-vouched"       // the host requires what the artifact does not have
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
	ProblemOtherRollout ProblemReason = "held-by-rollout"   // another rollout has the target
	ProblemBusy         ProblemReason = "busy"              // another process works on the target
	ProblemTbctl        ProblemReason = "tbctl-too-old"     // the host's tbctl lacks something
	ProblemSize         ProblemReason = "too-large"         // more hosts, clusters or generations than a plan has
	ProblemMalformed    ProblemReason = "malformed"         // a name or a value that a plan cannot have
	ProblemNoEntry      ProblemReason = "no-cluster"        // the inventory has no cluster, or it has no hosts
	ProblemNotPlanned   ProblemReason = "not-planned"       // the plan has no such cluster
)

// Why a rollout waits, or a cluster of it is blocked.
const (
	ProblemUnreachable    ProblemReason = "unreachable"     // the host, or its target, cannot be looked at now
	ProblemReinstalled    ProblemReason = "reinstalled"     // the host is not the machine of the plan
	ProblemDrift          ProblemReason = "drift"           // the installed file is neither the plan's nor the one before it
	ProblemMoved          ProblemReason = "replica-moved"   // a replica runs where the plan has another one
	ProblemFenced         ProblemReason = "fenced"          // another run, or a newer plan, has a host: this run changes nothing more
	ProblemGeneration     ProblemReason = "generation"      // … a newer plan
	ProblemPlanDiffers    ProblemReason = "plan-differs"    // … another plan, or this one edited
	ProblemEpoch          ProblemReason = "epoch"           // … a later run of this plan
	ProblemHeld           ProblemReason = "held"            // … another run, which is alive
	ProblemNotClaimed     ProblemReason = "not-claimed"     // … the host has no claim of this run
	ProblemSecret         ProblemReason = "secret"          // … another run, of which this one does not have the secret
	ProblemNotStaged      ProblemReason = "not-staged"      // the artifact is not in the host's store
	ProblemStaging        ProblemReason = "staging"         // it is on its way there
	ProblemChecking       ProblemReason = "checking"        // the host is to check it, or does
	ProblemClaiming       ProblemReason = "claiming"        // the hosts of the cluster are being claimed
	ProblemNotArmed       ProblemReason = "not-armed"       // replicas do not hold the new file yet
	ProblemSwapping       ProblemReason = "swapping"        // a file is being put in place
	ProblemWouldPromote   ProblemReason = "would-promote"   // the next swap could complete the quorum, and it was not to be promoted
	ProblemPromotionBegun ProblemReason = "promotion-begun" // the cluster upgrades, or is about to: there is no way back
	ProblemUpgrading      ProblemReason = "upgrading"       // not all replicas run the new release yet
	ProblemNotStable      ProblemReason = "not-stable"      // the cluster was not stable for long enough yet
	ProblemStarted        ProblemReason = "restarted"       // a replica was started again
	ProblemNoAnswer       ProblemReason = "no-answer"       // a replica does not answer
	ProblemView           ProblemReason = "view"            // the replicas do not have one view, or it changed
	ProblemPeers          ProblemReason = "peers"           // a replica has too few connections with others
	ProblemPeersUnseen    ProblemReason = "peers-unseen"    // its connections cannot be seen
	ProblemBehind         ProblemReason = "behind"          // a replica is more than one checkpoint behind the others
	ProblemArmedUnseen    ProblemReason = "armed-unseen"    // what a replica holds in memory cannot be seen
	ProblemLook           ProblemReason = "look-missed"     // too much time passed between two looks
	ProblemRestoring      ProblemReason = "restoring"       // the previous file is being put back
	ProblemNotBack        ProblemReason = "not-back"        // a replica did not come back after it was restored
	ProblemNotRestarted   ProblemReason = "not-restarted"   // the previous file is back, and a replica still holds the new one
	ProblemNoWayBack      ProblemReason = "way-back-lost"   // the file from before the plan is nowhere on the host
	ProblemWave           ProblemReason = "wave"            // an earlier wave is not done
	ProblemSoak           ProblemReason = "soak"            // an earlier wave runs the new release, and not for long enough yet
	ProblemMaxFailed      ProblemReason = "max-failed"      // too many clusters failed
	ProblemDeadline       ProblemReason = "deadline"        // the time that the run may take is over
	ProblemParallel       ProblemReason = "parallel"        // as many hosts as may be are at work
	ProblemSource         ProblemReason = "source"          // a host has to get the artifact from another source
)

// Why what was asked of a host was not done there: which [ActionKind] that was. The host's own words are the message, and its class the problem's.
const (
	ProblemStage   = ProblemReason(ActionStage)
	ProblemCheck   = ProblemReason(ActionCheck)
	ProblemClaim   = ProblemReason(ActionClaim)
	ProblemPhase   = ProblemReason(ActionPhase)
	ProblemSwap    = ProblemReason(ActionSwap)
	ProblemRestart = ProblemReason(ActionRestart)
)

// Class is what the reason means to whoever asked for what it hinders.
func (r ProblemReason) Class() fault.Class {
	switch r {
	case ProblemOtherRollout, ProblemFenced, ProblemGeneration, ProblemPlanDiffers, ProblemEpoch, ProblemHeld, ProblemNotClaimed, ProblemSecret:
		return fault.Fenced
	case ProblemBusy:
		return fault.Busy
	case ProblemUnseen, ProblemNotServing, ProblemMixed, ProblemRoom, ProblemUnreachable, ProblemNotBack, ProblemNotRestarted, ProblemMaxFailed, ProblemDeadline, ProblemWave, ProblemSoak, ProblemNotStable,
		ProblemStage, ProblemCheck, ProblemClaim, ProblemPhase, ProblemSwap, ProblemRestart:
		return fault.Failed // another try may find it otherwise
	case ProblemUnvouched:
		return fault.Rejected
	case ProblemDespite, ProblemNoEntry, ProblemNotPlanned, ProblemMalformed:
		return fault.Usage
	}
	return fault.Refused
}
