//go:build purego || !(amd64 || arm64)

package aegis

func fastest() implementation { return generic }

func (implementation) absorbChunk(s *state, p []byte) { absorbGeneric(s, p) }
