//go:build !purego

package aegis

import "golang.org/x/sys/cpu"

const (
	sse implementation = iota + 1
	avx
)

// fastest returns the best implementation for this CPU, whose features are
// found out once, when the process starts.
func fastest() implementation {
	switch {
	case cpu.X86.HasAES && cpu.X86.HasAVX:
		return avx
	case cpu.X86.HasAES:
		return sse
	default:
		return generic
	}
}

func (i implementation) absorbChunk(s *state, p []byte) {
	switch i {
	case avx:
		absorbAVX(s, p)
	case sse:
		absorbSSE(s, p)
	default:
		absorbGeneric(s, p)
	}
}

// absorbAVX absorbs the full blocks of p. The CPU must have AES-NI and AVX.
//
//go:noescape
func absorbAVX(s *state, p []byte)

// absorbSSE absorbs the full blocks of p. The CPU must have AES-NI.
//
//go:noescape
func absorbSSE(s *state, p []byte)
