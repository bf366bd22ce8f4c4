// Package depot keeps artifacts by what they are: each file is named by the SHA-256 of its bytes, and is
// there whole and durable, or not at all. Beside it lie its receipts: who vouched for it, when,
// and where it came from. No file in a depot is executable.
package depot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

const (
	dirMode     vfs.Mode = 0o755
	fileMode    vfs.Mode = 0o644
	receiptMode vfs.Mode = 0o644
	lockMode    vfs.Mode = 0o600

	byDigest = "sha256"    // the directory below the depot's
	incoming = "incoming-" // what is being written is named after it, and after its size
	waiting  = "waiting-"  // and what waits for room
	lockName = ".lock"

	receiptSuffix = ".receipts"
	damagedMark   = ".damaged-"

	// ArtifactsMax is the most artifacts of a depot.
	ArtifactsMax = 10_000
	// SpareMin is how many bytes of the file system are left free by whatever is stored, or a few MiB less while
	// others write there: for what is installed from it, and for what is noted of that.
	SpareMin = 128 << 20

	// ReceivedMax is how many artifacts there are when no more are taken from other ends, and ReceivedSpareMin what those leave
	// free: so that they never keep the operator of this host from storing something.
	ReceivedMax      = 1_000
	ReceivedSpareMin = 2 * SpareMin

	spareEvery = 1 << 20 // bytes that are written between two looks at what is free: not all file systems keep what is reserved
	// ReceiptsMax is the most receipts of an artifact that are kept; of more the oldest go.
	ReceiptsMax = 64
	writersMax  = 1000             // at the same time
	beginWait   = 30 * time.Second // for one that stores or removes something
	roomWait    = 15 * time.Second // for room that others have reserved

	slowest   = 256 << 10        // bytes a second, of one that others wait for
	slowAfter = 10 * time.Second // from its beginning on

	receiptsSizeMax  = 256 << 10
	receiptTextMax   = 4 << 10 // bytes of each text of a receipt
	setAsideTriesMax = 4
)

// ErrDigest says that bytes have another SHA-256 than they should.
var ErrDigest = fault.New(fault.Rejected, "its bytes have another SHA-256")

// ErrExchanged says that an artifact could not be read as it is: another file was put in its place meanwhile.
var ErrExchanged = fault.New(fault.Busy, "another file was put in its place while it was read")

// FullError says that a depot has as many artifacts as may be.
type FullError struct {
	Path        string // the directory
	Count, Most int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%s: %d artifacts are there, and at most %d may be", e.Path, e.Count, e.Most)
}

// Is matches [vfs.ErrTooLarge].
func (e *FullError) Is(target error) bool { return target == vfs.ErrTooLarge }

// Class is what it means: see [fault.Of].
func (e *FullError) Class() fault.Class { return fault.Refused }

// Depot is a directory of artifacts.
type Depot struct {
	fsys vfs.FS
	dir  string
	look bool // nothing is changed, see Looking
}

// Open returns the depot in a directory, an absolute path. Nothing is made before something is stored.
func Open(fsys vfs.FS, dir string) *Depot { return &Depot{fsys: fsys, dir: dir} }

// Looking is the same depot for one who only looks: an artifact whose bytes have changed is left where it is.
func (d *Depot) Looking() *Depot { return &Depot{fsys: d.fsys, dir: d.dir, look: true} }

// Artifact is a file of a depot.
type Artifact struct {
	SHA256   string    `json:"sha256"` // of its bytes, in hexadecimal digits
	Size     int64     `json:"size"`   // in bytes
	Stored   time.Time `json:"stored"`
	Receipts []Receipt `json:"receipts"` // the oldest first

	// Disbelieved is why the receipts are not believed; "": they are, or there are none.
	Disbelieved string `json:"disbelieved,omitempty"`
}

// Believed are the receipts, unless others than root and this user can have written them.
func (a *Artifact) Believed() []Receipt {
	if a.Disbelieved != "" {
		return []Receipt{}
	}
	return a.Receipts
}

