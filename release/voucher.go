package release

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// A Voucher says of an artifact's bytes whether they are the right ones: first what it claims of them, before they
// come, and each claim is compared with what came.
type Voucher interface {
	// Ask finds out what is claimed of the artifact. What could not be had is a claim too, which says why.
	Ask(ctx context.Context, a *Artifact) []Claim
}

// A Claim is what a voucher says of an artifact's bytes.
type Claim struct {
	Kind EvidenceKind
	// Strength is the strongest that it satisfies of Options.Require, when it holds.
	Strength Require
	// Asked is whether it was asked for by its name: without it nothing is fetched.
	Asked bool

	// Status and Detail are of a claim that is settled without the bytes: failed, absent or not-checked. Cause is
	// why it could not be had although it may be there, and another time it may be had.
	Status Status
	Detail string
	Cause  error

	// SHA256 is in hexadecimal digits, and Of what it is of: "asset", "executable", or "" for whichever matches.
	// Length is in bytes, -1 if it is not stated. Where it is Bounded, more of the asset is not read.
	SHA256  string
	Of      string
	Length  int64
	Bounded bool
	// Where is the line of the list in which the digest stands. Weak is of one that may be about another file: if
	// it does not match that proves nothing.
	Where string
	Weak  bool

	// Said is told besides, when the claim holds.
	Said string
	// Signature is that of one who signed, so that others can check it too.
	Signature string

	// Watch is of a claim that is more than a digest. It begins to look at the asset's bytes.
	Watch func() Watcher
}

// A Watcher is given each byte of an asset, in their order, and then judges it.
type Watcher interface {
	io.Writer
	Judge() (status Status, detail string)
}

// Evidence is one claim about the bytes, and whether it held.
type Evidence struct {
	Kind   EvidenceKind `json:"kind"`
	Status Status       `json:"status"`
	Detail string       `json:"detail"`
	// Of says what it is about: "asset" or "executable". Empty when nothing was compared.
	Of string `json:"of,omitempty"`
	// Length is how many bytes it vouches for, -1 when it does not say.
	Length int64 `json:"length"`
	// Signature is the one that held, the text of its file; "": none did.
	Signature string `json:"-"`
}

// An EvidenceKind is a way to know that bytes are the right ones.
type EvidenceKind string

// The kinds of evidence.
const (
	EvidenceSHA256       EvidenceKind = "sha256"        // given by the caller
	EvidenceSums         EvidenceKind = "sha256sums"    // the file SHA256SUMS beside the asset
	EvidenceSidecar      EvidenceKind = "sha256-file"   // the file ASSET.sha256 beside the asset
	EvidenceGitHubDigest EvidenceKind = "github-digest" // what GitHub's API says of the asset
	EvidenceMinisign     EvidenceKind = "minisign"      // ASSET.minisig beside the asset
	EvidenceManifest     EvidenceKind = "oci-manifest"  // the manifest of a registry
	EvidenceTUF          EvidenceKind = "tuf"           // the signed metadata of a TUF repository
)

// A Status is what became of a piece of evidence.
type Status string

// The statuses. Absent is evidence that the source does not have; not-checked is evidence that may
// exist but could not be had, for the reason in the detail.
const (
	StatusHeld       Status = "held"
	StatusFailed     Status = "failed"
	StatusAbsent     Status = "absent"
	StatusNotChecked Status = "not-checked"
)

// A Require says what must have held before bytes may be used.
type Require string

// The requirements, and the strengths of claims. A digest may be one that the caller gave, one in SHA256SUMS or ASSET.sha256, or
// GitHub's; a signature satisfies RequireDigest too.
const (
	RequireNothing   Require = ""
	RequireDigest    Require = "digest"
	RequireSignature Require = "signature"
)

// Check refuses what is no requirement.
func (r Require) Check() error {
	if r == RequireNothing || r == RequireDigest || r == RequireSignature {
		return nil
	}
	return fmt.Errorf("%q is neither %s nor %s", string(r), RequireDigest, RequireSignature)
}

// satisfiedBy reports whether a claim is strong enough, if it holds.
func (r Require) satisfiedBy(strength Require) bool {
	return r == RequireNothing || r == strength || r == RequireDigest && strength == RequireSignature
}

const (
	ofAsset      = "asset"
	ofExecutable = "executable"
)

