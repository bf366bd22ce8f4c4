package tufrepo

import (
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// advance signs the drafts with keys, keeps them, and publishes what has enough signatures.
func (r *Repository) advance(keys []Key) error {
	if r.exchanges() {
		return r.advanceExchange(keys)
	}
	if r.nextRoot != nil {
		if err := r.advanceRoot(keys); err != nil {
			return err
		}
	}
	current := r.root
	if current == nil {
		current = r.nextRoot
	}
	enough := false
	if r.nextTargets != nil {
		if err := sign(r.nextTargets, has(current, metadata.TARGETS, keys)); err != nil {
			return err
		}
		if _, err := write(r.draft(metadata.TARGETS), r.nextTargets, 0); err != nil {
			return err
		}
		if enough = current.VerifyDelegate(metadata.TARGETS, r.nextTargets) == nil; !enough {
			r.lacks(current, metadata.TARGETS, r.nextTargets.Signed.Version, r.nextTargets.Signatures)
		}
	}
	online := has(current, metadata.TIMESTAMP, keys)
	switch {
	case r.root == nil, r.targets == nil && !enough:
		return nil // nothing can be published yet
	case len(online) == 0 && enough:
		r.tell("targets %d has enough signatures; the online key publishes it: tbctl-engines tuf sign %s --key KEY", r.nextTargets.Signed.Version, r.dir)
		return nil
	case len(online) == 0:
		return nil
	}
	return r.publish(online, enough)
}

// advanceRoot signs the draft of a root, and publishes it when it and the one before are satisfied.
func (r *Repository) advanceRoot(keys []Key) error {
	enough, err := r.signRoot(keys)
	if err != nil || !enough {
		return err
	}
	return r.publishRoot()
}

// signRoot signs the draft of a root and keeps it, and says whether it and the one before are satisfied.
func (r *Repository) signRoot(keys []Key) (bool, error) {
	if err := sign(r.nextRoot, r.both(metadata.ROOT, keys)); err != nil {
		return false, err
	}
	if _, err := write(r.draft(metadata.ROOT), r.nextRoot, 0); err != nil {
		return false, err
	}
	for _, by := range []*metadata.Metadata[metadata.RootType]{r.root, r.nextRoot} {
		if by != nil && by.VerifyDelegate(metadata.ROOT, r.nextRoot) != nil {
			r.lacks(by, metadata.ROOT, r.nextRoot.Signed.Version, r.nextRoot.Signatures)
			return false, nil
		}
	}
	return true, nil
}

// both are the private keys of a role, by the draft of the root and by the one that is published.
func (r *Repository) both(role string, keys []Key) []Key {
	signers := has(r.nextRoot, role, keys)
	for _, key := range has(r.root, role, keys) {
		if !slices.ContainsFunc(signers, func(other Key) bool { return other.ID == key.ID }) {
			signers = append(signers, key)
		}
	}
	return signers
}

// publishRoot puts the draft of a root in its place.
func (r *Repository) publishRoot() error {
	version := r.nextRoot.Signed.Version
	if _, err := write(r.published(version, metadata.ROOT), r.nextRoot, version); err != nil {
		return err
	}
	r.root, r.nextRoot = r.nextRoot, nil
	r.tell("published root %d", version)
	return remove(r.draft(metadata.ROOT))
}

// lacks tells whose signatures are not there yet.
func (r *Repository) lacks(by *metadata.Metadata[metadata.RootType], role string, version int64, signatures []metadata.Signature) {
	wanted := by.Signed.Roles[role]
	var missing []string
	for _, id := range wanted.KeyIDs {
		if !slices.ContainsFunc(signatures, func(s metadata.Signature) bool { return s.KeyID == id }) {
			missing = append(missing, r.called(id))
		}
	}
	r.tell("%s %d has %d of %d signatures; it waits for the key %s: tbctl-engines tuf sign %s --key KEY", role, version,
		len(wanted.KeyIDs)-len(missing), wanted.Threshold, strings.Join(missing, " or "), r.dir)
}

// called is the id of a key, with the name of its file where that is known.
func (r *Repository) called(id string) string {
	for _, key := range r.Keys {
		if key.ID == id {
			return id + " (" + key.File + ")"
		}
	}
	return id
}

// publish signs snapshot and timestamp, with the draft of targets if it is to be published, and puts all of it in its places: the
// timestamp last.
func (r *Repository) publish(online []Key, withTargets bool) error {
	snapshot := metadata.Snapshot(until(snapshotGood))
	if r.snapshot != nil {
		snapshot.Signed.Version = r.snapshot.Signed.Version + 1
		snapshot.Signed.Meta["targets.json"] = r.snapshot.Signed.Meta["targets.json"]
	}
	if withTargets {
		version := r.nextTargets.Signed.Version
		meta, err := write(r.published(version, metadata.TARGETS), r.nextTargets, version)
		if err != nil {
			return err
		}
		snapshot.Signed.Meta["targets.json"] = meta
		r.tell("published targets %d", version)
	}
	if err := sign(snapshot, online); err != nil {
		return err
	}
	file, err := write(r.published(snapshot.Signed.Version, metadata.SNAPSHOT), snapshot, snapshot.Signed.Version)
	if err != nil {
		return err
	}
	timestamp := metadata.Timestamp(until(timestampGood))
	if r.timestamp != nil {
		timestamp.Signed.Version = r.timestamp.Signed.Version + 1
	}
	timestamp.Signed.Meta["snapshot.json"] = file
	if err := sign(timestamp, online); err != nil {
		return err
	}
	if _, err := write(r.published(0, metadata.TIMESTAMP), timestamp, timestamp.Signed.Version); err != nil {
		return err
	}
	r.timestamp, r.snapshot = timestamp, snapshot
	r.tell("published snapshot %d and timestamp %d, which is good until %s", snapshot.Signed.Version, timestamp.Signed.Version, timestamp.Signed.Expires.Format(time.DateOnly))
	if withTargets {
		r.targets, r.nextTargets = r.nextTargets, nil
		return remove(r.draft(metadata.TARGETS))
	}
	return nil
}
