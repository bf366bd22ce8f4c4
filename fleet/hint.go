package fleet

import "strings"

// hints are what to do about a problem by its reason, where the place that finds it knows nothing better. HOST stands for the name of the
// host that it is about, and PLAN for the plan's file.
var hints = map[ProblemReason]string{
	ProblemUnseen:       "see why: tbctl fleet status HOST",
	ProblemHidden:       "see which: tbctl status on HOST, as root",
	ProblemUnreadable:   "see why: tbctl status on HOST, as root",
	ProblemNoReplica:    "start the replica on HOST, or leave that host out",
	ProblemNoInstalled:  "tbctl install on HOST, of the release that runs",
	ProblemDamaged:      "tbctl install on HOST, of the release that runs; then make a new plan",
	ProblemMissing:      "name the host that has it, or start the replica on its host",
	ProblemForeign:      "see which cluster it is of: tbctl status on HOST; then mend the list of hosts",
	ProblemTwice:        "see which of the two the cluster knows: tbctl fleet status; the other is to be stopped, or left out",
	ProblemSharedTarget: "each cluster has a target of its own, and each host one name: mend fleet.toml",
	ProblemClusterTwice: "make one entry of the two: mend fleet.toml",
	ProblemCountDiffers: "see what each data file says: tbctl status on HOST",
	ProblemSkip:         "take another release",
	ProblemClients:      "upgrade the clients first",
	ProblemRoom:         "make room on HOST: df",
	ProblemUnvouched:    "see what it requires: tbctl config on HOST",
	ProblemPlatform:     "a plan is for one platform: make another one for such hosts",
	ProblemSystem:       "leave that host out, and install on it by hand: tbctl install",
	ProblemNoPolling:    "see why it does not: tbctl status on HOST; start that replica as one that takes a new file by itself, or leave its cluster out",
	ProblemNotServing:   "see why: tbctl status on HOST",
	ProblemRelease:      "see why: tbctl status on HOST, as root",
	ProblemMixed:        "wait until all run the same, and make the plan again",
	ProblemUnderWay:     "put the earlier file back on HOST and start the replica again, or end the upgrade that was begun",
	ProblemRunning:      "take a release between the two first",
	ProblemOffered:      "take a release that holds what was offered",
	ProblemPrevious:     "tbctl install on HOST, of a file that holds it",
	ProblemDowngrade:    "take the release that runs, or a newer one",
	ProblemOtherRollout: "end that rollout first: tbctl fleet abort or tbctl fleet stop, with its plan",
	ProblemBusy:         "wait for its end: tbctl fleet status HOST shows who it is",
	ProblemTbctl:        "install a newer tbctl on HOST",
	ProblemSize:         "make several plans, each of fewer clusters",
	ProblemMalformed:    "mend what the message names, and make the plan again",
	ProblemNoEntry:      "name its hosts, in fleet.toml or on the command line",
	ProblemNotPlanned:   "name clusters of the plan, or none for all of them",

	ProblemUnreachable:    "see why: tbctl fleet status HOST",
	ProblemReinstalled:    "look at the host, and make a new plan",
	ProblemDrift:          "look at the host, and make a new plan",
	ProblemMoved:          "look at the host, and make a new plan",
	ProblemFenced:         hintWho,
	ProblemGeneration:     hintWho + "; that plan goes on, and yours only when it is made again, as the newest: tbctl fleet plan; if you know of no such plan, on HOST, as root: " + AnyPlan,
	ProblemPlanDiffers:    hintWho + "; use that plan as it was made, or make a newer one: tbctl fleet plan",
	ProblemEpoch:          "see how that run goes on: tbctl fleet status --follow; to take the hosts over from it, on purpose: the same command with --take-over; if you know of no such run, make a new plan: tbctl fleet plan",
	ProblemHeld:           hintWho + "; to take them over from that run, on purpose: --take-over",
	ProblemNotClaimed:     "run the same command again: it claims the hosts first",
	ProblemSecret:         hintWho + "; run the same command again: it claims the hosts as a run of its own",
	ProblemNotStaged:      "tbctl fleet stage PLAN",
	ProblemNotArmed:       "tbctl fleet arm PLAN",
	ProblemWouldPromote:   "see that all its replicas serve, and run the same command again",
	ProblemPromotionBegun: "tbctl fleet promote PLAN",
	ProblemNotRestarted:   "stop that replica on HOST and start it again, then: tbctl fleet abort PLAN",
	ProblemNoWayBack:      "bring that file into the store of HOST: tbctl store import FILE there; then the same command",
	ProblemNotBack:        "look at its log; nothing else is put back before it serves",
	ProblemMaxFailed:      "mend what blocks the others, and run the same command again; or let more of them be blocked: --max-failed",
	ProblemDeadline:       "run the same command again",

	ProblemStage:   "see what it shows: tbctl fleet status HOST; then the same command",
	ProblemCheck:   "see what it shows: tbctl fleet status HOST; then the same command",
	ProblemClaim:   "see what it shows: tbctl fleet status HOST; then the same command",
	ProblemPhase:   "see what it shows: tbctl fleet status HOST; then the same command",
	ProblemSwap:    "see what is there: tbctl status on HOST; then the same command",
	ProblemRestart: "see what runs there: tbctl status on HOST; then the same command",
}

const (
	hintWho   = "see who has the hosts: tbctl fleet status"
	hintPrune = "tbctl store prune on HOST"
)

// Hint is what to do about a problem of the reason, on the host that it is about, "" where it is about none; it is "" for what is only
// waited for, and for notes.
func (r ProblemReason) Hint(host string) string { return onHost(hints[r], host) }

// onHost puts a host's name into a hint.
func onHost(hint, host string) string {
	if host == "" {
		host = "the host"
	}
	return strings.ReplaceAll(hint, "HOST", host)
}
