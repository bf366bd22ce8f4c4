package verify

import (
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tbctl/tbctl/multiversion"
)

// Reached is a release that the cluster is known to have come to: a replica was seen to run
// it, or a data file to have it. A cluster never goes back from there, though it may have gone on
// since. The zero value says that nothing is known.
type Reached struct {
	Release  multiversion.Release `json:"release"`
	PID      int                  `json:"pid,omitempty"`       // of the process that ran it
	DataFile string               `json:"data_file,omitempty"` // that had it, or that of the process; see [DataFileName]
	Time     time.Time            `json:"time"`                // when it was first seen
}

// DataFileName is the path of a data file as [Reached] has it: one that is no UTF-8 is quoted.
func DataFileName(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	return strconv.QuoteToASCII(path)
}

// With reports whether it was seen with one of these data files.
func (r Reached) With(dataFiles []string) bool {
	return slices.ContainsFunc(dataFiles, func(path string) bool { return DataFileName(path) == r.DataFile })
}

// String says what was seen: "process 7 ran it with /data/0, seen at 2026-01-02T15:04:05Z".
func (r Reached) String() string {
	var text string
	switch {
	case r.PID != 0 && r.DataFile != "":
		text = fmt.Sprintf("process %d ran it with %s", r.PID, r.DataFile)
	case r.PID != 0:
		text = fmt.Sprintf("process %d ran it", r.PID)
	default:
		text = fmt.Sprintf("%s was checkpointed with it", r.DataFile)
	}
	if r.Time.IsZero() {
		return text
	}
	return text + ", seen at " + r.Time.UTC().Format(time.RFC3339)
}

// reached holds against the new file what the cluster has come to. The operator's word of what
// it needs now is believed instead: its data may have been restored, or be another cluster's.
func (f *fit) reached() {
	reached := f.options.Reached
	if reached.Release == 0 || f.next.Contains(reached.Release) {
		return
	}
	if slices.ContainsFunc(f.options.Needs, func(need Need) bool { return need.Release >= reached.Release }) {
		return // the cluster is there or further by now, and that is asked for already
	}
	finding := Finding{
		Name: CheckReached, Status: Failed, Rule: RuleRunningNotIncluded, Release: reached.Release, Expected: reached.Release.String(), Found: releasesText(f.next.Releases()),
		Detail: fmt.Sprintf("the new file lacks release %s, which the cluster has reached (%s)", reached.Release, reached),
	}
	if f.options.Said {
		finding.Status, finding.Rule = Remarked, ""
		finding.Detail += ": what --running or --data-file says is believed instead"
	}
	f.findings.add(finding)
}
