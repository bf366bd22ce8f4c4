package host

import (
	"fmt"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// OutlookKind says in one word what a replica will do with the file at the target.
type OutlookKind string

// The kinds.
const (
	OutlookArmed        OutlookKind = "armed"         // it holds the file in memory
	OutlookTakesFile    OutlookKind = "takes-file"    // it takes the file within seconds
	OutlookRefuses      OutlookKind = "refuses"       // it refuses the file, and keeps what it has
	OutlookNeedsRestart OutlookKind = "needs-restart" // it takes the file when it is started again
	OutlookRestartFails OutlookKind = "restart-fails" // it cannot be started from the file
	OutlookStarting     OutlookKind = "starting"      // it starts, and then takes the file
	OutlookStopped      OutlookKind = "stopped"       // it does nothing until it is continued
	OutlookOtherFile    OutlookKind = "other-file"    // it does not see the file
	OutlookUnknown      OutlookKind = "unknown"       // what it runs is not known
)

// Replica is a process that runs from the target, and what it will do next. Of a process
// that is no replica there is no outlook.
type Replica struct {
	replica.Process
	Outlook     string      `json:"outlook,omitempty"`
	OutlookKind OutlookKind `json:"outlook_kind,omitempty"`

	// Answer is what it answered when it was asked whether it serves, see [Ask]; nil: nothing, and
	// NoAnswer says why, or it was not asked.
	Answer   *Answer `json:"answer,omitempty"`
	NoAnswer string  `json:"no_answer,omitempty"`

	// NoAnswerKind is NoAnswer in one word.
	NoAnswerKind NoAnswerKind `json:"no_answer_kind,omitempty"`
}

// mountedAlone is about a replica that sees the file at the target, and will not see the next.
const mountedAlone = "the file alone is mounted where it runs, so that it does not see what takes its place: mount the directory, not the file; it takes the new one when its container is started again"

// Lack says why there is no header of the file at a target.
type Lack int

// The reasons.
const (
	LackBinary Lack = iota // the file is no multiversion binary that can be read
	LackFile               // nothing is there
	LackSight              // it cannot be seen from here what is there
)

// afterSwap is a process as it is after another file has taken the place of the one at the target.
func afterSwap(process replica.Process) replica.Process {
	if process.Sees == replica.SeesMounted {
		process.Sees = replica.SeesOther
	}
	return process
}

// Foresee says what a process will do with the file at the target. The header is
// that file's for this host; nil: there is none, and lack says why.
func Foresee(process replica.Process, header *multiversion.Header, lack Lack) Replica {
	result := Replica{Process: process}
	if process.Replica {
		result.OutlookKind, result.Outlook = outlook(&process, header, lack)
	}
	return result
}

func outlook(process *replica.Process, header *multiversion.Header, lack Lack) (OutlookKind, string) {
	running := process.Settles()
	switch {
	case header == nil && lack == LackSight:
		return OutlookUnknown, "what is at the target cannot be seen from here, and so not what it makes of that"
	case header == nil && lack == LackFile:
		return OutlookRefuses, "nothing is at the target: the replica keeps what it has, and cannot be started again from there"
	case header == nil:
		return OutlookRefuses, "the file at the target is no multiversion binary that can be read: the replica keeps what it has"
	case process.DeniedRight == vfs.RightExecute:
		return OutlookRestartFails, "a restart would fail: " + process.Denied
	case process.Denied != "":
		return OutlookRefuses, "it cannot take the file, and a restart would fail: " + process.Denied
	case running == 0 && process.State == replica.StateStarting:
		return OutlookStarting, startingOutlook(process) + Unreadable(process)
	case running == 0:
		return OutlookUnknown, "which release it runs is not known" + Unreadable(process)
	}
	if process.Superblock != nil && !header.Contains(process.Superblock.Release) {
		return OutlookRestartFails, fmt.Sprintf("a restart would fail: the file does not hold release %s of its data file", process.Superblock.Release)
	}
	hindrance, why := process.Hindrance()
	if process.Armed != nil && process.Armed.Checksum == header.ChecksumBinary && process.State != replica.StateStarting {
		return armedOutlook(process, upgradeOutlook(header, running))
	}
	if hindrance == replica.HindranceOtherFile {
		return OutlookOtherFile, why
	}
	var offered []multiversion.Release
	if process.Armed != nil {
		offered = process.Armed.Offered
	}
	if err := replica.Accepts(header, running, offered); err != nil {
		text := fmt.Sprintf("it refuses the file: %v", err)
		if newest := process.Armed.Newest(); newest > running && !header.Contains(newest) {
			text += fmt.Sprintf("; it still upgrades to %s with its cluster, and its next restart fails: stop it before that", newest)
		}
		return OutlookRefuses, text
	}
	switch {
	case hindrance == replica.HindranceStopped:
		return OutlookStopped, why
	case process.State == replica.StateStarting:
		return OutlookStarting, startingOutlook(process) + ", and then " + upgradeOutlook(header, running)
	case hindrance == replica.HindranceNoPolling:
		return OutlookNeedsRestart, why
	}
	if process.Sees == replica.SeesMounted { // the file that is mounted is still the target's
		return OutlookTakesFile, "it takes the file, which it has mounted, and then " + upgradeOutlook(header, running) + "; of the next file: " + mountedAlone
	}
	return OutlookTakesFile, "it takes the file within seconds, and then " + upgradeOutlook(header, running)
}

// startingOutlook says what a replica that starts is at.
func startingOutlook(process *replica.Process) string {
	text := "it is starting"
	if !process.StartingSince.IsZero() {
		text += ", since " + process.StartingSince.Local().Format(time.TimeOnly)
	}
	if release := process.Settles(); release != 0 {
		text += ": it opens its data file of " + release.String()
	} else {
		text += ": it opens its data file"
	}
	return text + ", and does not serve yet"
}

// armedOutlook is for a replica that holds the file in memory.
func armedOutlook(process *replica.Process, upgrade string) (OutlookKind, string) {
	switch {
	case process.Stopped:
		return OutlookStopped, "it is " + process.StoppedText() + ", and holds the file: after it is continued it " + upgrade
	case process.Sees == replica.SeesMounted:
		return OutlookArmed, upgrade + "; of the next file: " + mountedAlone
	}
	if hindrance, why := process.Hindrance(); hindrance == replica.HindranceOtherFile {
		return OutlookArmed, upgrade + "; of the next file: " + why
	}
	return OutlookArmed, upgrade
}

// upgradeOutlook says what an armed replica does.
func upgradeOutlook(header *multiversion.Header, running multiversion.Release) string {
	offered := header.Advertisable(running)
	newest := offered[len(offered)-1]
	if newest <= running {
		return fmt.Sprintf("stays at %s: the file has nothing newer", running)
	}
	text := fmt.Sprintf("upgrades to %s when every replica of the cluster offers it", newest)
	if stops := verify.PathFrom(header, running).Stops(); stops != "" {
		text += fmt.Sprintf(" (a stop on the way to %s: %s)", header.Current.Release, stops)
	}
	return text
}
