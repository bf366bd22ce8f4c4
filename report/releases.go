package report

import (
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// Releases is the result of releases.
type Releases struct {
	Source    release.SourceKind   `json:"source"`
	Location  string               `json:"location"`
	Installed multiversion.Release `json:"installed,omitzero"` // at the target, if anything is
	Releases  []release.Reachable  `json:"releases"`           // the newest first
	Truncated bool                 `json:"truncated"`          // the source has more than were asked for
	LeftOut   int                  `json:"left_out"`           // older ones that are not among them, by --last
}