// The kinds of receipts that vouch for nothing.
const (
	KindImport = "import" // where an artifact was fetched from
	KindPlan   = "plan"   // what the plan of a rollout said of who vouched for it, which this host has not checked
)

// Receipt says who vouched for an artifact, or where it came from.
type Receipt struct {
	Kind   string    `json:"kind"`   // [KindImport], [KindPlan], or what vouched: sha256, sha256sums, github-digest, minisign, oci-manifest, tuf
	By     string    `json:"by"`     // the digest or the key that vouched, or the plan's digest; "" of an import
	Source string    `json:"source"` // where the artifact came from
	Who    string    `json:"who"`    // user and machine that brought it
	Time   time.Time `json:"time"`

	// Signature is that of the artifact's own bytes, not of an archive that it was in: the text of its file. "": there is none.
	Signature string `json:"signature,omitempty"`

	// Of an import: the release by which it was asked for, and the asset that it was in, so that the same need not
	// be fetched again. Empty where that is not known.
	Tag         string `json:"tag,omitempty"`
	AssetSHA256 string `json:"asset_sha256,omitempty"`
	AssetSize   int64  `json:"asset_size,omitempty"` // in bytes
	Validator   string `json:"validator,omitempty"`  // the ETag under which the server gave it

	// Said is of a plan: the kinds of evidence that held when it was made, as it says, separated by commas; "": none.
	Said string `json:"said,omitempty"`

	// Signed is of tuf: what the signed metadata was.
	Signed *Signed `json:"signed,omitempty"`
}

// Signed is what the metadata of a TUF repository said of an artifact when it was imported.
type Signed struct {
	Repository string       `json:"repository"` // its URL
	Target     string       `json:"target"`     // its name there
	SHA256     string       `json:"sha256"`     // of the target
	Size       int64        `json:"size"`       // of the target, in bytes
	Roles      []SignedRole `json:"roles"`      // root, timestamp, snapshot, targets
}

// SignedRole is the metadata of one role.
type SignedRole struct {
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	Keys    []string  `json:"keys"` // the ids of those that signed it
}

// Expires is the role whose metadata expires first. Of no roles it is the zero one.
func (s *Signed) Expires() (first SignedRole) {
	for _, role := range s.Roles {
		if first.Role == "" || role.Expires.Before(first.Expires) {
			first = role
		}
	}
	return first
}

// texts are all that it has from outside.
func (s *Signed) texts() []string {
	if s == nil {
		return nil
	}
	all := []string{s.Repository, s.Target, s.SHA256}
	for _, role := range s.Roles {
		all = append(append(all, role.Role), role.Keys...)
	}
	return all
}

// Dir is the directory that the depot is in.
func (d *Depot) Dir() string { return d.dir }

// FS is the file system that the depot is on.
func (d *Depot) FS() vfs.FS { return d.fsys }

func (d *Depot) files() string { return filepath.Join(d.dir, byDigest) }

// Path returns where an artifact is, or would be.
func (d *Depot) Path(digest string) string { return filepath.Join(d.files(), digest) }

// receiptsPath returns where an artifact's receipts are, or would be.
func (d *Depot) receiptsPath(digest string) string { return d.Path(digest) + receiptSuffix }

// digests are the names of the artifacts in a directory, in order.
func digests(dir vfs.Dir) ([]string, error) {
	names, err := dir.List("", 4*ArtifactsMax)
	return slices.DeleteFunc(names, func(name string) bool { return !sha.Is(name) }), err
}

// lock takes the depot's lock, which artifacts are published and removed under.
func (d *Depot) lock(ctx context.Context) (vfs.File, error) {
	return d.lockWithin(ctx, durable.WaitForever)
}

func (d *Depot) lockWithin(ctx context.Context, wait time.Duration) (vfs.File, error) {
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var lock vfs.File
	err = durable.WhileBusy(ctx, wait, func() error {
		lock, err = durable.OpenLocked(dir, lockName, func() (vfs.File, error) { return durable.OpenOrCreate(dir, lockName, lockMode) },
			func(vfs.File) error { return &durable.BusyError{Path: filepath.Join(d.files(), lockName)} })
		return err
	})
	return lock, err
}

