package release

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"

	"aead.dev/minisign"
)

// An EvidenceKind is a way to know that bytes are the right ones.
type EvidenceKind string

// The kinds of evidence.
const (
	EvidenceSHA256       EvidenceKind = "sha256"        // given by the caller
	EvidenceSums         EvidenceKind = "sha256sums"    // the file SHA256SUMS beside the asset
	EvidenceGitHubDigest EvidenceKind = "github-digest" // what GitHub's API says of the asset
	EvidenceMinisign     EvidenceKind = "minisign"      // ASSET.minisig beside the asset
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

// Evidence is one statement about the bytes, and whether it held.
type Evidence struct {
	Kind   EvidenceKind `json:"kind"`
	Status Status       `json:"status"`
	Detail string       `json:"detail"`
	// Of says what it is about: "asset" or "executable". Empty when nothing was compared.
	Of string `json:"of,omitempty"`
	// Length is how many bytes it vouches for, -1 when it does not say.
	Length int64 `json:"length"`
}

const (
	ofAsset      = "asset"
	ofExecutable = "executable"

	signatureSizeMax = 16 << 10 // bytes
)

// A claim is a piece of evidence before the bytes have come.
type claim struct {
	kind      EvidenceKind
	status    Status // empty when it can be compared
	detail    string // why not
	cause     error  // why it could not be had although it may be there; another time it may be had
	asked     bool   // by its name: without it nothing is fetched
	sha256    string // hexadecimal
	of        string // what it is about, empty for the asset or the executable, whichever matches
	where     string // in which line of which list it stands
	weak      bool   // what does not match is no proof of anything
	length    int64  // -1 if not stated
	signature []byte
}

// unchecked is a claim that there is, or may be, and that cannot be compared.
func unchecked(kind EvidenceKind, format string, args ...any) claim {
	return claim{kind: kind, status: StatusNotChecked, detail: fmt.Sprintf(format, args...), length: -1}
}

// failed is the claim as one that nothing can meet.
func (c claim) failed(format string, args ...any) claim {
	c.status, c.detail = StatusFailed, fmt.Sprintf(format, args...)
	return c
}

// besides is a claim about something that may not be the same in this archive.
func (c claim) besides() claim {
	if c.weak = true; c.status == StatusFailed {
		c.status = StatusNotChecked
	}
	return c
}

// missing is the claim as one that could not be had. Only what is not there is absent; all else is
// not-checked, and its cause may be gone another time.
func (c claim) missing(err error, absent string) claim {
	var token *TokenError
	hidden := errors.As(err, &token) && token.Hidden
	if errors.Is(err, ErrNotFound) && !hidden {
		c.status, c.detail = StatusAbsent, absent
		return c
	}
	c.status, c.detail = StatusNotChecked, err.Error()
	if !errors.Is(err, ErrTooLarge) {
		c.cause = err
	}
	return c
}

// open reports whether the claim waits for the bytes.
func (c claim) open() bool { return c.status == "" }

// measured is what came.
type measured struct {
	assetSHA256, executableSHA256 string
	assetSize, executableSize     int64
	message                       *minisign.Reader // has read the asset, nil without a public key
}

// claims gathers everything that is stated about the artifact before its first byte is fetched. It
// fails when what is asked for or required cannot be there any more, whatever comes. The unpinned error is
// pinLatest's.
func (a *Artifact) claims(ctx context.Context, s *session, unpinned error) ([]claim, error) {
	var claims []claim
	if a.options.SHA256 != "" {
		claims = append(claims, claim{kind: EvidenceSHA256, sha256: a.options.SHA256, length: -1})
	}
	if a.Source != SourceGitHub && a.Source != SourceStdin { // upstream publishes no sums
		claims = append(claims, a.besideClaims(ctx, s)...)
	}
	if a.wantsGitHubDigest() {
		claims = append(claims, a.githubClaim(ctx, s, unpinned))
	} else if a.options.AskGitHub {
		claims = append(claims, unchecked(EvidenceGitHubDigest, "GitHub is asked by the name of a release, and %s names none", a.named()))
	}
	if a.options.PublicKey != "" {
		claims = append(claims, a.signatureClaim(ctx, s))
	}
	if err := ctx.Err(); err != nil {
		return claims, context.Cause(ctx)
	}
	return claims, a.enough(claims)
}

// named is the artifact's place for a message.
func (a *Artifact) named() string {
	if a.Source == SourceStdin {
		return "standard input"
	}
	return a.Location
}

// enough returns an error when the claims are not enough for what is asked for and required, or when one of
// them has failed already: an [*UnavailableError] when another time they may be, else a [*TrustError].
func (a *Artifact) enough(claims []claim) error {
	failed, strong := false, a.options.Require == RequireNothing
	for _, c := range claims {
		failed = failed || c.status == StatusFailed
		strong = strong || c.open() && !c.weak && a.options.Require.satisfiedBy(c.kind)
	}
	var cause error
	lacking := !strong
	for _, c := range claims {
		if c.open() || !c.asked && (strong || !a.options.Require.satisfiedBy(c.kind)) {
			continue
		}
		lacking = true
		if cause == nil {
			cause = c.cause
		}
	}
	if !failed && !lacking {
		return nil
	}
	evidence := make([]Evidence, len(claims))
	for i, c := range claims {
		if evidence[i] = c.evidence(c.status, c.detail, ""); c.open() {
			evidence[i] = c.evidence(StatusNotChecked, "nothing was fetched", "")
		}
	}
	if !failed && cause != nil {
		return &UnavailableError{Location: a.Location, Require: a.options.Require, Evidence: evidence, Err: cause}
	}
	return &TrustError{Location: a.Location, Require: a.options.Require, Evidence: evidence}
}

// wantsGitHubDigest reports whether the API is asked. For the same tag on a mirror it is only when the
// caller says so, because a mirror is there for hosts that do not reach GitHub.
func (a *Artifact) wantsGitHubDigest() bool {
	if a.Source != SourceGitHub {
		return a.options.AskGitHub && a.Tag != "" && a.Tag != Latest
	}
	return a.options.AskGitHub || a.options.Token != "" || a.options.Require == RequireDigest && a.options.SHA256 == ""
}

// satisfiedBy reports whether evidence of a kind is strong enough.
func (r Require) satisfiedBy(kind EvidenceKind) bool {
	return r == RequireNothing || r == RequireDigest || kind == EvidenceMinisign
}

// besideClaims reads SHA256SUMS beside the asset. Only a list that is not there (404, 410) is absent; one that
// cannot be had or read, or that says nothing of the asset, is not-checked, for a caller to warn about.
func (a *Artifact) besideClaims(ctx context.Context, s *session) []claim {
	list, err := a.beside(ctx, s, sumsName, sumsSizeMax)
	if err != nil {
		return []claim{claim{kind: EvidenceSums, length: -1}.missing(err, "there is no "+sumsName+" beside it")}
	}
	return a.sumsClaims(list)
}

// signatureClaim reads the signature beside the asset.
func (a *Artifact) signatureClaim(ctx context.Context, s *session) claim {
	c := claim{kind: EvidenceMinisign, length: -1, of: ofAsset, asked: true}
	if a.Source == SourceStdin {
		c.status, c.detail = StatusNotChecked, "nothing stands beside standard input"
		return c
	}
	b, err := a.beside(ctx, s, a.Asset+".minisig", signatureSizeMax)
	if err != nil {
		return c.missing(err, "there is no "+a.Asset+".minisig beside it")
	}
	c.signature = b
	return c
}

func (c claim) evidence(status Status, detail, of string) Evidence {
	return Evidence{Kind: c.kind, Status: status, Detail: detail, Of: of, Length: c.length}
}

// judge compares the claims with what came. The error is a *TrustError when one failed, or when none
// of the required strength held. The claims stay as they are: a Fetch that begins again judges them again.
func (a *Artifact) judge(claims []claim, m measured) ([]Evidence, error) {
	evidence := make([]Evidence, 0, len(claims))
	satisfied, failed := a.options.Require == RequireNothing, false
	for _, c := range claims {
		e := a.judgeOne(c, m)
		failed = failed || e.Status == StatusFailed
		satisfied = satisfied || e.Status == StatusHeld && a.options.Require.satisfiedBy(e.Kind)
		evidence = append(evidence, e)
	}
	if failed || !satisfied {
		return evidence, &TrustError{Location: a.Location, Require: a.options.Require, Evidence: evidence}
	}
	return evidence, nil
}

func (a *Artifact) judgeOne(c claim, m measured) Evidence {
	switch {
	case !c.open():
		return c.evidence(c.status, c.detail, "")
	case c.signature != nil:
		return a.judgeSignature(c, m)
	case c.of == ofAsset && c.length >= 0 && c.length != m.assetSize:
		return c.evidence(StatusFailed, fmt.Sprintf("the asset has %d bytes, %d are stated", m.assetSize, c.length), ofAsset)
	case c.of != ofExecutable && c.sha256 == m.assetSHA256:
		c.length = m.assetSize
		return c.evidence(StatusHeld, "SHA-256 of the asset "+c.sha256, ofAsset)
	case c.of != ofAsset && c.sha256 == m.executableSHA256:
		c.length = m.executableSize
		return c.evidence(StatusHeld, "SHA-256 of the executable "+c.sha256, ofExecutable)
	case c.weak:
		return c.evidence(StatusNotChecked, fmt.Sprintf("%s has another sum than the executable in this archive: it may be of another platform or release", c.where), "")
	}
	expected := "expected SHA-256 " + c.sha256
	if c.where != "" {
		expected += " (" + c.where + ")"
	}
	switch c.of {
	case ofAsset:
		return c.evidence(StatusFailed, fmt.Sprintf("%s; the asset has %s", expected, m.assetSHA256), ofAsset)
	case ofExecutable:
		return c.evidence(StatusFailed, fmt.Sprintf("%s; the executable has %s", expected, m.executableSHA256), ofExecutable)
	}
	return c.evidence(StatusFailed, fmt.Sprintf("%s; the asset has %s, the executable %s", expected, m.assetSHA256, m.executableSHA256), "")
}

// judgeSignature verifies a minisign signature of the asset. The old kind, which signs the bytes
// themselves and not their hash, cannot be verified while the bytes pass by.
func (a *Artifact) judgeSignature(c claim, m measured) Evidence {
	var signature minisign.Signature
	if err := signature.UnmarshalText(c.signature); err != nil {
		return c.evidence(StatusFailed, "the signature cannot be read", ofAsset)
	}
	key, err := parsePublicKey(a.options.PublicKey)
	switch {
	case err != nil:
		return c.evidence(StatusFailed, "the public key cannot be read", ofAsset)
	case signature.KeyID != key.ID():
		return c.evidence(StatusFailed, fmt.Sprintf("it was made with key %X, not with %X", signature.KeyID, key.ID()), ofAsset)
	case signature.Algorithm != minisign.HashEdDSA:
		return c.evidence(StatusFailed, "it is of the old kind that does not hash first; sign again with a current minisign", ofAsset)
	case !m.message.Verify(key, c.signature):
		return c.evidence(StatusFailed, "the signature does not hold", ofAsset)
	}
	c.length = m.assetSize
	return c.evidence(StatusHeld, fmt.Sprintf("key %X, trusted comment %.200q", key.ID(), signature.TrustedComment), ofAsset)
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// AnyHeld reports whether at least one piece of evidence held.
func AnyHeld(evidence []Evidence) bool {
	return slices.ContainsFunc(evidence, func(e Evidence) bool { return e.Status == StatusHeld })
}