// digestClaim is a claim that waits for a digest.
func digestClaim(kind EvidenceKind, of string) Claim {
	return Claim{Kind: kind, Strength: RequireDigest, Of: of, Length: -1}
}

// settled is the claim as one that is not compared.
func (c Claim) settled(status Status, format string, args ...any) Claim {
	c.Status, c.Detail = status, fmt.Sprintf(format, args...)
	return c
}

// missing is the claim as one that could not be had. Only what is not there is absent; all else is
// not-checked, and its cause may be gone another time.
func (c Claim) missing(err error, absent string) Claim {
	var token *TokenError
	hidden := errors.As(err, &token) && token.Hidden
	if errors.Is(err, ErrNotFound) && !hidden {
		return c.settled(StatusAbsent, "%s", absent)
	}
	if !errors.Is(err, ErrTooLarge) && !errors.Is(err, errNoPlace) && !errors.Is(err, errSigned) {
		c.Cause = err
	}
	return c.settled(StatusNotChecked, "%v", err)
}

// open reports whether the claim waits for the bytes.
func (c Claim) open() bool { return c.Status == "" }

func (c Claim) evidence(status Status, of, format string, args ...any) Evidence {
	return Evidence{Kind: c.Kind, Status: status, Detail: fmt.Sprintf(format, args...), Of: of, Length: c.Length}
}

// measured is what came, or what the caller has.
type measured struct {
	assetSHA256, executableSHA256 string
	assetSize, executableSize     int64
	watchers                      []Watcher // of each claim that has one; nil: they have not seen the asset
}

// judge compares a claim with what came. The watcher is the claim's own, if it has one.
func (c Claim) judge(m measured, watcher Watcher) Evidence {
	switch {
	case !c.open():
		return c.evidence(c.Status, "", "%s", c.Detail)
	case c.Watch != nil:
		status, detail := watcher.Judge()
		e := c.evidence(status, c.Of, "%s", detail)
		if status == StatusHeld {
			e.Length, e.Signature = m.assetSize, c.Signature
		}
		return e
	case c.Of == ofAsset && c.Length >= 0 && c.Length != m.assetSize:
		return c.evidence(StatusFailed, ofAsset, "the asset has %d bytes, %d are stated", m.assetSize, c.Length)
	case c.Of != ofExecutable && c.SHA256 == m.assetSHA256:
		c.Length = m.assetSize
		return c.evidence(StatusHeld, ofAsset, "SHA-256 of the asset %s%s", c.SHA256, c.Said)
	case c.Of != ofAsset && c.SHA256 == m.executableSHA256:
		c.Length = m.executableSize
		return c.evidence(StatusHeld, ofExecutable, "SHA-256 of the executable %s%s", c.SHA256, c.Said)
	case c.Weak:
		return c.evidence(StatusNotChecked, "", "%s has another sum than the executable in this archive: it may be of another platform or release", c.Where)
	}
	expected := "expected SHA-256 " + c.SHA256
	if c.Where != "" {
		expected += " (" + c.Where + ")"
	}
	switch c.Of {
	case ofAsset:
		return c.evidence(StatusFailed, ofAsset, "%s; the asset has %s", expected, m.assetSHA256)
	case ofExecutable:
		return c.evidence(StatusFailed, ofExecutable, "%s; the executable has %s", expected, m.executableSHA256)
	}
	return c.evidence(StatusFailed, "", "%s; the asset has %s, the executable %s", expected, m.assetSHA256, m.executableSHA256)
}

// vouchers are those that are asked about the artifact. Beside one of the store lies nothing but what vouched for
// it when it was stored, which those of the store tell.
func (a *Artifact) vouchers() []Voucher {
	var all []Voucher
	if a.options.SHA256 != "" {
		all = append(all, knownDigest(a.options.SHA256))
	}
	if a.Source.judged() {
		return append(all, a.more...)
	}
	if a.Source.hasSums() && !a.alone() {
		all = append(all, sumsBeside{}, sidecar{})
	}
	if a.options.AskGitHub || a.wantsGitHubDigest() {
		all = append(all, githubDigest{})
	}
	if a.options.PublicKey != "" {
		all = append(all, minisignBeside(a.options.PublicKey))
	}
	return append(all, a.more...)
}