// File is an artifact that is open for reading. It can be read to its end, also when it is removed meanwhile.
type File struct {
	vfs.File
	size int64
}

// Size returns its size in bytes.
func (f *File) Size() int64 { return f.size }

// Open opens an artifact. Whether its bytes are still the ones that were stored is said by [Depot.Check]. Errors:
// fs.ErrNotExist, or the operating system's.
func (d *Depot) Open(digest string) (*File, error) {
	file, info, err := d.open(digest)
	if err != nil {
		return nil, err
	}
	return &File{file, info.Size}, nil
}

func (d *Depot) open(digest string) (vfs.File, vfs.Info, error) {
	failed := func(err error) (vfs.File, vfs.Info, error) {
		return nil, vfs.Info{}, &fs.PathError{Op: "open", Path: d.Path(digest), Err: err}
	}
	if !sha.Is(digest) {
		return failed(fs.ErrInvalid)
	}
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return failed(err)
	}
	defer dir.Close()
	file, err := dir.Open(digest)
	if err != nil {
		return failed(err)
	}
	info, err := file.Stat()
	if err == nil {
		err = vfs.Regular(info)
	}
	if err == nil && info.Size > multiversion.SizeMax {
		err = vfs.ErrTooLarge
	}
	if err != nil {
		file.Close()
		return failed(err)
	}
	return file, info, nil
}

// Stat describes an artifact. Its error is that of [Depot.Open]; receipts that cannot be read are none, and not believed.
func (d *Depot) Stat(digest string) (Artifact, error) {
	file, info, err := d.open(digest)
	if err != nil {
		return Artifact{}, err
	}
	file.Close()
	receipts, writers, err := d.Receipts(digest)
	return Artifact{SHA256: digest, Size: info.Size, Stored: info.Modified, Receipts: receipts, Disbelieved: Doubt(writers, err)}, nil
}

// List describes all artifacts, in the order of their names.
func (d *Depot) List() ([]Artifact, error) {
	artifacts := []Artifact{}
	dir, err := d.fsys.OpenDir(d.files())
	if errors.Is(err, fs.ErrNotExist) {
		if err = vfs.Dangling(d.fsys, d.files()); err == nil {
			return artifacts, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)
	}
	defer dir.Close()
	names, err := digests(dir)
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)
	}
	for _, name := range names {
		if len(artifacts) == ArtifactsMax {
			return nil, fmt.Errorf("list the store: %w: more than %d artifacts", vfs.ErrTooLarge, ArtifactsMax)
		}
		artifact, err := d.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, vfs.ErrNotRegular) {
			continue // removed meanwhile, or none of ours
		}
		if err != nil {
			return nil, fmt.Errorf("list the store: %w", err)
		}
		artifacts = append(artifacts, artifact)
	}
	return artifacts, nil
}

// ChecksMax is how often an artifact is read in whose place another process puts another file meanwhile.
const ChecksMax = 3

// Check reads an artifact and compares its SHA-256. One whose bytes have changed is set aside under another name, and
// is [ErrDigest] now and fs.ErrNotExist from then on; see [Depot.Looking]. Where another file is at its name by then that is read, a few times:
// [ErrExchanged]. Other errors: those of [Depot.Open], and the context's.
func (d *Depot) Check(ctx context.Context, digest string) error {
	for range ChecksMax {
		found, info, err := d.sum(ctx, digest)
		if err != nil || found == digest {
			return err
		}
		switch now, err := d.lstat(digest); {
		case err != nil:
			return err
		case !now.Unchanged(info):
			continue
		}
		err = fmt.Errorf("%s: %w: %s", d.Path(digest), ErrDigest, found)
		if d.look {
			return fmt.Errorf("%w; it is left there", err)
		}
		aside, asideErr := d.setAside(digest)
		if asideErr != nil {
			return fmt.Errorf("%w; it could not be set aside: %w", err, asideErr)
		}
		return fmt.Errorf("%w; it was set aside as %s", err, aside)
	}
	return fmt.Errorf("%s: %w", d.Path(digest), ErrExchanged)
}

