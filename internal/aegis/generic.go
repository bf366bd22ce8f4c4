package aegis

import (
	"encoding/binary"
	"math/bits"
)

// word is a word of the state as the four columns of an AES state, each with
// its first row in the lowest byte.
type word struct{ a, b, c, d uint32 }

func loadWord(p []byte) word {
	return word{
		binary.LittleEndian.Uint32(p),
		binary.LittleEndian.Uint32(p[4:]),
		binary.LittleEndian.Uint32(p[8:]),
		binary.LittleEndian.Uint32(p[12:]),
	}
}

func (w word) store(p []byte) {
	binary.LittleEndian.PutUint32(p, w.a)
	binary.LittleEndian.PutUint32(p[4:], w.b)
	binary.LittleEndian.PutUint32(p[8:], w.c)
	binary.LittleEndian.PutUint32(p[12:], w.d)
}

func (w word) xor(v word) word {
	return word{w.a ^ v.a, w.b ^ v.b, w.c ^ v.c, w.d ^ v.d}
}

// column is one column of an AES round without the key: the first row comes
// from a, the second from b, and so on, which is what ShiftRows does.
func column(a, b, c, d uint32) uint32 {
	return round[a&0xff] ^
		bits.RotateLeft32(round[b>>8&0xff], 8) ^
		bits.RotateLeft32(round[c>>16&0xff], 16) ^
		bits.RotateLeft32(round[d>>24], 24)
}

// aes is one AES round of w with the round key k.
func aes(w, k word) word {
	return word{
		column(w.a, w.b, w.c, w.d) ^ k.a,
		column(w.b, w.c, w.d, w.a) ^ k.b,
		column(w.c, w.d, w.a, w.b) ^ k.c,
		column(w.d, w.a, w.b, w.c) ^ k.d,
	}
}

// absorbGeneric absorbs the full blocks of p with tables. Its time depends on
// the bytes of p, which is no harm: nothing here is secret.
func absorbGeneric(s *state, p []byte) {
	s0, s1, s2, s3 := loadWord(s[0:]), loadWord(s[16:]), loadWord(s[32:]), loadWord(s[48:])
	s4, s5, s6, s7 := loadWord(s[64:]), loadWord(s[80:]), loadWord(s[96:]), loadWord(s[112:])
	for len(p) >= blockSize {
		m0, m1 := loadWord(p), loadWord(p[wordSize:])
		last := s7
		s7 = aes(s6, s7)
		s6 = aes(s5, s6)
		s5 = aes(s4, s5)
		s4 = aes(s3, s4.xor(m1))
		s3 = aes(s2, s3)
		s2 = aes(s1, s2)
		s1 = aes(s0, s1)
		s0 = aes(last, s0.xor(m0))
		p = p[blockSize:]
	}
	for i, w := range [8]word{s0, s1, s2, s3, s4, s5, s6, s7} {
		w.store(s[i*wordSize:])
	}
}
