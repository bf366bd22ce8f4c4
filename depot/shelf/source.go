package shelf

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
)

// How an artifact of the store is named where a release may be.
const (
	PrefixDigest  = "sha256:" // and its SHA-256
	PrefixRelease = "store:"  // and its release
)

// AmbiguousError says that several artifacts are of the release that was asked for.
type AmbiguousError struct {
	Tag   release.Tag
	Items []Item
}

func (e *AmbiguousError) Error() string {
	var names []string
	for _, item := range e.Items {
		names = append(names, PrefixDigest+item.SHA256)
	}
	return fmt.Sprintf("the store has %d artifacts of release %s: %s", len(e.Items), e.Tag, strings.Join(names, ", "))
}

// MissingError says that a store does not have what was asked for. It is a [release.ErrNotFound].
type MissingError struct {
	Store string // its directory
	What  string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%v: the store %s has no %s", e.Unwrap(), e.Store, e.What)
}

// Unwrap returns what it is.
func (e *MissingError) Unwrap() error { return release.ErrNotFound }

// orMissing is the error about an artifact, or that the depot does not have it.
func orMissing(d *depot.Depot, digest string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &MissingError{d.Dir(), PrefixDigest + digest}
	}
	return err
}

// Class is [fault.Refused].
func (e *AmbiguousError) Class() fault.Class { return fault.Refused }

// IsName reports whether a text names an artifact of the store.
func IsName(text string) bool {
	return strings.HasPrefix(text, PrefixDigest) || strings.HasPrefix(text, PrefixRelease)
}

// Resolve says which artifact of the store a text means: sha256:HEX, or store:RELEASE for the platform of the options.
// What its receipts say vouches for it, as strongly as what they name, if nobody else can have written them; so does
// the digest, where it is what names it. Errors match [release.ErrNotFound], [release.ErrTag] or [release.ErrOption], or are
// an [*AmbiguousError], or the depot's.
func Resolve(ctx context.Context, d *depot.Depot, text string, options release.Options) (release.Artifact, error) {
	var item Item
	about := release.About{Source: release.SourceStore}
	named := strings.HasPrefix(text, PrefixDigest)
	if named {
		digest, err := sha.Parse(text)
		if err != nil {
			return release.Artifact{}, err
		}
		artifact, err := d.Stat(digest)
		if err != nil {
			return release.Artifact{}, orMissing(d, digest, err)
		}
		item.Artifact = artifact
	} else {
		tag, err := release.ParseTag(strings.TrimPrefix(text, PrefixRelease))
		if err != nil {
			return release.Artifact{}, err
		}
		if item, err = find(ctx, d, tag, options); err != nil {
			return release.Artifact{}, err
		}
		about.Tag = tag
		if tag == release.Latest {
			about.Tag = item.Tag()
		}
	}
	about.Location = PrefixDigest + item.SHA256
	return release.From(&source{d, item.SHA256}, about, options, &receipts{d, item, named, false, options})
}

// Pushed is an artifact of the store that another machine brought, perhaps with a signature. That it is named by its digest vouches for
// nothing: whoever brought it named it. What does is a signature by the key of the options, or a receipt of this store.
func Pushed(d *depot.Depot, digest, signature string, options release.Options) (release.Artifact, error) {
	item := Item{Artifact: depot.Artifact{SHA256: digest}}
	vouchers := []release.Voucher{&receipts{d, item, false, true, options}}
	if signature != "" {
		vouchers = append(vouchers, release.Signature(signature))
	}
	return release.From(&source{d, digest}, release.About{Source: release.SourceStore, Location: PrefixDigest + digest}, options, vouchers...)
}

// Evidence says who vouches for an artifact of the store: what its receipts say, if they are believed, and whether a signature holds over its
// bytes by a public key; "": there is none. The error is that of reading it.
func Evidence(ctx context.Context, d *depot.Depot, digest, signature, key string) ([]release.Evidence, error) {
	if signature != "" && release.PublicKeyLine(key) == "" {
		evidence, err := Evidence(ctx, d, digest, "", "")
		return append(evidence, release.Evidence{Kind: release.EvidenceMinisign, Status: release.StatusFailed, Detail: "the public key of the signature cannot be read", Length: -1}), err
	}
	artifact, err := Pushed(d, digest, signature, release.Options{PublicKey: key})
	if err != nil {
		return nil, err
	}
	fetched, err := artifact.Fetch(ctx, io.Discard)
	if trust := (*release.TrustError)(nil); errors.As(err, &trust) {
		return trust.Evidence, nil
	}
	return fetched.Evidence, err
}

// find finds the one artifact of a release for a platform.
func find(ctx context.Context, d *depot.Depot, tag release.Tag, options release.Options) (Item, error) {
	if options.Platform == "" {
		var err error
		if options.Platform, err = release.HostPlatform(); err != nil {
			return Item{}, err
		}
	}
	items, err := List(ctx, d)
	if err != nil {
		return Item{}, err
	}
	items = slices.DeleteFunc(items, func(item Item) bool {
		return item.Release == 0 || item.Platform != options.Platform || item.Debug != options.Debug || tag != release.Latest && !item.IsOf(tag)
	})
	if tag == release.Latest && len(items) > 0 {
		newest := items[0].Release
		items = slices.DeleteFunc(items, func(item Item) bool { return item.Release != newest })
	}
	switch len(items) {
	case 0:
		return Item{}, &MissingError{d.Dir(), fmt.Sprintf("release %s for %s", tag, options.Platform)}
	case 1:
		return items[0], nil
	}
	return Item{}, &AmbiguousError{tag, items}
}

