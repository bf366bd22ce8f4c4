package multiversion

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/internal/aegis"
)

// Checksum is an AEGIS-128L checksum: the 16 tag bytes in order. Upstream
// reads them as one little-endian 128-bit number.
type Checksum [16]byte

// ErrChecksum is matched by every error of [ParseChecksum].
var ErrChecksum = errors.New("not a checksum")

// ParseChecksum parses 32 hexadecimal digits, the tag bytes in order. The
// error matches [ErrChecksum].
func ParseChecksum(text string) (Checksum, error) {
	var sum Checksum
	if len(text) != hex.EncodedLen(len(sum)) {
		return Checksum{}, fmt.Errorf("%w: %q: want 32 hexadecimal digits", ErrChecksum, clip(text))
	}
	if _, err := hex.Decode(sum[:], []byte(text)); err != nil {
		return Checksum{}, fmt.Errorf("%w: %q: %w", ErrChecksum, clip(text), err)
	}
	return sum, nil
}

// String returns the tag bytes in order as 32 hexadecimal digits.
func (c Checksum) String() string { return hex.EncodeToString(c[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (c Checksum) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseChecksum].
// On error c is unchanged.
func (c *Checksum) UnmarshalText(text []byte) error {
	sum, err := ParseChecksum(string(text))
	if err != nil {
		return err
	}
	*c = sum
	return nil
}

// ChecksumOf returns the checksum of data.
func ChecksumOf(data []byte) Checksum { return aegis.Sum(data) }

// Hash computes a [Checksum] from a stream. It is an [io.Writer] that never
// fails. The zero value is not usable: make one with [NewHash].
type Hash struct{ state *aegis.Hash }

// NewHash returns a Hash of the empty message.
func NewHash() *Hash { return &Hash{state: aegis.New()} }

// Write adds data to the message. It never fails.
func (h *Hash) Write(data []byte) (int, error) { return h.state.Write(data) }

// WriteZeros adds count zero bytes to the message.
func (h *Hash) WriteZeros(count int64) { h.state.WriteZeros(count) }

// Checksum returns the checksum of what has been written; more may follow.
func (h *Hash) Checksum() Checksum { return h.state.Sum() }

var _ io.Writer = (*Hash)(nil)
