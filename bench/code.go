package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// A release of TigerBeetle deflates 4.4 to 1 (36.8 MB, and 8.3 MB as a zip). A Go program deflates
// 2.4 to 1: generic functions are compiled once for many types there, and once for each in Zig.
const (
	stretchSize   = 4 << 10 // bytes of code that its copies follow; all of them lie in deflate's window
	stretchCopies = 3
	operandGap    = 72 // bytes from one changed operand to the next, on average
)

// codeLike returns size bytes that deflate as the code of a release does: stretches of a real
// program, each followed by copies in which some operands are other ones. The same program and
// size give the same bytes.
func codeLike(program []byte, size int64) []byte {
	code := make([]byte, 0, size+stretchSize)
	operands := rand.New(rand.NewPCG(1, 2))
	for at := 0; int64(len(code)) < size; at = (at + stretchSize) % (len(program) - stretchSize) {
		stretch := program[at : at+stretchSize]
		code = append(code, stretch...)
		for range stretchCopies {
			changed := bytes.Clone(stretch)
			for place := operands.IntN(2 * operandGap); place+2 <= len(changed); place += 2 + operands.IntN(2*operandGap) {
				binary.LittleEndian.PutUint16(changed[place:], uint16(operands.Uint32()))
			}
			code = append(code, changed...)
		}
	}
	return code[:size]
}
