// Package tufrepo makes repositories of The Update Framework, so that an organisation can be its own publisher of releases.
//
// A repository is a directory: metadata and targets, which are copied to a server as they are, and draft, with the root or the targets
// that lack signatures yet. The keys of root and targets may be anybody's, on machines of their own; whoever has one signs the draft, and the
// one whose signature is enough finishes it. Snapshot and timestamp are signed by the online key alone, last.
//
// Each file is written durably and under a name of its own; what refers to it comes after it, and timestamp.json is the last. So clients see
// the state before or the one after, wherever a crash comes, and the same command again goes on.
package tufrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

const (
	metadataDir = "metadata"
	targetsDir  = "targets"
	draftDir    = "draft"
	lockName    = ".lock"
	rootSuffix  = ".root.json"

	metadataMax = 8 << 20
	filesMax    = 100_000

	day = 24 * time.Hour
	// How long metadata is good.
	rootGood      = 2 * 365 * day
	targetsGood   = 365 * day
	snapshotGood  = 90 * day
	timestampGood = 14 * day
)

var (
	// ErrThere says that there is a repository already.
	ErrThere = fault.New(fault.Refused, "there is a repository already")
	// ErrNone says that there is no repository.
	ErrNone = fault.New(fault.Failed, "no repository: tbctl-engines tuf init makes one")
	// ErrThreshold says that fewer keys are named than must sign.
	ErrThreshold = fault.New(fault.Usage, "fewer keys are named than must sign")
	// ErrNothing says that a key has nothing to sign.
	ErrNothing = fault.New(fault.Refused, "these keys have nothing to sign: there is no draft that waits for them; with --renew what is there is signed again, to be good for longer")
	// ErrNoRole says that no role of a repository has a key.
	ErrNoRole = fault.New(fault.Refused, "no role of this repository has the key")
	// ErrNoDraft says that there is no draft to take back.
	ErrNoDraft = fault.New(fault.Refused, "nothing waits for signatures")
	// ErrNeeded says that clients need what a draft becomes.
	ErrNeeded = fault.New(fault.Refused, "the published root needs the draft: without it no client takes what is there; sign it")
	// ErrOther says that a target would be replaced.
	ErrOther = fault.New(fault.Refused, "it is there with other bytes, and a release is not replaced: give it another number")
)

// Repository is one that this process has alone.
type Repository struct {
	dir  string
	lock vfs.File

	root      *metadata.Metadata[metadata.RootType] // the newest that is published; nil: none is
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]

	// Drafts; nil: there is none.
	nextRoot    *metadata.Metadata[metadata.RootType]
	nextTargets *metadata.Metadata[metadata.TargetsType]

	// Told is what became of it, for people.
	Told []string
	// Keys are called by their files in what is told.
	Keys []Key
}

// Open opens the repository in a directory, and waits until no other process has it. Where there is none the error is [ErrNone].
func Open(ctx context.Context, name string) (*Repository, error) {
	if _, err := os.Stat(filepath.Join(name, metadataDir)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrNone)
	}
	return Create(ctx, name)
}

