package tufrepo

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Exchange drafts a root that has other keys for the roles of which keys are named, in place of those that the role had, and so many that must
// sign for root and targets; 0: as many as before. Other roles keep theirs. What the old keys have signed is drafted to be signed by the new
// ones. It then signs with keys and those of the new ones that are private, and publishes when all of it has enough signatures: root needs those of
// the old keys and of the new ones.
func (r *Repository) Exchange(root, targets, online []Key, threshold int, keys []Key) error {
	if r.root == nil || r.targets == nil {
		return fmt.Errorf("%s: %w", r.dir, ErrNone)
	}
	next, err := read(r.published(r.root.Signed.Version, metadata.ROOT), metadata.Root())
	if err != nil {
		return err
	}
	next.Signed.Version, next.Signed.Expires, next.Signatures = r.root.Signed.Version+1, until(rootGood), nil
	for _, role := range []struct {
		name string
		keys []Key
	}{{metadata.ROOT, root}, {metadata.TARGETS, targets}, {metadata.SNAPSHOT, online}, {metadata.TIMESTAMP, online}} {
		if err := exchange(&next.Signed, role.name, role.keys); err != nil {
			return err
		}
		of := next.Signed.Roles[role.name]
		if threshold > 0 && (role.name == metadata.ROOT || role.name == metadata.TARGETS) {
			of.Threshold = threshold
		}
		if len(of.KeyIDs) < of.Threshold {
			return fmt.Errorf("%w: %d must sign, %s has %d different keys", ErrThreshold, of.Threshold, role.name, len(of.KeyIDs))
		}
	}
	if r.nextRoot != nil {
		r.tell("the draft of root %d takes the place of the one that was there", next.Signed.Version)
	}
	r.nextRoot = next
	if !r.exchanges() {
		r.nextRoot = nil
		return fmt.Errorf("%w: they have these keys already", ErrNothing)
	}
	if next.VerifyDelegate(metadata.TARGETS, r.targets) != nil || r.nextTargets != nil {
		r.draftTargets()
	}
	return r.advance(slices.Concat(root, targets, online, keys))
}

// exchange gives a role other keys; none: it keeps those that it has.
func exchange(root *metadata.RootType, role string, keys []Key) error {
	if len(keys) == 0 {
		return nil
	}
	for _, id := range slices.Clone(root.Roles[role].KeyIDs) {
		if err := root.RevokeKey(id, role); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if err := root.AddKey(key.public, role); err != nil {
			return err
		}
	}
	return nil
}

// exchanges says that the draft of the root has other keys than the one that is published, or wants more or fewer of them.
func (r *Repository) exchanges() bool {
	if r.root == nil || r.nextRoot == nil {
		return false
	}
	for _, name := range []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		was, is := r.root.Signed.Roles[name], r.nextRoot.Signed.Roles[name]
		if was.Threshold != is.Threshold || !slices.Equal(slices.Sorted(slices.Values(was.KeyIDs)), slices.Sorted(slices.Values(is.KeyIDs))) {
			return true
		}
	}
	return false
}

// advanceExchange signs all that an exchange of keys needs, and publishes it when nothing lacks any more. What old keys and new ones have signed is
// good by either root, and comes before the new one: so clients see a whole repository at every moment. Where the old keys do not sign, since
// they are lost, the root comes first, and for a moment the old targets, or the old timestamp, are not good by it.
func (r *Repository) advanceExchange(keys []Key) error {
	ready, err := r.signRoot(keys)
	if err != nil {
		return err
	}
	is := cmp.Or(r.nextTargets, r.targets)
	if r.nextTargets != nil {
		if err := sign(r.nextTargets, r.both(metadata.TARGETS, keys)); err != nil {
			return err
		}
		if _, err := write(r.draft(metadata.TARGETS), r.nextTargets, 0); err != nil {
			return err
		}
	}
	if r.nextRoot.VerifyDelegate(metadata.TARGETS, is) != nil {
		r.lacks(r.nextRoot, metadata.TARGETS, is.Signed.Version, is.Signatures)
		ready = false
	}
	late := r.nextTargets != nil || r.nextRoot.VerifyDelegate(metadata.SNAPSHOT, r.snapshot) != nil || r.nextRoot.VerifyDelegate(metadata.TIMESTAMP, r.timestamp) != nil
	online := r.both(metadata.TIMESTAMP, keys)
	if late && ready && len(has(r.nextRoot, metadata.TIMESTAMP, keys)) == 0 {
		r.tell("all of it has enough signatures; the online key of root %d publishes it: tbctl-engines tuf sign %s --key KEY", r.nextRoot.Signed.Version, r.dir)
		return r.stayFresh(keys)
	}
	switch {
	case !ready:
		return r.stayFresh(keys)
	case !late:
		return r.publishRoot()
	case len(has(r.root, metadata.TIMESTAMP, keys)) > 0 && r.root.VerifyDelegate(metadata.TARGETS, is) == nil:
		if err := r.publish(online, r.nextTargets != nil); err != nil {
			return err
		}
		return r.publishRoot()
	}
	if err := r.publishRoot(); err != nil {
		return err
	}
	return r.publish(online, r.nextTargets != nil)
}

// stayFresh has the online key of the published root say that nothing is newer, while an exchange waits for others: that may take longer than
// a timestamp is good.
func (r *Repository) stayFresh(keys []Key) error {
	online := has(r.root, metadata.TIMESTAMP, keys)
	if len(online) == 0 || r.targets == nil {
		return nil
	}
	return r.publish(online, false)
}
