package fleet

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
)

// Secret is what one run of a rollout knows, and nobody else. Its SHA-256 is the id of the run's [Holder]: everybody may read that, and
// nobody can act as the run by it. A secret is in the memory of its run and in the requests that change something on a host; a host keeps
// the id alone. No verb of fmt prints it.
type Secret [sha256.Size]byte

// ID is the id of the holder whose secret it is.
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

// Prove refuses a fence of a run whose secret is another, or is not shown, before anything is looked at that the fence is compared with. It
// returns nil, an error that wraps [ErrFence], or a [*FencedError] with [ReasonSecret]. Stored is what the host has.
func Prove(stored *Fence, offered Fence, secret Secret) error {
	if err := offered.Check(); err != nil {
		return err
	}
	if secret == (Secret{}) || subtle.ConstantTimeCompare([]byte(secret.ID()), []byte(offered.Holder.ID)) == 0 {
		return &FencedError{ReasonSecret, stored}
	}
	return nil
}