// Create opens the repository in a directory, which is made: a new one is for [Repository.Init].
func Create(ctx context.Context, name string) (*Repository, error) {
	r := &Repository{dir: name}
	for _, dir := range []string{name, filepath.Join(name, metadataDir), filepath.Join(name, targetsDir), filepath.Join(name, draftDir)} {
		if err := durable.MkdirAll(vfs.OS(), dir, 0o755); err != nil {
			return nil, err
		}
	}
	dir, err := vfs.OS().OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	err = durable.WhileBusy(ctx, durable.WaitForever, func() error {
		r.lock, err = durable.OpenLocked(dir, lockName, func() (vfs.File, error) { return durable.OpenOrCreate(dir, lockName, 0o600) },
			func(vfs.File) error { return &durable.BusyError{Path: filepath.Join(name, lockName)} })
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.load(); err != nil {
		r.lock.Close()
		return nil, fmt.Errorf("read the repository %s: %w", name, err)
	}
	return r, nil
}

// Close lets others have it.
func (r *Repository) Close() error { return r.lock.Close() }

// load reads what is published, and the drafts.
func (r *Repository) load() error {
	names, err := os.ReadDir(filepath.Join(r.dir, metadataDir))
	if err != nil {
		return err
	}
	var newest int64
	for _, entry := range names[:min(len(names), filesMax)] {
		if number, is := strings.CutSuffix(entry.Name(), rootSuffix); is {
			version, err := strconv.ParseInt(number, 10, 64)
			if err == nil {
				newest = max(newest, version)
			}
		}
	}
	if newest > 0 {
		if r.root, err = read(r.published(newest, metadata.ROOT), metadata.Root()); err != nil {
			return err
		}
	}
	if r.timestamp, err = read(r.published(0, metadata.TIMESTAMP), metadata.Timestamp()); err == nil && r.timestamp != nil {
		if meta := r.timestamp.Signed.Meta["snapshot.json"]; meta != nil {
			r.snapshot, err = read(r.published(meta.Version, metadata.SNAPSHOT), metadata.Snapshot())
		}
		if err == nil && r.snapshot != nil {
			if meta := r.snapshot.Signed.Meta["targets.json"]; meta != nil {
				r.targets, err = read(r.published(meta.Version, metadata.TARGETS), metadata.Targets())
			}
		}
		if err == nil && r.targets == nil {
			err = errors.New("timestamp.json names metadata that is not there")
		}
	}
	if err == nil {
		r.nextRoot, err = read(r.draft(metadata.ROOT), metadata.Root())
	}
	if err == nil {
		r.nextTargets, err = read(r.draft(metadata.TARGETS), metadata.Targets())
	}
	// What a crash left of a draft that is published.
	if r.nextRoot != nil && r.root != nil && r.nextRoot.Signed.Version <= r.root.Signed.Version {
		r.nextRoot = nil
	}
	if r.nextTargets != nil && r.targets != nil && r.nextTargets.Signed.Version <= r.targets.Signed.Version {
		r.nextTargets = nil
	}
	return err
}

// read reads metadata; nil: it is not there.
func read[T metadata.Roles](name string, into *metadata.Metadata[T]) (*metadata.Metadata[T], error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, metadataMax+1))
	if err == nil && len(text) > metadataMax {
		err = vfs.ErrTooLarge
	}
	if err == nil {
		_, err = into.FromBytes(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, fault.JSON(err))
	}
	return into, nil
}

func (r *Repository) published(version int64, role string) string {
	name := role + ".json"
	if version > 0 {
		name = strconv.FormatInt(version, 10) + "." + name
	}
	return filepath.Join(r.dir, metadataDir, name)
}

func (r *Repository) draft(role string) string { return filepath.Join(r.dir, draftDir, role+".json") }

