//go:build !purego

#include "textflag.h"

// The order of operations
//
// The algorithm is the Update function of AEGIS-128L in the IETF CFRG draft
// draft-irtf-cfrg-aegis-aead: s0' = aes(s7, s0 ^ m0), s4' = aes(s3, s4 ^ m1),
// and si' = aes(s(i-1), si) for the six others.
//
// Each word of a block waits for a word of the block before, so a block takes
// at least as long as one AES round. The two words that take in the message
// would take longer: the xor with the message comes first, then the round. But
// the round key is xored in last of all, so that
//
//	aes(s7, s0 ^ m0) = aes(s7, m0) ^ s0
//
// and the message word itself can be the round key: nothing has to be ready
// but s7 when the round starts, and s0, which came out of the block before, is
// only needed when it ends.
//
// Those two rounds come first, because their results have one more step to go
// and because, once done, they free s7 and s3. From there each word is made
// in place, downwards from 7 and from 3: s7' needs s6, which s6' overwrites
// next. Taking the two half-chains in turn puts independent rounds side by
// side, so that both of the CPU's AES units have work.

// func absorbAVX(s *state, p []byte)
//
// X0 to X7 are s0 to s7. With three operands a round needs no copy, and its
// key may come from unaligned memory.
TEXT ·absorbAVX(SB), NOSPLIT, $0-32
	MOVQ s+0(FP), DI
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), CX
	SHRQ $5, CX
	JZ   doneAVX

	VMOVDQU 0(DI), X0
	VMOVDQU 16(DI), X1
	VMOVDQU 32(DI), X2
	VMOVDQU 48(DI), X3
	VMOVDQU 64(DI), X4
	VMOVDQU 80(DI), X5
	VMOVDQU 96(DI), X6
	VMOVDQU 112(DI), X7

	PCALIGN $64

loopAVX:
	VAESENC 0(SI), X7, X8
	VAESENC 16(SI), X3, X9
	VAESENC X7, X6, X7
	VAESENC X3, X2, X3
	VAESENC X6, X5, X6
	VAESENC X2, X1, X2
	VAESENC X5, X4, X5
	VAESENC X1, X0, X1
	VPXOR   X9, X4, X4
	VPXOR   X8, X0, X0
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loopAVX

	VMOVDQU X0, 0(DI)
	VMOVDQU X1, 16(DI)
	VMOVDQU X2, 32(DI)
	VMOVDQU X3, 48(DI)
	VMOVDQU X4, 64(DI)
	VMOVDQU X5, 80(DI)
	VMOVDQU X6, 96(DI)
	VMOVDQU X7, 112(DI)

doneAVX:
	RET

// func absorbSSE(s *state, p []byte)
//
// X0 to X7 are s0 to s7. A round overwrites the word that it is made from,
// which is still needed, so each round works on a copy; and a key from memory
// would have to be aligned, so the message is loaded first.
TEXT ·absorbSSE(SB), NOSPLIT, $0-32
	MOVQ s+0(FP), DI
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), CX
	SHRQ $5, CX
	JZ   doneSSE

	MOVOU 0(DI), X0
	MOVOU 16(DI), X1
	MOVOU 32(DI), X2
	MOVOU 48(DI), X3
	MOVOU 64(DI), X4
	MOVOU 80(DI), X5
	MOVOU 96(DI), X6
	MOVOU 112(DI), X7

	PCALIGN $64

loopSSE:
	MOVOU  0(SI), X10
	MOVOU  16(SI), X11
	MOVO   X7, X8
	MOVO   X3, X9
	AESENC X10, X8
	AESENC X11, X9
	MOVO   X6, X10
	MOVO   X2, X11
	AESENC X7, X10
	AESENC X3, X11
	MOVO   X10, X7
	MOVO   X11, X3
	MOVO   X5, X12
	MOVO   X1, X13
	AESENC X6, X12
	AESENC X2, X13
	MOVO   X12, X6
	MOVO   X13, X2
	MOVO   X4, X14
	MOVO   X0, X15
	AESENC X5, X14
	AESENC X1, X15
	MOVO   X14, X5
	MOVO   X15, X1
	PXOR   X9, X4
	PXOR   X8, X0
	ADDQ   $32, SI
	DECQ   CX
	JNZ    loopSSE

	MOVOU X0, 0(DI)
	MOVOU X1, 16(DI)
	MOVOU X2, 32(DI)
	MOVOU X3, 48(DI)
	MOVOU X4, 64(DI)
	MOVOU X5, 80(DI)
	MOVOU X6, 96(DI)
	MOVOU X7, 112(DI)

doneSSE:
	RET
