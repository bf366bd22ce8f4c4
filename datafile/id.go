package datafile

import (
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"slices"
)

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

func (i ID) big() *big.Int {
	slices.Reverse(i[:])
	return new(big.Int).SetBytes(i[:])
}
