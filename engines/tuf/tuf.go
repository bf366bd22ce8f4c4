// Package tuf takes releases from repositories of The Update Framework: go-tuf checks their metadata, and what was seen of it is kept,
// so that nothing older is believed later.
//
// A repository has its metadata in metadata and its targets in targets. What is kept of it is a directory of its own: N.root.json, each signed
// by the one before, and timestamp.json, snapshot.json and targets.json. Each file is replaced durably, the roots first, so that a
// crash leaves what was trusted at one moment or another. Delegated roles are not followed.
package tuf

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
)

const (
	// metadataMax is the most bytes of a file of metadata, whatever the one says that names it.
	metadataMax  = 8 << 20
	timestampMax = 16 << 10

	// MetadataDir and TargetsDir are where a repository has what it has.
	MetadataDir = "metadata"
	TargetsDir  = "targets"

	namedMax = 16 // targets that are named where another one is missing
)

// Client implements [engine.Trust].
type Client struct{ Version string }

// Find refreshes the metadata of a repository and finds a target. What go-tuf trusts of it is kept, whether the target is there or not, and of
// a repository that was known before also where it fails: nothing older is trusted afterwards.
func (c Client) Find(ctx context.Context, wanted engine.Wanted) (engine.Found, error) {
	found, err := c.find(ctx, wanted)
	if err != nil {
		err = fmt.Errorf("%s: %w", wanted.URL, err)
	}
	return found, err
}

// caught makes an error of a panic: go-tuf takes some fields for granted that metadata may lack.
func caught(err *error) {
	if lacks := recover(); lacks != nil {
		*err = fmt.Errorf("%w: %v", engine.ErrTUFMetadata, lacks)
	}
}

func (c Client) find(ctx context.Context, wanted engine.Wanted) (found engine.Found, err error) {
	defer caught(&err)
	k, err := open(ctx, wanted.Dir, wanted.URL)
	if err != nil {
		return found, err
	}
	defer k.close()
	named, err := k.compare(wanted.Root)
	if err != nil {
		return found, err
	}
	root := k.newest()
	if root == nil {
		root = wanted.Root
	}
	if root == nil {
		return found, engine.ErrTUFNoRoot
	}
	from, err := newFetcher(ctx, wanted.CAFile, engine.Name+"/"+c.Version)
	if err != nil {
		return found, err
	}
	set, err := k.refresh(wanted.URL, root, from)
	if err != nil {
		return found, err
	}
	if named > 0 && !bytes.Equal(k.root(named), wanted.Root) && named >= k.first {
		return found, fmt.Errorf("%w: the newest one is version %d, the one that was named is %d", engine.ErrTUFRoot, set.Root.Signed.Version, named)
	}
	if found, err = target(set, wanted); err == nil {
		found.Advisories, err = advisories(set, wanted.URL, from)
	}
	return found, err
}

// advisories fetches the list of advisories that trusted metadata has; nil: it has none. The error of one that is not the one that was
// signed is [engine.ErrTUFOther]. Where the server withholds it, that is an error too.
func advisories(set *trustedmetadata.TrustedMetadata, address string, from *fetcher) (*engine.SignedList, error) {
	file := set.Targets[metadata.TARGETS].Signed.Targets[engine.ListTarget]
	if file == nil {
		return nil, nil
	}
	found, err := describe(set, address, engine.ListTarget, advisory.ListSizeMax)
	if err != nil {
		return nil, err
	}
	text, err := from.DownloadFile(found.URL, file.Length, 0)
	if long := (*metadata.ErrDownloadLengthMismatch)(nil); errors.As(err, &long) {
		err = fmt.Errorf("%w: %s", engine.ErrTUFOther, long.Msg)
	} else if err != nil {
		err = explain(err, from.last, from.got, set)
	} else if wrong := file.VerifyLengthHashes(text); wrong != nil {
		err = fmt.Errorf("%w: %s: %w", engine.ErrTUFOther, found.URL, wrong)
	}
	if err != nil {
		return nil, err
	}
	return &engine.SignedList{Signed: found.Signed, Text: text}, nil
}

// compare compares the root that was named with those that are kept, and returns its version, 0 where none was named.
func (k *kept) compare(text []byte) (int64, error) {
	if text == nil {
		return 0, nil
	}
	root, err := metadata.Root().FromBytes(text)
	if err != nil {
		return 0, fmt.Errorf("the root that was named: %w: %w", engine.ErrTUFMetadata, fault.JSON(err))
	}
	version := root.Signed.Version
	if there := k.root(version); there != nil && !bytes.Equal(there, text) {
		return 0, fmt.Errorf("%w: another version %d is in %s", engine.ErrTUFRoot, version, k.dir)
	}
	return version, nil
}

