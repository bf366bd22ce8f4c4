package aegis

// implementation is a way to absorb blocks. It is a number and not a function
// value, so that the compiler sees that no buffer escapes.
type implementation uint8

// generic is in Go alone and works on every machine. The others are named
// where there is one.
const generic implementation = 0

// chunkSize is the most that one call of assembly absorbs, in bytes. The
// scheduler cannot interrupt a goroutine inside assembly, and the garbage
// collector waits for all of them: 128 KiB take 5 to 50 µs, depending on the
// CPU, and next to that the cost of a call is nothing.
const chunkSize = 128 << 10

// absorb absorbs p, whose size is a multiple of blockSize.
func (i implementation) absorb(s *state, p []byte) {
	for len(p) > 0 {
		chunk := p[:min(len(p), chunkSize)]
		p = p[len(chunk):]
		i.absorbChunk(s, chunk)
	}
}
