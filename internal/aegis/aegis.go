// Package aegis computes TigerBeetle's checksum: the AEGIS-128L
// authenticated cipher with nothing secret in it.
//
// The key and the nonce are 16 zero bytes each, the message is the associated
// data, the plaintext is empty, and the tag has 16 bytes. As the key is known
// to everyone, the checksum finds damage, not forgery.
//
// The state is eight words of 16 bytes. A block of 32 bytes, the message words
// m0 and m1, changes it so, where aes is one AES round (SubBytes, ShiftRows,
// MixColumns, then xor of the second argument):
//
//	s0' = aes(s7, s0 ^ m0)    s4' = aes(s3, s4 ^ m1)
//	s1' = aes(s0, s1)         s5' = aes(s4, s5)
//	s2' = aes(s1, s2)         s6' = aes(s5, s6)
//	s3' = aes(s2, s3)         s7' = aes(s6, s7)
//
// The last block is padded with zeros; the length, which goes into the tag,
// tells a padded block from a full one. The algorithm is that of the IETF CFRG
// draft draft-irtf-cfrg-aegis-aead.
package aegis

import "encoding/binary"

// Size is the size of a checksum in bytes.
const Size = 16

const (
	wordSize  = 16
	blockSize = 2 * wordSize
	stateSize = 8 * wordSize

	// blocksInit and blocksFinal are how many blocks the algorithm absorbs
	// before the message and after it.
	blocksInit  = 10
	blocksFinal = 7

	// zerosSize is how many zeros are absorbed in one step: enough that
	// loading and storing the state costs little, few enough for any stack.
	zerosSize = 32 * blockSize
)

// state is s0 to s7 in order, each as the bytes that the draft gives it, so
// that it means the same on every machine and to every implementation.
type state [stateSize]byte

// Hash is the checksum of a stream of bytes. Make one with [New]: the zero
// value computes something else. A Hash may be copied to continue from one beginning in
// two ways. It must not be used by two goroutines at the same time.
type Hash struct {
	state state
	// tail holds the bytes since the last full block: length % blockSize.
	tail   [blockSize]byte
	length uint64
	with   implementation
}

// New returns a Hash of the empty message.
func New() *Hash {
	h := &Hash{with: fastest()}
	h.Reset()
	return h
}

// Sum returns the checksum of p.
func Sum(p []byte) [Size]byte {
	h := Hash{with: fastest()}
	h.Reset()
	h.write(p)
	return h.Sum()
}

// Reset makes h a Hash of the empty message again.
func (h *Hash) Reset() {
	// The words of key ^ nonce and key ^ c are left with 0 and c, because the
	// key and the nonce are zero.
	c0 := [wordSize]byte{0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 0x90, 0xe9, 0x79, 0x62}
	c1 := [wordSize]byte{0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28, 0xdd}
	h.state = state{}
	for i, word := range [8][wordSize]byte{1: c1, 2: c0, 3: c1, 5: c0, 6: c1, 7: c0} {
		copy(h.state[i*wordSize:], word[:])
	}
	// The blocks of the start are made of nonce and key: zeros.
	var zeros [blocksInit * blockSize]byte
	h.with.absorb(&h.state, zeros[:])
	h.length = 0
}

// Write adds p to the message. It never fails and does not keep p.
func (h *Hash) Write(p []byte) (int, error) {
	h.write(p)
	return len(p), nil
}

func (h *Hash) write(p []byte) {
	used := int(h.length % blockSize)
	h.length += uint64(len(p))
	if used > 0 {
		n := copy(h.tail[used:], p)
		if used+n < blockSize {
			return
		}
		h.with.absorb(&h.state, h.tail[:])
		p = p[n:]
	}
	full := len(p) - len(p)%blockSize
	h.with.absorb(&h.state, p[:full])
	copy(h.tail[:], p[full:])
}

// WriteZeros adds n zero bytes to the message; none if n is not positive.
func (h *Hash) WriteZeros(n int64) {
	var zeros [zerosSize]byte
	for n > 0 {
		step := min(n, zerosSize)
		h.write(zeros[:step])
		n -= step
	}
}

// Sum returns the checksum of the bytes so far. It does not change h: more
// may be written.
func (h *Hash) Sum() [Size]byte {
	s := h.state
	if used := int(h.length % blockSize); used > 0 {
		var last [blockSize]byte
		copy(last[:], h.tail[:used])
		h.with.absorb(&s, last[:])
	}

	// Both words of the blocks at the end are s2 ^ the sizes in bits of the
	// associated data and of the plaintext, which is empty.
	var word [wordSize]byte
	copy(word[:], s[2*wordSize:])
	size := binary.LittleEndian.Uint64(word[:])
	binary.LittleEndian.PutUint64(word[:], size^h.length*8)
	var final [blocksFinal * blockSize]byte
	for i := 0; i < len(final); i += wordSize {
		copy(final[i:], word[:])
	}
	h.with.absorb(&s, final[:])

	// The tag of 16 bytes is s0 ^ … ^ s6; s7 has no part in it.
	var tag [Size]byte
	for i := range 7 * wordSize {
		tag[i%wordSize] ^= s[i]
	}
	return tag
}