// refresh lets go-tuf refresh the metadata in a directory of its own, and keeps what it trusts then.
func (k *kept) refresh(address string, root []byte, from *fetcher) (*trustedmetadata.TrustedMetadata, error) {
	scratch, err := os.MkdirTemp("", "tbctl-engines-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	for role, text := range k.other {
		if err := os.WriteFile(filepath.Join(scratch, role+".json"), text, 0o600); err != nil {
			return nil, err
		}
	}
	options, err := config.New(address+"/"+MetadataDir, root)
	if err != nil {
		return nil, err
	}
	options.Fetcher, options.LocalMetadataDir, options.LocalTargetsDir = from, scratch, scratch
	options.RootMaxLength, options.TimestampMaxLength, options.SnapshotMaxLength, options.TargetsMaxLength = engine.RootSizeMax, timestampMax, metadataMax, metadataMax
	options.MaxDelegations = 0
	update, err := updater.New(options)
	if err != nil {
		return nil, explain(err, "the root that was named", nil, nil)
	}
	failed := update.Refresh()
	set := update.GetTrustedMetadataSet()
	if failed != nil {
		failed = explain(failed, from.last, from.got, &set)
	}
	if failed != nil && len(k.texts) == 0 { // what nobody has seen to be right is not trusted the next time
		return nil, failed
	}
	if err := k.keep(scratch, root, from.got, &set); err != nil {
		return nil, errors.Join(failed, fmt.Errorf("keep the metadata of the repository: %w", err))
	}
	return &set, failed
}

