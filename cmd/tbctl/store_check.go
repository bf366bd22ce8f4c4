package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/depot/prune"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

type storeVerifyCmd struct {
	Artifacts []string   `arg:"" optional:"" name:"sha256:hex" help:"Artifacts to read; all of the store where none is named."`
	Store     storeFlags `embed:""`
}

// Help is the long help text.
func (c *storeVerifyCmd) Help() string {
	return `Reads artifacts as a whole: that the bytes are those that their name says, and all that
"tbctl verify" checks. One whose bytes have changed is set aside under another name, so
that it is not installed or given away, and can be imported again.

Examples:

  tbctl store verify
  tbctl store verify sha256:HEX
` + exitHelp(exitRejected, "an artifact has changed, or is no whole binary")
}

// Run reads and tells.
func (c *storeVerifyCmd) Run(a *app) error {
	store, err := a.existing(c.Store.Store)
	if err != nil {
		return err
	}
	var digests []string
	for _, name := range c.Artifacts {
		digest, err := sha.Parse(name)
		if err != nil {
			return err
		}
		digests = append(digests, digest)
	}
	result := report.StoreVerified{Store: store.Dir(), Artifacts: []shelf.Checked{}}
	var first error
	err = shelf.Verify(a.ctx, store, digests, func(checked shelf.Checked) {
		result.Artifacts = append(result.Artifacts, checked)
		if failure := checked.Err(); failure != nil && (first == nil || checked.Class() == fault.Rejected && fault.Of(first) != fault.Rejected) {
			first = checkedError(&checked)
		}
	})
	aside, asideErr := store.SetAside()
	if len(result.Artifacts) == 0 && cmp.Or(err, asideErr) != nil { // nothing is known of what there is
		return cmp.Or(err, asideErr)
	}
	result.SetAside = aside
	a.emit(result, func(out *term.Stream) { render.StoreVerified(out, &result) })
	if err := cmp.Or(err, asideErr); err != nil {
		return err
	}
	return first
}

// checkedError is the problem of an artifact with what to do.
func checkedError(checked *shelf.Checked) error {
	switch checked.Verdict {
	case shelf.VerdictChanged:
		return rejected("bring it again: tbctl store import RELEASE; and look at the disk", checked.Err())
	case shelf.VerdictOther:
		return rejected("every finding: tbctl verify "+shelf.PrefixDigest+checked.SHA256, checked.Err())
	}
	return failed("see what there is: tbctl store list", checked.Err())
}

type storePruneCmd struct {
	DryRun bool       `short:"n" help:"Show what would go, but remove nothing."`
	Keep   int        `default:"1" placeholder:"N" help:"Keep so many of those that came last, whatever else is needed (1)."`
	Store  storeFlags `embed:""`
}

// Help is the long help text.
func (c *storePruneCmd) Help() string {
	return `Removes the artifacts that this host does not need, and says of each why it stays or that
it goes. These stay: what is installed at a target of this host and the previous file
beside it, what the rollout brings or found that a target belongs to or last belonged to,
what holds a release that a data file or a replica of a target needs, and the newest
import. Where that cannot be found out, nothing goes.

Examples:

  tbctl store prune --dry-run
  tbctl store prune --keep 3
` + exitHelp()
}

// Run decides, removes and tells.
func (c *storePruneCmd) Run(a *app) error {
	if c.Keep < 0 {
		return usage("--keep 1", "--keep: a number of artifacts cannot be negative: %d", c.Keep)
	}
	store, err := a.existing(c.Store.Store)
	if err != nil {
		return err
	}
	pruning := &prune.Pruning{Depot: store, Installer: a.installer(), Targets: a.settings().Targets(), Newest: c.Keep, DryRun: c.DryRun}
	result, err := pruning.Run(a.ctx)
	if result != nil {
		shown := report.StorePruned{Store: store.Dir(), Result: result}
		a.emit(shown, func(out *term.Stream) { render.StorePruned(out, &shown, a.global.Quiet) })
	}
	var unknown *prune.UnknownError
	if errors.As(err, &unknown) {
		return fmt.Errorf("nothing more is removed: %w", err)
	}
	return err
}
