package install

import (
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// modeDefault is the mode of a file that replaces none.
const modeDefault vfs.Mode = 0o755

// Action is what a plan would do.
type Action string

// The actions.
const (
	ActionCreate   Action = "create"    // nothing is there
	ActionReplace  Action = "replace"   // a file is replaced
	ActionNone     Action = "none"      // the same bytes are there already
	ActionSwapBack Action = "swap-back" // rollback: both files change places
)

// Plan is everything that is known before anything changes, and what follows
// from it. A dry run prints the plan that the real run applies.
type Plan struct {
	Operation Operation `json:"operation"`
	Action    Action    `json:"action"`

	Target    fsatomic.Target       `json:"target"`
	Installed *File                 `json:"installed"` // nil if nothing is there
	New       *File                 `json:"new"`
	Origin    Origin                `json:"origin"`
	Platform  multiversion.Platform `json:"platform,omitempty"` // of this host
	Host      multiversion.Platform `json:"host,omitempty"`     // the same

	// DropOld is whether the replaced file is not kept.
	DropOld bool `json:"drop_old,omitempty"`

	// Attributes are those that the new file gets.
	Attributes fsatomic.Attributes `json:"attributes"`

	// Verified is the judgement of the new file, Fit whether it may take the
	// place of the installed one; nil where there was nothing to compare with.
	Verified *verify.Report        `json:"verified"`
	Fit      *verify.ReplaceReport `json:"fit"`

	// Leftovers are what interrupted runs left, and what is done about them.
	Leftovers []fsatomic.Leftover `json:"leftovers,omitempty"`

	// Warnings are for an operator to know; none hinders the operation.
	Warnings []string `json:"warnings,omitempty"`
}
