package fleet

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
)

// Secret is what only one run of a rollout knows, or what it shows to one host, see [Secret.For]. The run's own is in its memory
// alone. That of a host is in the requests that change something there, and the host keeps its SHA-256, the fence's Proof: everybody may
// read that, and nobody can act as the run by it. No verb of fmt prints a secret.
type Secret [sha256.Size]byte

// For is the secret that a run shows where a target of a host is, both as its plan names them. It proves nothing anywhere else, and the
// run's own is not to be had from it.
func (s Secret) For(host, target string) Secret {
	mac := hmac.New(sha256.New, s[:])
	_, _ = io.WriteString(mac, host+"\x00"+target) // never fails
	return Secret(mac.Sum(nil))
}

// ID is its SHA-256: of a run's own secret the id of its [Holder], of a host's the proof in the [Fence] there.
func (s Secret) ID() string {
	sum := sha256.Sum256(s[:])
	return hex.EncodeToString(sum[:])
}

// Format writes that it is a secret, whatever the verb is.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(a secret)") }

// MarshalText is for the requests that have it.
func (s Secret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads one of a request. The error does not repeat what was sent.
func (s *Secret) UnmarshalText(text []byte) error {
	var read Secret
	if len(text) != 2*len(read) {
		return errSecret
	}
	if _, err := hex.Decode(read[:], text); err != nil {
		return errSecret
	}
	*s = read
	return nil
}

var errSecret = fault.New(fault.Usage, "not the secret of a run: 64 hexadecimal digits")

// Prove refuses a fence whose run shows another secret here, or none, also one of the holder that the host has with another proof than that one's.
// It returns nil, an error that wraps [ErrFence], or a [*FencedError] with [ReasonSecret]. Stored is what the host has.
func Prove(stored *Fence, offered Fence, secret Secret) error {
	if err := offered.Check(); err != nil {
		return err
	}
	another := stored != nil && stored.Holder.ID == offered.Holder.ID && stored.Proof != offered.Proof
	if another || secret == (Secret{}) || subtle.ConstantTimeCompare([]byte(secret.ID()), []byte(offered.Proof)) == 0 {
		return &FencedError{ReasonSecret, stored}
	}
	return nil
}
