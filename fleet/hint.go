package fleet

import "strings"

// hint is what to do about a problem by its reason, where the place that finds it knows nothing better. HOST stands for the name of the
// host that it is about, and PLAN for the plan's file.
func (r ProblemReason) hint() string {
	switch r {
	case ProblemUnseen:
		return "see why: tbctl fleet status HOST"
	case ProblemHidden:
		return "see which: tbctl status on HOST, as root"
	case ProblemUnreadable:
		return "see why: tbctl status on HOST, as root"
	case ProblemNoReplica:
		return "start the replica on HOST, or leave that host out"
	case ProblemNoInstalled:
		return "tbctl install on HOST, of the release that runs"
	case ProblemDamaged:
		return "tbctl install on HOST, of the release that runs; then make a new plan"
	case ProblemMissing:
		return "name the host that has it, or start the replica on its host"
	case ProblemForeign:
		return "see which cluster it is of: tbctl status on HOST; then mend the list of hosts"
	case ProblemTwice:
		return "see which of the two the cluster knows: tbctl fleet status; the other is to be stopped, or left out"
	case ProblemSharedTarget:
		return "each cluster has a target of its own, and each host one name: mend fleet.toml"
	case ProblemClusterTwice:
		return "make one entry of the two: mend fleet.toml"
	case ProblemCountDiffers:
		return "see what each data file says: tbctl status on HOST"
	case ProblemSkip:
		return "take another release"
	case ProblemClients:
		return "upgrade the clients first"
	case ProblemRoom:
		return "make room on HOST: df"
	case ProblemUnvouched:
		return "see what it requires: tbctl config on HOST"
	case ProblemPlatform:
		return "a plan is for one platform: make another one for such hosts"
	case ProblemSystem:
		return "leave that host out, and install on it by hand: tbctl install"
	case ProblemNoPolling:
		return "see why it does not: tbctl status on HOST; start that replica as one that takes a new file by itself, or leave its cluster out"
	case ProblemNotServing:
		return "see why: tbctl status on HOST"
	case ProblemRelease:
		return "see why: tbctl status on HOST, as root"
	case ProblemMixed:
		return "wait until all run the same, and make the plan again"
	case ProblemUnderWay:
		return "put the earlier file back on HOST and start the replica again, or end the upgrade that was begun"
	case ProblemRunning:
		return "take a release between the two first"
	case ProblemOffered:
		return "take a release that holds what was offered"
	case ProblemPrevious:
		return "tbctl install on HOST, of a file that holds it"
	case ProblemDowngrade:
		return "take the release that runs, or a newer one"
	case ProblemOtherRollout:
		return "end that rollout first: tbctl fleet abort or tbctl fleet stop, with its plan"
	case ProblemBusy:
		return "wait for its end: tbctl fleet status HOST shows who it is"
	case ProblemTbctl:
		return "install a newer tbctl on HOST"
	case ProblemSize:
		return "make several plans, each of fewer clusters"
	case ProblemMalformed:
		return "mend what the message names, and make the plan again"
	case ProblemNoEntry:
		return "name its hosts, in fleet.toml or on the command line"
	case ProblemNotPlanned:
		return "name clusters of the plan, or none for all of them"
	case ProblemUnreachable:
		return "see why: tbctl fleet status HOST"
	case ProblemReinstalled, ProblemDrift, ProblemMoved:
		return "look at the host, and make a new plan"
	case ProblemFenced:
		return hintWho
	case ProblemGeneration:
		return hintWho + "; that plan goes on, and yours only when it is made again, as the newest: tbctl fleet plan; if you know of no such plan, on HOST, as root: " + AnyPlan
	case ProblemPlanDiffers:
		return hintWho + "; use that plan as it was made, or make a newer one: tbctl fleet plan"
	case ProblemEpoch:
		return "see how that run goes on: tbctl fleet status --follow; to take the hosts over from it, on purpose: the same command with --take-over; if you know of no such run, make a new plan: tbctl fleet plan"
	case ProblemHeld:
		return hintWho + "; to take them over from that run, on purpose: --take-over"
	case ProblemNotClaimed:
		return "run the same command again: it claims the hosts first"
	case ProblemSecret:
		return hintWho + "; run the same command again: it claims the hosts as a run of its own"
	case ProblemNotStaged:
		return "tbctl fleet stage PLAN"
	case ProblemNotArmed:
		return "tbctl fleet arm PLAN"
	case ProblemWouldPromote:
		return "see that all its replicas serve, and run the same command again"
	case ProblemPromotionBegun:
		return "tbctl fleet promote PLAN"
	case ProblemNotRestarted:
		return "stop that replica on HOST and start it again, then: tbctl fleet abort PLAN"
	case ProblemNoWayBack:
		return "bring that file into the store of HOST: tbctl store import FILE there; then the same command"
	case ProblemNotBack:
		return "look at its log; nothing else is put back before it serves"
	case ProblemMaxFailed:
		return "mend what blocks the others, and run the same command again; or let more of them be blocked: --max-failed"
	case ProblemDeadline:
		return "run the same command again"
	case ProblemStage, ProblemCheck, ProblemClaim, ProblemPhase:
		return "see what it shows: tbctl fleet status HOST; then the same command"
	case ProblemSwap:
		return "see what is there: tbctl status on HOST; then the same command"
	case ProblemRestart:
		return "see what runs there: tbctl status on HOST; then the same command"
	}
	return ""
}

const (
	hintWho   = "see who has the hosts: tbctl fleet status"
	hintPrune = "tbctl store prune on HOST"
)

// Hint is what to do about a problem of the reason, on the host that it is about, "" where it is about none; it is "" for what is only
// waited for, and for notes.
func (r ProblemReason) Hint(host string) string { return onHost(r.hint(), host) }

// onHost puts a host's name into a hint.
func onHost(hint, host string) string {
	if host == "" {
		host = "the host"
	}
	return strings.ReplaceAll(hint, "HOST", host)
}
