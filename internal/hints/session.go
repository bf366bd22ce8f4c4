package hints

import (
	"cmp"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
)

// ofFenced is about a target that a rollout holds.
func (k *Known) ofFenced(err *fleet.FencedError) string {
	if err.Reason != fleet.ReasonRollout {
		return fleet.ProblemReason(err.Reason).Hint("")
	}
	return "wait for its end: --wait 30m; or, if it is to be changed all the same: " + k.Line.With("--despite-rollout")
}

// ofUnknownFence is about a state that does not say whether a rollout holds the target.
func (k *Known) ofUnknownFence(err *install.UnknownFenceError) string {
	if err.Class() != fault.Refused { // it is another directory now
		return ""
	}
	look := "look at it first: ls -l " + shell.File(err.State.Path)
	if !err.Writers.None() {
		look += " (" + err.Writers.String() + ")"
	}
	return look + k.repeat("; to go through whatever it says, which is recorded: ", "--despite-rollout")
}

// hintHeld is about hosts that another run has.
const hintHeld = "see who has the hosts: tbctl fleet status; to take them over from another run, on purpose: --take-over"

// ofRollout is about a run that ended before its goal.
func ofRollout(failed *rollout.Error) string {
	if first := failed.First(); first != nil && first.Hint != "" {
		return first.Hint
	}
	return "each obstacle has a line that says where; mend it, and run the same command again"
}

// ofUnseen is about a report in which not everything could be seen.
func (k *Known) ofUnseen(err *report.UnseenError) string {
	switch {
	case k.Command == "fleet report":
		return "the report says why, of each; to ask none of them: --offline"
	case err.Asked:
		return "each of them has a line that says why"
	}
	return "each of them has a line that says what to do"
}

// Session is what to do about a host that cannot be asked, by the ssh that the inventory has. Nothing here
// weakens ssh's checks.
func Session(failed *remote.SessionError, words []string) string {
	host, ssh := shell.File(failed.Host), "ssh"
	if len(words) > 0 {
		ssh = shell.Words(words)
	}
	switch failed.Reason {
	case remote.ReasonProgram:
		return "is ssh installed here? ssh -V"
	case remote.ReasonName:
		return "check the name, and ssh's configuration: " + ssh + " -G " + host
	case remote.ReasonConnection, remote.ReasonUnreachable, remote.ReasonSessions:
		return "try it by hand: " + ssh + " " + host + " true"
	case remote.ReasonKeyUnknown:
		return "compare its key once, by hand: " + ssh + " " + host + " true"
	case remote.ReasonKeyChanged:
		return "find out why before anything else: was it installed again? ssh-keygen -F " + host + " shows the key that was known"
	case remote.ReasonPermission:
		return "is your key there, and in your agent? ssh-add -l; " + ssh + " -v " + host + " true"
	case remote.ReasonSudo:
		return "let this one command through without a password, in /etc/sudoers.d/tbctl there: USER ALL=(root) NOPASSWD: /usr/local/bin/tbctl host"
	case remote.ReasonMissing:
		return "install tbctl there, on root's PATH: " + ssh + " " + host + " command -v tbctl; tbctl fleet plan --push-tbctl does it"
	case remote.ReasonOld:
		return "install a newer tbctl there: " + ssh + " " + host + " tbctl --version; tbctl fleet plan --push-tbctl does it"
	case remote.ReasonStart:
		return cmp.Or(failed.Hint(), "see what it says of its configuration: "+ssh+" "+host+" tbctl config")
	case remote.ReasonOutput:
		return "a start-up file of its shell writes something: " + ssh + " " + host + " true must print nothing"
	case remote.ReasonSilent, remote.ReasonLost:
		return "run the same command again"
	}
	return "try it by hand: " + ssh + " " + host + " tbctl --version"
}

// ofEngine is what to do about a tbctl-engines that cannot be used. Of a rollout nothing depends on it but that controllers see each other.
func (k *Known) ofEngine(failed *engine.Error) string {
	without := "; without other controllers: --state files"
	if strings.HasPrefix(k.Command, "store") {
		without = ""
	}
	switch failed.Reason {
	case engine.ReasonMissing:
		return "install the package " + engine.Name + ", of the version of this tbctl" + without
	case engine.ReasonVersion:
		return "install the package " + engine.Name + " of the version that tbctl version shows" + without
	case engine.ReasonOthers:
		return "put it beside tbctl, or into a directory that only you and root may write: ls -ld " + shell.File(filepath.Dir(failed.Path)) + without
	case engine.ReasonDied:
		if without == "" {
			return "run the same command again"
		}
		return "run the same command again: it looks first; the hosts have not changed hands by it"
	}
	return "try it by hand: " + shell.File(failed.Path) + " version" + without
}