// sum reads the file of an artifact, which was that before.
func (d *Depot) sum(ctx context.Context, digest string) (string, vfs.Info, error) {
	file, info, err := d.open(digest)
	if err != nil {
		return "", info, err
	}
	defer file.Close()
	sum := sha256.New()
	buffer := make([]byte, 256<<10)
	for offset := int64(0); offset < info.Size; {
		if err := context.Cause(ctx); err != nil {
			return "", info, err
		}
		count, err := file.ReadAt(buffer[:min(int64(len(buffer)), info.Size-offset)], offset)
		sum.Write(buffer[:count])
		offset += int64(count)
		if err != nil && offset < info.Size {
			if errors.Is(err, io.EOF) {
				break // it became shorter
			}
			return "", info, &fs.PathError{Op: "read", Path: d.Path(digest), Err: err}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), info, nil
}

// lstat looks at what is at the name of an artifact.
func (d *Depot) lstat(digest string) (vfs.Info, error) {
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return vfs.Info{}, err
	}
	defer dir.Close()
	info, err := dir.Lstat(digest)
	if err != nil {
		return info, &fs.PathError{Op: "look at", Path: d.Path(digest), Err: err}
	}
	return info, nil
}

// Damaged is a file that was set aside, since its bytes had changed.
type Damaged struct {
	Name string `json:"name"` // in the depot's directory of artifacts
	Size int64  `json:"size"` // in bytes
}

// SetAside lists what was set aside, in the order of the names.
func (d *Depot) SetAside() ([]Damaged, error) {
	found := []Damaged{}
	dir, err := d.fsys.OpenDir(d.files())
	if errors.Is(err, fs.ErrNotExist) {
		if err = vfs.Dangling(d.fsys, d.files()); err == nil {
			return found, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)
	}
	defer dir.Close()
	names, err := dir.List("", 4*ArtifactsMax)
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)
	}
	for _, name := range names {
		digest, _, marked := strings.Cut(name, damagedMark)
		if !marked || !sha.Is(digest) {
			continue
		}
		if info, exists, err := vfs.LstatMaybe(dir, name); err == nil && exists {
			found = append(found, Damaged{Name: name, Size: info.Size})
		}
	}
	return found, nil
}

// setAside renames a file whose bytes are not its name's.
func (d *Depot) setAside(digest string) (string, error) {
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return "", err
	}
	defer dir.Close()
	for number := range setAsideTriesMax {
		aside := fmt.Sprintf("%s%s%d", digest, damagedMark, number)
		_, exists, statErr := vfs.LstatMaybe(dir, aside)
		if statErr != nil {
			return "", statErr
		}
		if exists && number < setAsideTriesMax-1 {
			continue // of the last name what was there goes
		}
		if err := dir.Rename(digest, aside); err != nil {
			return "", err
		}
		return aside, dir.Sync()
	}
	return "", fs.ErrExist
}

// Remove removes an artifact and its receipts, if keep, which is asked under the depot's lock, still says no.
func (d *Depot) Remove(ctx context.Context, digest string, keep func() (bool, error)) (removed bool, err error) {
	lock, err := d.lock(ctx)
	if err != nil {
		return false, fmt.Errorf("remove from the store: %w", err)
	}
	defer lock.Close()
	if kept, err := keep(); err != nil || kept {
		return false, err
	}
	if !sha.Is(digest) {
		return false, &fs.PathError{Op: "remove", Path: d.Path(digest), Err: fs.ErrInvalid}
	}
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return false, fmt.Errorf("remove from the store: %w", err)
	}
	defer dir.Close()
	if err := dir.Remove(digest); err != nil {
		return false, fmt.Errorf("remove from the store: %w", err)
	}
	if err := dir.Remove(digest + receiptSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, fmt.Errorf("remove from the store: %w", err)
	}
	return true, dir.Sync()
}
