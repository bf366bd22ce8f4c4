//go:build purego || !(amd64 || arm64)

package aegis

func fastest() implementation { return generic }

// absorb absorbs p, whose size is a multiple of blockSize.
func (implementation) absorb(s *state, p []byte) { absorbGeneric(s, p) }
