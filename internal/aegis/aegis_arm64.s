//go:build !purego

#include "textflag.h"

// The order of operations
//
// The algorithm is the Update function of AEGIS-128L in the IETF CFRG draft
// draft-irtf-cfrg-aegis-aead: s0' = aes(s7, s0 ^ m0), s4' = aes(s3, s4 ^ m1),
// and si' = aes(s(i-1), si) for the six others.
//
// AESE xors its key in before SubBytes and ShiftRows, not after the round, so
// its key is zero here, AESMC does the MixColumns, and an xor of our own ends
// the round: aes(x, k) = AESMC(AESE(x, 0)) ^ k. AESMC follows its AESE at
// once, because many CPUs run the two as one when they stand side by side.
//
// The message is xored into s0 and s4 before the rounds: that waits for
// nothing but those two words, which nobody else waits for until the rounds
// end, so it takes no time. AESE overwrites its operand, which is still
// needed, so each round works on a copy. The rounds take the half-chains down
// from 7 and from 3 in turn, so that independent ones stand side by side and
// each word is changed in place after its last use.

// One AES round of x without the key into to.
#define ROUND(x, to) \
	VMOV  x.B16, to.B16  \
	AESE  V31.B16, to.B16 \
	AESMC to.B16, to.B16

// func absorbNEON(s *state, p []byte)
//
// V0 to V7 are s0 to s7, V31 is zero.
TEXT ·absorbNEON(SB), NOSPLIT, $0-32
	MOVD s+0(FP), R0
	MOVD p_base+8(FP), R1
	MOVD p_len+16(FP), R2
	LSR  $5, R2, R2
	CBZ  R2, done

	MOVD   R0, R3
	VLD1.P 64(R3), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1   (R3), [V4.B16, V5.B16, V6.B16, V7.B16]
	VEOR   V31.B16, V31.B16, V31.B16

	PCALIGN $32

loop:
	VLD1.P 32(R1), [V8.B16, V9.B16]
	VEOR   V0.B16, V8.B16, V8.B16
	VEOR   V4.B16, V9.B16, V9.B16
	ROUND(V7, V16)
	ROUND(V3, V17)
	ROUND(V6, V18)
	ROUND(V2, V19)
	ROUND(V5, V20)
	ROUND(V1, V21)
	ROUND(V4, V22)
	ROUND(V0, V23)
	VEOR   V16.B16, V8.B16, V0.B16
	VEOR   V17.B16, V9.B16, V4.B16
	VEOR   V18.B16, V7.B16, V7.B16
	VEOR   V19.B16, V3.B16, V3.B16
	VEOR   V20.B16, V6.B16, V6.B16
	VEOR   V21.B16, V2.B16, V2.B16
	VEOR   V22.B16, V5.B16, V5.B16
	VEOR   V23.B16, V1.B16, V1.B16
	SUBS   $1, R2, R2
	BNE    loop

	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	VST1   [V4.B16, V5.B16, V6.B16, V7.B16], (R0)

done:
	RET
