package datafile

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// ErrID is matched by every error of [ID.UnmarshalText].
var ErrID = errors.New("not a number of 128 bits")

// ID is a number of 128 bits, little-endian as in the file. Its text form is
// decimal, as upstream's command line takes and prints it.
type ID [16]byte

// NewID returns the ID of a small number.
func NewID(number uint64) ID {
	var id ID
	binary.LittleEndian.PutUint64(id[:], number)
	return id
}

// String returns the number in decimal.
func (i ID) String() string { return i.big().String() }

// Hex returns the number in hexadecimal, 32 digits.
func (i ID) Hex() string {
	slices.Reverse(i[:])
	return hex.EncodeToString(i[:])
}

// MarshalText implements [encoding.TextMarshaler]: decimal.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]: decimal digits alone. On
// error i is unchanged; it matches ErrID.
func (i *ID) UnmarshalText(text []byte) error {
	const digitsMax = 39
	if len(text) == 0 || len(text) > digitsMax {
		return fmt.Errorf("%w: %.40q", ErrID, text)
	}
	number, ok := new(big.Int).SetString(string(text), 10)
	if !ok || text[0] < '0' || text[0] > '9' || number.BitLen() > 8*len(i) {
		return fmt.Errorf("%w: %.40q", ErrID, text)
	}
	number.FillBytes(i[:])
	slices.Reverse(i[:])
	return nil
}

func (i ID) big() *big.Int {
	slices.Reverse(i[:])
	return new(big.Int).SetBytes(i[:])
}
