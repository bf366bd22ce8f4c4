package install

import (
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fsatomic"
)

// Outcome is what an operation did.
type Outcome struct {
	Plan    *Plan  `json:"plan"`
	Result  Result `json:"result,omitempty"` // empty for a dry run
	Changed bool   `json:"changed"`
	DryRun  bool   `json:"dry_run"`

	Committed *fsatomic.Committed `json:"committed,omitempty"`

	// ReadBack is the SHA-256 of the file at the target. It was read again after the
	// swap, and its checksum is that of the file that was verified.
	ReadBack string `json:"read_back_sha256,omitempty"`

	// Advisories are what is known of the new file, and of the releases on the way to it.
	// None of them hinders the operation.
	Advisories []advisory.Notice `json:"advisories"`

	// Recovered are the records of interrupted operations that were completed.
	Recovered []Record `json:"recovered,omitempty"`

	Duration time.Duration `json:"-"`
}