// A source is an artifact as a release's bytes.
type source struct {
	depot  *depot.Depot
	digest string
}

// Open opens the artifact. Its bytes are compared with its name when they have been read.
func (s *source) Open(ctx context.Context, read hash.Hash) (release.Stream, error) {
	file, err := s.depot.Open(s.digest)
	if err != nil {
		return nil, orMissing(s.depot, s.digest, err)
	}
	return &stream{source: s, ctx: ctx, file: file, read: read}, nil
}

// Beside has nothing: what vouched for an artifact is in its receipts.
func (s *source) Beside(_ context.Context, name string, _ int64) ([]byte, error) {
	return nil, fmt.Errorf("%w: a store keeps no %s", release.ErrNotFound, name)
}

// A stream is an artifact that is read.
type stream struct {
	*source

	ctx  context.Context
	file *depot.File
	read hash.Hash // of what its reader has
	done int64
}

func (s *stream) Read(data []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	if rest := s.file.Size() - s.done; rest == 0 {
		return 0, s.end()
	} else if int64(len(data)) > rest {
		data = data[:rest]
	}
	count, err := s.file.ReadAt(data, s.done)
	s.done += int64(count)
	if count > 0 || errors.Is(err, io.EOF) && s.done == s.file.Size() {
		err = nil
	}
	return count, err
}

// end is io.EOF when all that was read is the artifact. One that has changed is set aside.
func (s *stream) end() error {
	if hex.EncodeToString(s.read.Sum(nil)) == s.digest {
		return io.EOF
	}
	if err := s.depot.Check(s.ctx, s.digest); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", s.depot.Path(s.digest), depot.ErrExchanged)
}

func (s *stream) Progress() release.Progress {
	return release.Progress{Done: s.done, Total: s.file.Size()}
}

func (s *stream) Close(bool) release.Delivery {
	s.file.Close()
	return release.Delivery{}
}

// receipts vouch for an artifact.
type receipts struct {
	depot   *depot.Depot
	item    Item
	named   bool // by its digest
	pushed  bool // a signature may come with it, and need not be in a receipt
	options release.Options
}

// Ask claims what the receipts say, each kind once. They are believed if root or this user has written them, and
// nobody else can have.
func (r *receipts) Ask(context.Context, *release.Artifact) []release.Claim {
	claims := []release.Claim{}
	if r.named {
		claims = append(claims, r.claim(release.EvidenceSHA256, release.RequireDigest))
	}
	said, writers, err := r.depot.Receipts(r.item.SHA256)
	doubt := depot.Doubt(writers, err)
	wanted := map[release.EvidenceKind]bool{
		release.EvidenceMinisign: r.options.PublicKey != "" && !r.pushed, release.EvidenceGitHubDigest: r.options.AskGitHub && !r.named,
	}
	key := release.PublicKeyLine(r.options.PublicKey)
	for _, kind := range []release.EvidenceKind{release.EvidenceSHA256, release.EvidenceSums, release.EvidenceSidecar, release.EvidenceGitHubDigest, release.EvidenceManifest, release.EvidenceMinisign, release.EvidenceTUF} {
		claim := r.claim(kind, release.RequireDigest)
		if kind == release.EvidenceTUF && key == "" || kind == release.EvidenceMinisign && key != "" { // where a key is named, by that one alone
			claim.Strength = release.RequireSignature
		}
		claim.Asked = wanted[kind]
		receipt := newest(said, kind, key)
		switch {
		case kind == release.EvidenceSHA256 && r.named:
			continue
		case receipt == nil && !claim.Asked:
			continue
		case receipt == nil:
			claim.Status, claim.Detail = release.StatusAbsent, "no receipt of the store says so"
		case doubt != "":
			claim.Status, claim.Detail = release.StatusNotChecked, "the receipts of the store are not believed: "+doubt
		default:
			claim.Said = fmt.Sprintf("; by %s: receipt of %s, %s", receipt.By, receipt.Time.UTC().Format(time.DateTime), receipt.Source)
		}
		claims = append(claims, claim)
	}
	return claims
}

// claim is about the artifact's own digest: that is what a receipt is about.
func (r *receipts) claim(kind release.EvidenceKind, strength release.Require) release.Claim {
	return release.Claim{Kind: kind, Strength: strength, SHA256: r.item.SHA256, Of: "executable", Length: -1}
}

// newest is the newest receipt of a kind; of signatures one by the key, if there is one.
func newest(said []depot.Receipt, kind release.EvidenceKind, key string) *depot.Receipt {
	for index := range slices.Backward(said) {
		receipt := &said[index]
		if receipt.Kind == string(kind) && (kind != release.EvidenceMinisign || key == "" || receipt.By == key) {
			return receipt
		}
	}
	return nil
}