// claims gathers everything that is claimed of the artifact before its first byte is fetched. It
// fails when what is asked for or required cannot be there any more, whatever comes.
func (a *Artifact) claims(ctx context.Context) ([]Claim, error) {
	var claims []Claim
	for _, voucher := range a.vouchers() {
		claims = append(claims, voucher.Ask(ctx, a)...)
	}
	if err := ctx.Err(); err != nil {
		return claims, context.Cause(ctx)
	}
	return claims, a.enough(claims)
}

// enough returns an error when the claims are not enough for what is asked for and required, or when one of
// them has failed already: an [*UnavailableError] when another time they may be, else a [*TrustError].
func (a *Artifact) enough(claims []Claim) error {
	require := a.options.Require
	failed, strong := false, require == RequireNothing
	for _, c := range claims {
		failed = failed || c.Status == StatusFailed
		strong = strong || c.open() && !c.Weak && require.satisfiedBy(c.Strength)
	}
	var cause error
	lacking := !strong
	for _, c := range claims {
		if c.open() || !c.Asked && (strong || !require.satisfiedBy(c.Strength)) {
			continue
		}
		lacking = true
		if cause == nil {
			cause = c.Cause
		}
	}
	if !failed && !lacking {
		return nil
	}
	evidence := make([]Evidence, len(claims))
	for i, c := range claims {
		if evidence[i] = c.evidence(c.Status, "", "%s", c.Detail); c.open() {
			evidence[i] = c.evidence(StatusNotChecked, "", "nothing was fetched")
		}
	}
	if !failed && cause != nil {
		return &UnavailableError{Location: a.Location, Require: require, Evidence: evidence, Err: cause}
	}
	return &TrustError{Location: a.Location, Require: require, Evidence: evidence}
}

// judge compares the claims with what came. The error is a *TrustError when one failed, or when none
// of the required strength held. The claims stay as they are: a Fetch that begins again judges them again.
func (a *Artifact) judge(claims []Claim, m measured) ([]Evidence, error) {
	evidence := make([]Evidence, len(claims))
	satisfied, failed := a.options.Require == RequireNothing, false
	for i, c := range claims {
		var watcher Watcher
		if m.watchers != nil {
			watcher = m.watchers[i]
		}
		e := c.judge(m, watcher)
		failed = failed || e.Status == StatusFailed
		satisfied = satisfied || e.Status == StatusHeld && a.options.Require.satisfiedBy(c.Strength)
		evidence[i] = e
	}
	if failed || !satisfied {
		return evidence, &TrustError{Location: a.Location, Require: a.options.Require, Evidence: evidence}
	}
	return evidence, nil
}

// AnyHeld reports whether at least one piece of evidence held.
func AnyHeld(evidence []Evidence) bool {
	return slices.ContainsFunc(evidence, func(e Evidence) bool { return e.Status == StatusHeld })
}

// A knownDigest is the one that the caller knew before.
type knownDigest string

// Ask claims it of the asset or of the executable in it.
func (k knownDigest) Ask(context.Context, *Artifact) []Claim {
	c := digestClaim(EvidenceSHA256, "")
	c.SHA256 = string(k)
	return []Claim{c}
}

// sumsBeside is the list of checksums beside the asset.
type sumsBeside struct{}

// Ask reads the list. Only one that is not there (404, 410) is absent; one that cannot be had or read, or that
// says nothing of the asset, is not-checked, for a caller to warn about.
func (sumsBeside) Ask(ctx context.Context, a *Artifact) []Claim {
	text, err := a.source.Beside(ctx, sumsName, sumsSizeMax)
	if err != nil {
		return []Claim{digestClaim(EvidenceSums, "").missing(err, "there is no "+sumsName+" beside it")}
	}
	return a.sumsClaims(sumList{EvidenceSums, sumsName}, text)
}

// A sidecar is the file with the checksum of the asset alone, beside it.
type sidecar struct{}

// Ask reads the file, under the rules of [sumsBeside].
func (sidecar) Ask(ctx context.Context, a *Artifact) []Claim {
	name := a.Asset + sidecarSuffix
	text, err := a.source.Beside(ctx, name, sidecarSizeMax)
	if err != nil {
		return []Claim{digestClaim(EvidenceSidecar, "").missing(err, "there is no "+name+" beside it")}
	}
	return a.sidecarClaims(sumList{EvidenceSidecar, name}, text)
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
