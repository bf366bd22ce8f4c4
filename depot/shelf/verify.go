package shelf

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

// A Verdict is what became of one check.
type Verdict string

// The verdicts.
const (
	VerdictWhole   Verdict = "whole"   // its bytes are those that its name says, and a whole multiversion binary
	VerdictChanged Verdict = "changed" // its bytes have changed
	VerdictOther   Verdict = "other"   // they have not, but it is no whole multiversion binary
	VerdictMissing Verdict = "missing" // it is not in the store
	VerdictUnread  Verdict = "unread"  // it could not be read
)

// A Checked artifact is one that was read as a whole.
type Checked struct {
	SHA256  string  `json:"sha256"`
	Size    int64   `json:"size"` // bytes
	Verdict Verdict `json:"verdict"`
	Problem string  `json:"problem,omitempty"`

	err error
}

// Class is what a verdict means.
func (c *Checked) Class() fault.Class {
	switch c.Verdict {
	case VerdictWhole:
		return fault.None
	case VerdictMissing, VerdictUnread:
		return fault.Failed
	}
	return fault.Rejected
}

// Err is the problem as an error; nil if there is none.
func (c *Checked) Err() error { return c.err }

// Verify reads artifacts, all of the depot if none is named by its digest, and tells each. What has changed is set
// aside under another name. The error is the context's, or that of the depot's list.
func Verify(ctx context.Context, d *depot.Depot, digests []string, each func(Checked)) error {
	if len(digests) == 0 {
		artifacts, err := d.List()
		if err != nil {
			return err
		}
		for _, artifact := range artifacts {
			digests = append(digests, artifact.SHA256)
		}
	}
	for _, digest := range digests {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		checked := verified(ctx, d, digest)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		each(checked)
	}
	return nil
}

func verified(ctx context.Context, d *depot.Depot, digest string) Checked {
	checked := Checked{SHA256: digest, Verdict: VerdictWhole}
	stored, err := d.Stat(digest)
	var report verify.Report
	if err == nil {
		checked.Size = stored.Size
		report, err = check(ctx, d, digest)
	}
	err = orMissing(d, digest, err)
	switch {
	case errors.Is(err, release.ErrNotFound):
		checked.Verdict = VerdictMissing
	case errors.Is(err, depot.ErrDigest):
		checked.Verdict = VerdictChanged
	case err != nil:
		checked.Verdict = VerdictUnread
	case !report.Ok:
		checked.Verdict, err = VerdictOther, fmt.Errorf("%s%s: %s", PrefixDigest, digest, report.Diagnosis)
	}
	if err != nil {
		checked.err, checked.Problem = err, err.Error()
	}
	return checked
}
