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
	sha256    string // hexadecimal
	length    int64  // -1 if not stated
	signature []byte
	either    bool // about the asset or the executable, whichever matches
}

// measured is what came.
type measured struct {
	assetSHA256, executableSHA256 string
	assetSize, executableSize     int64
	message                       *minisign.Reader // has read the asset, nil without a public key
}

// claims gathers everything that is stated about the artifact before its first byte is fetched. It
// fails only when what is required cannot be there any more. The unpinned error is pinLatest's.
func (a *Artifact) claims(ctx context.Context, s *session, unpinned error) ([]claim, error) {
	var claims []claim
	if a.options.SHA256 != "" {
		claims = append(claims, claim{kind: EvidenceSHA256, sha256: a.options.SHA256, length: -1, either: true})
	}
	if a.Source != SourceGitHub && a.Source != SourceStdin { // upstream publishes no sums
		claims = append(claims, a.sumsClaim(ctx, s))
	}
	if a.wantsGitHubDigest() {
		claims = append(claims, a.githubClaim(ctx, s, unpinned))
	}
	if a.options.PublicKey != "" {
		claims = append(claims, a.signatureClaim(ctx, s))
	}
	if err := ctx.Err(); err != nil {
		return claims, context.Cause(ctx)
	}
	for _, c := range claims {
		if c.status == "" && a.options.Require.satisfiedBy(c.kind) {
			return claims, nil
		}
	}
	if a.options.Require == RequireNothing {
		return claims, nil
	}
	evidence := make([]Evidence, len(claims))
	for i := range claims {
		evidence[i] = claims[i].evidence(claims[i].status, claims[i].detail, "")
	}
	return claims, &TrustError{Location: a.Location, Require: a.options.Require, Evidence: evidence}
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

// sumsClaim reads SHA256SUMS beside the asset. Only a list that is not there (404, 410), or that does not
// name the asset, is absent; one that cannot be had or read is not-checked, for a caller to warn about.
func (a *Artifact) sumsClaim(ctx context.Context, s *session) claim {
	c := claim{kind: EvidenceSums, length: -1}
	b, err := a.beside(ctx, s, sumsName, sumsSizeMax)
	if err != nil {
		return c.unavailable(err, "there is no "+sumsName+" beside it")
	}
	c.sha256, err = findSum(b, a.Asset)
	switch {
	case errors.Is(err, errNoSums):
		c.status, c.detail = StatusNotChecked, err.Error()
	case errors.Is(err, ErrNotFound):
		c.status, c.detail = StatusAbsent, fmt.Sprintf("%s does not list %s", sumsName, a.Asset)
	case err != nil:
		c.status, c.detail = StatusFailed, err.Error()
	}
	return c
}

// signatureClaim reads the signature beside the asset.
func (a *Artifact) signatureClaim(ctx context.Context, s *session) claim {
	c := claim{kind: EvidenceMinisign, length: -1}
	if a.Source == SourceStdin {
		c.status, c.detail = StatusNotChecked, "nothing stands beside standard input"
		return c
	}
	b, err := a.beside(ctx, s, a.Asset+".minisig", signatureSizeMax)
	if err != nil {
		return c.unavailable(err, "there is no "+a.Asset+".minisig beside it")
	}
	c.signature = b
	return c
}

// unavailable tells evidence that does not exist from evidence that could not be had.
func (c claim) unavailable(err error, absent string) claim {
	if errors.Is(err, ErrNotFound) {
		c.status, c.detail = StatusAbsent, absent
	} else {
		c.status, c.detail = StatusNotChecked, err.Error()
	}
	return c
}

func (c claim) evidence(status Status, detail, of string) Evidence {
	return Evidence{Kind: c.kind, Status: status, Detail: detail, Of: of, Length: c.length}
}

// judge compares the claims with what came. The error is a *TrustError when one failed, or when none
// of the required strength held. The claims stay as they are: a Fetch that begins anew judges them again.
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
	case c.status != "":
		return c.evidence(c.status, c.detail, "")
	case c.signature != nil:
		return a.judgeSignature(c, m)
	case c.length >= 0 && c.length != m.assetSize:
		return c.evidence(StatusFailed, fmt.Sprintf("the asset has %d bytes, %d are stated", m.assetSize, c.length), ofAsset)
	case c.sha256 == m.assetSHA256:
		c.length = m.assetSize
		return c.evidence(StatusHeld, "SHA-256 of the asset "+c.sha256, ofAsset)
	case c.either && c.sha256 == m.executableSHA256:
		c.length = m.executableSize
		return c.evidence(StatusHeld, "SHA-256 of the executable "+c.sha256, ofExecutable)
	case c.either:
		return c.evidence(StatusFailed, fmt.Sprintf("expected SHA-256 %s; the asset has %s, the executable %s", c.sha256, m.assetSHA256, m.executableSHA256), "")
	}
	return c.evidence(StatusFailed, fmt.Sprintf("expected SHA-256 %s; the asset has %s", c.sha256, m.assetSHA256), ofAsset)
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

// anyHeld reports whether at least one piece of evidence held.
func anyHeld(evidence []Evidence) bool {
	return slices.ContainsFunc(evidence, func(e Evidence) bool { return e.Status == StatusHeld })
}
