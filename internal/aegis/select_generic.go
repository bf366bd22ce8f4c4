package aegis

type implementation uint8

const generic implementation = 0

func fastest() implementation { return generic }

func (implementation) absorb(s *state, p []byte) { absorbGeneric(s, p) }
