package release

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/vfs"
)

// minisignBeside is a signature beside the asset, by the key.
type minisignBeside string

// Ask reads the signature.
func (m minisignBeside) Ask(ctx context.Context, a *Artifact) []Claim {
	signature, err := a.source.Beside(ctx, a.Asset+".minisig", signatureSizeMax)
	c := signedClaim(string(m), signature)
	c.Asked = true
	if err != nil {
		return []Claim{c.missing(err, "there is no "+a.Asset+".minisig beside it")}
	}
	return []Claim{c}
}

// Signature is a minisign signature that came with an artifact, and vouches for it where it holds by the key of the artifact's
// options.
type Signature string

// Ask claims that it holds.
func (s Signature) Ask(_ context.Context, a *Artifact) []Claim {
	if a.options.PublicKey == "" {
		return nil
	}
	return []Claim{signedClaim(a.options.PublicKey, []byte(s))}
}

// signedClaim is a claim that a signature by the key holds.
func signedClaim(key string, signature []byte) Claim {
	return Claim{Kind: EvidenceMinisign, Strength: RequireSignature, Of: ofAsset, Length: -1, Signature: string(signature), Watch: func() Watcher {
		w := &minisignWatcher{key: key, signature: signature}
		w.message = minisign.NewReader(&w.bytes)
		return w
	}}
}

// A minisignWatcher verifies a signature while the bytes pass by.
type minisignWatcher struct {
	key       string
	signature []byte
	bytes     given
	message   *minisign.Reader
}

// given is a reader of what was written last.
type given struct{ rest []byte }

func (g *given) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

func (w *minisignWatcher) Write(p []byte) (int, error) {
	w.bytes.rest = p
	n, err := io.Copy(io.Discard, w.message)
	return int(n), err
}

// Judge verifies the signature. The old kind, which signs the bytes themselves and not their hash, cannot be
// verified so.
func (w *minisignWatcher) Judge() (Status, string) {
	var signature minisign.Signature
	if err := signature.UnmarshalText(w.signature); err != nil {
		return StatusFailed, "the signature cannot be read"
	}
	key, err := parsePublicKey(w.key)
	switch {
	case err != nil:
		return StatusFailed, "the public key cannot be read"
	case signature.KeyID != key.ID():
		return StatusFailed, fmt.Sprintf("it was made with key %X, not with %X", signature.KeyID, key.ID())
	case signature.Algorithm != minisign.HashEdDSA:
		return StatusFailed, "it is of the old kind that does not hash first; sign again with a current minisign"
	case !w.message.Verify(key, w.signature):
		return StatusFailed, "the signature does not hold"
	}
	return StatusHeld, fmt.Sprintf("key %X, trusted comment %.200q", key.ID(), signature.TrustedComment)
}

func parsePublicKey(text string) (minisign.PublicKey, error) {
	var key minisign.PublicKey
	err := key.UnmarshalText([]byte(strings.TrimSpace(text)))
	return key, err
}

const (
	publicKeySize    = 56 // base64 digits of a minisign key, which may hold slashes like a path
	publicKeyFileMax = 4 << 10
	signatureSizeMax = 16 << 10 // bytes
)

// IsPublicKey reports whether a text is a minisign public key itself. A file of such a name is written ./NAME.
func IsPublicKey(text string) bool {
	_, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(text) == publicKeySize && strings.HasPrefix(text, "RW")
}

// PublicKeyLine is the line of a public key that is the key, whether text is that or the whole file of it; "" if it is
// neither.
func PublicKeyLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); IsPublicKey(line) {
			return line
		}
	}
	return ""
}

// ErrOthersMayWrite is of a file that decides what is trusted, and that others than root and this user may write.
var ErrOthersMayWrite = errors.New("it is not believed")

// ReadPublicKey returns the public key for [Options]: the text where it is one, and else what the file of that name has. It is empty of no text
// alone: what was asked for by a file in which nothing is must not be dropped. A file that was not named for this one command, but by a configuration,
// must be one that root and this user alone may write: user is this one, or less than 0 where that is not asked.
func ReadPublicKey(text string, user int) (string, error) {
	if text == "" || IsPublicKey(text) {
		return text, nil
	}
	file, info, err := vfs.OpenFile(text, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	defer file.Close()
	if why := vfs.OthersMayWrite(text, info, user); why != "" {
		return "", fmt.Errorf("public key: %s: %w: %s", text, ErrOthersMayWrite, why)
	}
	content, err := readBounded(file, publicKeyFileMax)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return "", fmt.Errorf("public key: %s: the file is empty", text)
	}
	return string(content), nil
}
