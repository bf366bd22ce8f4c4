package verify

import (
	"github.com/tbctl/tbctl/multiversion"
)

// Status is the outcome of one check.
type Status string

// The outcomes.
const (
	Held       Status = "held"
	Failed     Status = "failed"
	Remarked   Status = "remark"      // not against the file, but an operator should know
	NotChecked Status = "not-checked" // and Detail says why
)

// Check names a check.
type Check string

// The checks of [File].
const (
	CheckLocation        Check = "location"         // header and body are found by the rules of the format
	CheckHeaderChecksum  Check = "header-checksum"  // for each architecture
	CheckHeaderFields    Check = "header-fields"    // for each architecture, and each broken rule
	CheckHeadersAgree    Check = "headers-agree"    // Mach-O: both headers carry the same whole-file checksum
	CheckPackFits        Check = "pack-fits-body"   // for each architecture
	CheckFileChecksum    Check = "file-checksum"    // of every byte but the headers'
	CheckPastChecksum    Check = "past-checksum"    // for each past release
	CheckPastExecutable  Check = "past-executable"  // its format and architecture, for each past release
	CheckCurrentChecksum Check = "current-checksum" // of the current executable without the sections
	CheckSizeLimit       Check = "size-limit"       // a replica crashes on a larger file
	CheckOwnerExecute    Check = "owner-execute"    // a replica refuses a file without it
)

// The checks of [Replace].
const (
	CheckPlatform  Check = "platform"         // the same format and architecture as the installed file and the host
	CheckRunning   Check = "running"          // the file holds each release that runs or that data needs
	CheckReached   Check = "reached"          // it holds the newest release that a replica, or its data, was ever seen at
	CheckOffered   Check = "offered"          // it offers all that a running replica has offered already
	CheckOverlap   Check = "overlap"          // nothing known to run: it holds the installed current release
	CheckUnseen    Check = "unseen-replicas"  // replicas that cannot be seen could go on: it holds all that the installed file holds
	CheckDropped   Check = "dropped-releases" // releases of the installed file that the new one lacks
	CheckDowngrade Check = "downgrade"        // its current release is not older than the installed one
	CheckSame      Check = "same-release"     // releases of the same number are the same bytes
	CheckBuild     Check = "build-mode"       // both release builds or both debug builds
	CheckRestart   Check = "restart"          // the running replica notices the new file by itself
	CheckPath      Check = "upgrade-path"     // the releases that the upgrade goes through
	CheckInstalled Check = "installed-file"   // the installed file is good enough to compare with
)

// Finding is the outcome of one check on one part of the file.
type Finding struct {
	Name   Check  `json:"name"`
	Status Status `json:"status"`

	// Rule is the rule of the format that is broken, or the name of the remark.
	Rule string `json:"rule,omitempty"`

	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`

	// Offset is where in the file the value checked stands, in bytes; 0 also
	// where the whole file is meant.
	Offset int64 `json:"offset"`

	Arch    multiversion.Arch    `json:"arch,omitempty"`
	Release multiversion.Release `json:"release,omitzero"`
	Detail  string               `json:"detail,omitempty"`
}

// findings collects.
type findings []Finding

func (f *findings) add(finding Finding) { *f = append(*f, finding) }

// failed returns those that failed, of these checks or, if none is given, of all.
func (f findings) failed(checks ...Check) []Finding {
	var found []Finding
	for _, finding := range f {
		if finding.Status != Failed {
			continue
		}
		if len(checks) == 0 {
			found = append(found, finding)
		}
		for _, check := range checks {
			if finding.Name == check {
				found = append(found, finding)
			}
		}
	}
	return found
}

// held reports whether a check was made, and held everywhere it was made.
func (f findings) held(check Check) bool {
	made := false
	for _, finding := range f {
		if finding.Name != check {
			continue
		}
		if finding.Status != Held {
			return false
		}
		made = true
	}
	return made
}

// broken makes the finding of a broken rule of the format.
func broken(check Check, failure *multiversion.FormatError) Finding {
	return Finding{
		Name: check, Status: Failed, Rule: string(failure.Rule),
		Expected: failure.Want, Found: failure.Found, Offset: failure.Offset, Arch: failure.Arch,
	}
}
