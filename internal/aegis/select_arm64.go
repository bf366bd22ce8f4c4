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

func (i implementation) absorbChunk(s *state, p []byte) {
	if i == neon {
		absorbNEON(s, p)
	} else {
		absorbGeneric(s, p)
	}
}

// absorbNEON absorbs the full blocks of p. The CPU must have AESE and AESMC.
//
//go:noescape
func absorbNEON(s *state, p []byte)
