package tufrepo

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Status tells what is published, until when it is good, and what waits for whose signatures. It changes nothing.
func (r *Repository) Status() error {
	if r.root == nil && r.nextRoot == nil {
		return fmt.Errorf("%s: %w", r.dir, ErrNone)
	}
	now := time.Now()
	good := func(role string, version int64, expires time.Time) {
		text := "good until"
		if now.After(expires) {
			text = "which was good until"
		}
		r.tell("published %s %d, %s %s", role, version, text, expires.UTC().Format(time.DateOnly))
	}
	if r.root != nil {
		good(metadata.ROOT, r.root.Signed.Version, r.root.Signed.Expires)
	}
	if r.targets != nil {
		good(metadata.TARGETS, r.targets.Signed.Version, r.targets.Signed.Expires)
		good(metadata.SNAPSHOT, r.snapshot.Signed.Version, r.snapshot.Signed.Expires)
		good(metadata.TIMESTAMP, r.timestamp.Signed.Version, r.timestamp.Signed.Expires)
	}
	if r.nextRoot == nil && r.nextTargets == nil {
		r.tell("nothing waits for signatures")
		return nil
	}
	if !r.waits() {
		r.tell("what is in the draft has enough signatures; the online key publishes it: tbctl-engines tuf sign %s --key KEY", r.dir)
	}
	return nil
}

// waits tells whose signatures the drafts lack, and whether they lack any.
func (r *Repository) waits() bool {
	before := len(r.Told)
	if r.nextRoot != nil {
		for _, by := range []*metadata.Metadata[metadata.RootType]{r.root, r.nextRoot} {
			if by != nil && by.VerifyDelegate(metadata.ROOT, r.nextRoot) != nil {
				r.lacks(by, metadata.ROOT, r.nextRoot.Signed.Version, r.nextRoot.Signatures)
			}
		}
	}
	targets := r.nextTargets
	if r.exchanges() {
		targets = cmp.Or(targets, r.targets) // the new keys sign what is published
	}
	if by := cmp.Or(r.nextRoot, r.root); targets != nil && by.VerifyDelegate(metadata.TARGETS, targets) != nil {
		r.lacks(by, metadata.TARGETS, targets.Signed.Version, targets.Signatures)
	}
	r.Told = slices.Compact(r.Told) // a root whose keys stay lacks the same by both
	return len(r.Told) > before
}

// Discard takes the drafts back. What is published stays as it is, and so do the files of targets. A draft that clients need since the published root has
// other keys than what else is published is [ErrNeeded].
func (r *Repository) Discard() error {
	if r.nextRoot == nil && r.nextTargets == nil {
		return fmt.Errorf("%s: %w", r.dir, ErrNoDraft)
	}
	if r.root != nil && (r.targets == nil || r.root.VerifyDelegate(metadata.TARGETS, r.targets) != nil ||
		r.root.VerifyDelegate(metadata.SNAPSHOT, r.snapshot) != nil || r.root.VerifyDelegate(metadata.TIMESTAMP, r.timestamp) != nil) {
		return fmt.Errorf("%s: %w", r.dir, ErrNeeded)
	}
	if r.nextRoot != nil {
		if err := remove(r.draft(metadata.ROOT)); err != nil {
			return err
		}
		r.tell("took back the draft of root %d", r.nextRoot.Signed.Version)
	}
	if r.nextTargets != nil {
		if err := remove(r.draft(metadata.TARGETS)); err != nil {
			return err
		}
		r.tell("took back the draft of targets %d", r.nextTargets.Signed.Version)
	}
	r.nextRoot, r.nextTargets = nil, nil
	return nil
}
