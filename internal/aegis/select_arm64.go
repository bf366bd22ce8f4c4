//go:build !purego

package aegis

import "golang.org/x/sys/cpu"

const neon implementation = 1

// fastest returns the best implementation for this CPU, whose features are
// found out once, when the process starts.
func fastest() implementation {
	if cpu.ARM64.HasAES {
		return neon
	}
	return generic
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
		absorbNEON(s, chunk)
	}
}

// absorbNEON absorbs the full blocks of p. The CPU must have AESE and AESMC.
//
//go:noescape
func absorbNEON(s *state, p []byte)
