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

// absorb absorbs p, whose size is a multiple of blockSize.
func (i implementation) absorb(s *state, p []byte) {
	if i == generic {
		absorbGeneric(s, p)
		return
	}
	for len(p) > 0 {
		chunk := p[:min(len(p), chunkSize)]
		p = p[len(chunk):]
		if i == avx {
			absorbAVX(s, chunk)
		} else {
			absorbSSE(s, chunk)
		}
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
