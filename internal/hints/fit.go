package hints

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/verify"
)

// Fit says what to do about a refusal.
func (k *Known) Fit(report *verify.ReplaceReport, plain bool) string {
	if plain {
		return "say which release the installed executable is: --from-plain RELEASE"
	}
	for _, finding := range report.Findings {
		if finding.Status == verify.NotChecked && finding.Name == verify.CheckRunning { // the way back
			return "ask a data file of its replicas: tbctl rollback {target} --data-file FILE, with the replica stopped also --stopped; " +
				"or say which release the cluster runs: --running RELEASE"
		}
		if finding.Status == verify.NotChecked && (finding.Name == verify.CheckOverlap || finding.Name == verify.CheckInstalled) {
			return "say which release the cluster runs: --running RELEASE, or --data-file FILE"
		}
		if finding.Status != verify.Failed {
			continue
		}
		switch finding.Name {
		case verify.CheckDowngrade:
			return "if going back is meant, say what the cluster needs and allow it: --data-file FILE (or --running RELEASE) --allow-downgrade, " +
				"with the replicas stopped also --stopped; or, if {target}-old is what you want: tbctl rollback {target}"
		case verify.CheckOverlap:
			return k.ofBetween(report, finding) + "; if the cluster runs another release, say which: --running RELEASE, or --data-file FILE"
		case verify.CheckRunning:
			return k.ofBetween(report, finding) + k.ofStrange(report)
		case verify.CheckReached:
			return k.ofBetween(report, finding) + "; if the cluster is another one now, say what it needs: --data-file FILE, or --running RELEASE"
		case verify.CheckOffered:
			if len(k.Host.Processes) == 0 {
				return "no replica was seen here; if it is stopped, or runs nowhere else from {target}, say so: --stopped; or go forward, with a file that holds all that may have been offered"
			}
			return "a replica that holds a newer release in memory still upgrades to it: stop the replica, say --stopped --data-file FILE, " +
				"and start it again; or go forward, with a file that holds all that was offered" + k.ofStrange(report)
		case verify.CheckUnseen:
			say := "say what the replicas need: --running RELEASE, or --data-file FILE"
			if elsewhere := render.LookElsewhere(k.Host.Unseen, "tbctl …"); elsewhere != "" {
				say = elsewhere + "; or " + say
			}
			return say + leaveOut(k.Host.Unseen)
		case verify.CheckPlatform:
			if first := report.Findings[0]; first.Name == verify.CheckPlatform && first.Status == verify.Held { // it is this host's
				return "what is installed there is for another platform: is it the right target? If it is to be replaced, move it away first: mv {target} {target}.away"
			}
			return "get the file for this platform"
		}
	}
	return ""
}

// ofStrange says how to leave out the processes of users whom nothing is believed, if one
// of them needs what the file lacks.
func (k *Known) ofStrange(report *verify.ReplaceReport) string {
	const flagsMax = 5
	flags, count := "", 0
	for _, stranger := range k.Host.Strangers {
		flag := " --ignore-process " + strconv.Itoa(stranger.PID)
		needed := slices.ContainsFunc(report.Findings, func(finding verify.Finding) bool {
			return finding.Status == verify.Failed && finding.Release == stranger.Release &&
				(finding.Name == verify.CheckRunning || finding.Name == verify.CheckOffered)
		})
		if needed && count < flagsMax && !strings.Contains(flags+" ", flag+" ") {
			flags += flag
			count++
		}
	}
	return ignoring(flags)
}

// ofBetween is about a file that lacks the release that the cluster is at.
func (k *Known) ofBetween(report *verify.ReplaceReport, lacking verify.Finding) string {
	if !report.Behind(lacking) {
		return "install a release in between first: tbctl releases shows which"
	}
	hint := "a cluster does not go back: install a release that holds " + lacking.Release.String() + ", see tbctl releases"
	if k.Running && lacking.Name == verify.CheckRunning {
		hint += "; or is --running right? tbctl status shows what runs"
	}
	return hint
}
