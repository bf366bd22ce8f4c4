package install

import (
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fsatomic"
)

// Armed says whether the replicas of this host hold the installed file.
type Armed string

// What came of waiting for them.
const (
	ArmedAll  Armed = "armed"      // every replica here holds it in memory
	ArmedNone Armed = "no-replica" // none runs from the target here
	ArmedNot  Armed = "not-armed"  // one does not, or whether all do cannot be seen
)

// Outcome is what an operation did.
type Outcome struct {
	Plan    *Plan  `json:"plan"`
	Result  Result `json:"result,omitempty"` // empty for a dry run
	Changed bool   `json:"changed"`
	DryRun  bool   `json:"dry_run"`

	// WouldChange is of a dry run: that the real one replaces or makes the file at the target, as far as is known.
	WouldChange bool `json:"would_change"`

	// Armed is what came of waiting for the replicas, or of a dry run what is to be expected; empty: it was not waited for.
	Armed Armed `json:"armed,omitempty"`

	// Next are commands that go on from here.
	Next []string `json:"next"`

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