// keep keeps what is trusted: the roots first, since they vouch for the rest.
func (k *kept) keep(scratch string, root []byte, got map[string][]byte, set *trustedmetadata.TrustedMetadata) error {
	if len(k.texts) == 0 {
		first, err := metadata.Root().FromBytes(root)
		if err == nil {
			err = k.addRoot(first.Signed.Version, root)
		}
		if err != nil {
			return err
		}
	}
	for version := k.first + int64(len(k.texts)); version <= set.Root.Signed.Version; version++ {
		if err := k.addRoot(version, got[rootName(version)]); err != nil {
			return err
		}
	}
	for _, role := range others {
		text, err := os.ReadFile(filepath.Join(scratch, role+".json"))
		if errors.Is(err, os.ErrNotExist) || err == nil && bytes.Equal(text, k.other[role]) {
			continue
		}
		if err == nil {
			err = k.write(role+".json", text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// target is what trusted metadata says of the first of the names that it has.
func target(set *trustedmetadata.TrustedMetadata, wanted engine.Wanted) (found engine.Found, err error) {
	all := set.Targets[metadata.TARGETS].Signed.Targets
	at := slices.IndexFunc(wanted.Names, func(name string) bool { return all[name] != nil })
	if at < 0 {
		return found, missing(all, wanted.Names)
	}
	return describe(set, wanted.URL, wanted.Names[at], release.AssetSizeMax)
}

// describe is what trusted metadata says of a target that it has, of at most so many bytes.
func describe(set *trustedmetadata.TrustedMetadata, address, name string, sizeMax int64) (found engine.Found, err error) {
	file := set.Targets[metadata.TARGETS].Signed.Targets[name]
	sum := hex.EncodeToString(file.Hashes["sha256"])
	if !sha.Is(sum) || file.Length < 1 || file.Length > sizeMax {
		return found, fmt.Errorf("%w: the target %s has %d bytes and the SHA-256 %q", engine.ErrTUFMetadata, name, file.Length, sum)
	}
	dir, base := path.Split(name)
	if set.Root.Signed.ConsistentSnapshot {
		base = sum + "." + base
	}
	found.URL = address + "/" + TargetsDir + "/" + dir + base
	found.Signed = depot.Signed{Repository: address, Target: name, SHA256: sum, Size: file.Length}
	found.Signed.Roles = []depot.SignedRole{
		signed(set.Root, metadata.ROOT, set.Root, set.Root.Signed.Version, set.Root.Signed.Expires, set.Root.Signatures),
		signed(set.Root, metadata.TIMESTAMP, set.Timestamp, set.Timestamp.Signed.Version, set.Timestamp.Signed.Expires, set.Timestamp.Signatures),
		signed(set.Root, metadata.SNAPSHOT, set.Snapshot, set.Snapshot.Signed.Version, set.Snapshot.Signed.Expires, set.Snapshot.Signatures),
		signed(set.Root, metadata.TARGETS, set.Targets[metadata.TARGETS], set.Targets[metadata.TARGETS].Signed.Version,
			set.Targets[metadata.TARGETS].Signed.Expires, set.Targets[metadata.TARGETS].Signatures),
	}
	return found, nil
}

// signed says which of the keys that a root has for a role signed its metadata.
func signed(root *metadata.Metadata[metadata.RootType], role string, what any, version int64, expires time.Time, signatures []metadata.Signature) depot.SignedRole {
	said := depot.SignedRole{Role: role, Version: version, Expires: expires.UTC(), Keys: []string{}}
	for _, signature := range signatures {
		alone := *root
		alone.Signed.Roles = map[string]*metadata.Role{role: {KeyIDs: []string{signature.KeyID}, Threshold: 1}}
		if slices.Contains(root.Signed.Roles[role].KeyIDs, signature.KeyID) && alone.VerifyDelegate(role, what) == nil {
			said.Keys = append(said.Keys, signature.KeyID)
		}
	}
	return said
}

// missing says which releases there are in place of one that is not.
func missing(all map[string]*metadata.TargetFiles, names []string) error {
	text := strings.Join(names, " or ")
	var others []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if slices.ContainsFunc(names, func(wanted string) bool { return path.Base(wanted) == path.Base(name) }) {
			others = append(others, path.Dir(name))
		}
	}
	others = slices.Compact(others)
	switch {
	case len(others) == 0:
		return fmt.Errorf("%w: %s", engine.ErrTUFTarget, text)
	case len(others) > namedMax:
		others = others[len(others)-namedMax:]
	}
	return fmt.Errorf("%w: %s; it has %s", engine.ErrTUFTarget, text, strings.Join(others, ", "))
}

// explain says what an error of go-tuf means. Last is the file that was fetched last, of got.
func explain(err error, last string, got map[string][]byte, set *trustedmetadata.TrustedMetadata) error {
	var (
		expired  *metadata.ErrExpiredMetadata
		version  *metadata.ErrBadVersionNumber
		other    *metadata.ErrLengthOrHashMismatch
		unsigned *metadata.ErrUnsignedMetadata
		long     *metadata.ErrDownloadLengthMismatch
		status   *metadata.ErrDownloadHTTP
	)
	switch {
	case errors.Is(err, engine.ErrTUFAway), errors.Is(err, engine.ErrPlain), errors.Is(err, engine.ErrAuthority), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &expired):
		return fmt.Errorf("%w: %s", engine.ErrTUFExpired, whichExpired(set, last, got))
	case errors.As(err, &version):
		return fmt.Errorf("%w: %s: %s", ofVersion(last, got, set), last, version.Msg)
	case errors.As(err, &other):
		return fmt.Errorf("%w: %s is not the one that is named by what was signed after it: %s", engine.ErrTUFMixed, last, other.Msg)
	case errors.As(err, &unsigned):
		return fmt.Errorf("%w: %s: %s", engine.ErrTUFUnsigned, last, unsigned.Msg)
	case errors.As(err, &long):
		return fmt.Errorf("%w: %s", engine.ErrTUFLong, long.Msg)
	case errors.As(err, &status) && (status.StatusCode == http.StatusNotFound || status.StatusCode == http.StatusGone):
		return fmt.Errorf("%w: %s", engine.ErrTUFMissing, status.URL)
	case errors.As(err, &status):
		return fmt.Errorf("%w as it should: %s: status %d", engine.ErrTUFAway, status.URL, status.StatusCode)
	}
	return fmt.Errorf("%w: %s: %w", engine.ErrTUFMetadata, last, fault.JSON(err))
}

// whichExpired says which metadata it is, and since when.
func whichExpired(set *trustedmetadata.TrustedMetadata, last string, got map[string][]byte) string {
	now, when := set.RefTime, func(role string, version int64, expires time.Time) string {
		return fmt.Sprintf("%s %d was good until %s UTC", role, version, expires.UTC().Format(time.DateTime))
	}
	switch {
	case set.Root.Signed.IsExpired(now):
		return when(metadata.ROOT, set.Root.Signed.Version, set.Root.Signed.Expires)
	case set.Timestamp != nil && set.Timestamp.Signed.IsExpired(now):
		return when(metadata.TIMESTAMP, set.Timestamp.Signed.Version, set.Timestamp.Signed.Expires)
	case set.Snapshot != nil && set.Snapshot.Signed.IsExpired(now):
		return when(metadata.SNAPSHOT, set.Snapshot.Signed.Version, set.Snapshot.Signed.Expires)
	}
	if targets, err := metadata.Targets().FromBytes(got[last]); err == nil {
		return when(metadata.TARGETS, targets.Signed.Version, targets.Signed.Expires)
	}
	return last
}

// ofVersion says what a wrong version means: it is older than what was seen, or not the one that the metadata after it names.
func ofVersion(last string, got map[string][]byte, set *trustedmetadata.TrustedMetadata) error {
	switch {
	case strings.HasSuffix(last, metadata.TIMESTAMP+".json"):
		return engine.ErrTUFOlder
	case strings.HasSuffix(last, metadata.SNAPSHOT+".json"):
		offered, err := metadata.Snapshot().FromBytes(got[last])
		if err == nil && set.Snapshot != nil && set.Snapshot.Signed.Version != offered.Signed.Version {
			return engine.ErrTUFOlder // it took none of it
		}
	}
	return engine.ErrTUFMixed
}