// write writes metadata in one durable step, and returns what refers to it.
func write[T metadata.Roles](name string, what *metadata.Metadata[T], version int64) (*metadata.MetaFiles, error) {
	text, err := what.ToBytes(true)
	if err != nil {
		return nil, err
	}
	if len(text) > metadataMax {
		return nil, fmt.Errorf("%s: %w: %d bytes", name, vfs.ErrTooLarge, len(text))
	}
	err = durable.WriteFile(vfs.OS(), name, 0o644, true, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	sum := sha256.Sum256(text)
	return &metadata.MetaFiles{Version: version, Length: int64(len(text)), Hashes: metadata.Hashes{"sha256": sum[:]}}, err
}

// until is a moment from now, of which metadata keeps whole seconds.
func until(good time.Duration) time.Time { return time.Now().Add(good).UTC().Truncate(time.Second) }

// Init drafts the first root and empty targets: root and targets must be signed by threshold of their keys, snapshot and timestamp by one of
// online. It then signs with the keys that are private, and publishes if that is enough.
func (r *Repository) Init(root, targets, online []Key, threshold int) error {
	if r.root != nil || r.nextRoot != nil {
		return fmt.Errorf("%s: %w", r.dir, ErrThere)
	}
	if threshold < 1 || len(root) < threshold || len(targets) < threshold || len(online) == 0 {
		return fmt.Errorf("%w: %d must sign; %d keys for root, %d for targets, %d online", ErrThreshold, threshold, len(root), len(targets), len(online))
	}
	r.nextRoot, r.nextTargets = metadata.Root(until(rootGood)), metadata.Targets(until(targetsGood))
	for role, keys := range map[string][]Key{metadata.ROOT: root, metadata.TARGETS: targets, metadata.SNAPSHOT: online, metadata.TIMESTAMP: online} {
		for _, key := range keys {
			if err := r.nextRoot.Signed.AddKey(key.public, role); err != nil {
				return err
			}
		}
	}
	for _, role := range []string{metadata.ROOT, metadata.TARGETS} {
		if ids := r.nextRoot.Signed.Roles[role].KeyIDs; len(ids) < threshold {
			return fmt.Errorf("%w: %d must sign, %s has %d different keys", ErrThreshold, threshold, role, len(ids))
		}
		r.nextRoot.Signed.Roles[role].Threshold = threshold
	}
	return r.advance(slices.Concat(root, targets, online))
}

// Sign adds the signatures of keys to the drafts, and publishes what has enough. With renew what is published is drafted again, to
// be good for longer, for the roles that the keys are of. The online key signs a new timestamp in any case.
func (r *Repository) Sign(keys []Key, renew bool) error {
	if r.root == nil && r.nextRoot == nil {
		return fmt.Errorf("%s: %w", r.dir, ErrNone)
	}
	if renew && r.nextRoot == nil && len(has(r.root, metadata.ROOT, keys)) > 0 {
		r.nextRoot = r.root
		r.nextRoot.Signed.Version, r.nextRoot.Signed.Expires = r.root.Signed.Version+1, until(rootGood)
		r.nextRoot.Signatures = nil
		if err := r.reread(); err != nil {
			return err
		}
	}
	if renew && r.nextTargets == nil && r.targets != nil && len(has(r.root, metadata.TARGETS, keys)) > 0 {
		r.draftTargets()
	}
	current := r.root
	if r.nextRoot != nil {
		current = r.nextRoot
	}
	waits := r.nextRoot != nil && len(append(has(r.nextRoot, metadata.ROOT, keys), has(r.root, metadata.ROOT, keys)...)) > 0 ||
		r.nextTargets != nil && len(append(has(current, metadata.TARGETS, keys), has(r.root, metadata.TARGETS, keys)...)) > 0 ||
		len(append(has(current, metadata.TIMESTAMP, keys), has(r.root, metadata.TIMESTAMP, keys)...)) > 0
	if !waits {
		for _, key := range keys {
			if !anyRole(r.root, key.ID) && !anyRole(r.nextRoot, key.ID) {
				return fmt.Errorf("%w %s, of %s", ErrNoRole, key.ID, key.File)
			}
		}
		return ErrNothing
	}
	return r.advance(keys)
}

// reread reads the published root again, after a draft was made of it.
func (r *Repository) reread() (err error) {
	r.root, err = read(r.published(r.nextRoot.Signed.Version-1, metadata.ROOT), metadata.Root())
	return err
}

// draftTargets drafts the next targets as they are.
func (r *Repository) draftTargets() {
	if r.nextTargets == nil {
		r.nextTargets = metadata.Targets()
		r.nextTargets.Signed = r.targets.Signed
		r.nextTargets.Signed.Version++
	}
	r.nextTargets.Signed.Expires = until(targetsGood)
	r.nextTargets.Signatures = nil
}

// has returns those of the keys that are private and of a role.
func has(root *metadata.Metadata[metadata.RootType], role string, keys []Key) (found []Key) {
	if root == nil {
		return nil
	}
	for _, key := range keys {
		if key.signer != nil && slices.Contains(root.Signed.Roles[role].KeyIDs, key.ID) {
			found = append(found, key)
		}
	}
	return found
}

// anyRole says that a role of a root has the key of an id.
func anyRole(root *metadata.Metadata[metadata.RootType], id string) bool {
	if root == nil {
		return false
	}
	for _, role := range root.Signed.Roles {
		if slices.Contains(role.KeyIDs, id) {
			return true
		}
	}
	return false
}

// sign adds the signatures that are not there yet.
func sign[T metadata.Roles](what *metadata.Metadata[T], keys []Key) error {
	for _, key := range keys {
		if slices.ContainsFunc(what.Signatures, func(s metadata.Signature) bool { return s.KeyID == key.ID }) {
			continue
		}
		if _, err := what.Sign(key.signer); err != nil {
			return fmt.Errorf("sign with %s: %w", key.ID, err)
		}
	}
	return nil
}

func (r *Repository) tell(format string, args ...any) {
	r.Told = append(r.Told, fmt.Sprintf(format, args...))
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func hexSum(sum []byte) string { return hex.EncodeToString(sum) }
