package aegis

import (
	"encoding/binary"
	"testing"
)

// FuzzPaths writes a message in the pieces that plan asks for and demands the
// same checksum of every path, and of the message in one piece. Of each two
// bytes of plan, the lowest bit chooses between message and zeros, and the
// rest is the size of the piece.
func FuzzPaths(f *testing.F) {
	f.Add([]byte(nil), []byte(nil))
	f.Add(pattern(16), []byte{32, 0})
	f.Add(pattern(31), []byte{2, 0, 63, 0, 4, 0})
	f.Add(pattern(300), []byte{66, 0, 1, 64, 64, 0, 3, 0, 62, 0})
	f.Add(pattern(5000), []byte{255, 255, 0, 16, 1, 8})
	f.Fuzz(func(t *testing.T, message, plan []byte) {
		const planMax = 64 // pieces, so that the zeros stay below 2 MiB
		plan = plan[:min(len(plan), 2*planMax)]

		var whole []byte
		type piece struct {
			zeros int64
			bytes []byte
		}
		var pieces []piece
		rest := message
		for ; len(plan) >= 2; plan = plan[2:] {
			step := int(binary.LittleEndian.Uint16(plan))
			size := step >> 1
			if step&1 == 1 {
				pieces = append(pieces, piece{zeros: int64(size)})
				whole = append(whole, make([]byte, size)...)
				continue
			}
			size = min(size, len(rest))
			pieces = append(pieces, piece{bytes: rest[:size]})
			whole = append(whole, rest[:size]...)
			rest = rest[size:]
		}
		pieces = append(pieces, piece{bytes: rest})
		whole = append(whole, rest...)

		want := paths()[len(paths())-1].sum(whole)
		if got := Sum(whole); got != want {
			t.Errorf("Sum of %d bytes: %x, generic %x", len(whole), got, want)
		}
		for _, p := range paths() {
			if !p.supported {
				continue
			}
			h := p.hash()
			for _, piece := range pieces {
				h.WriteZeros(piece.zeros)
				h.Write(piece.bytes)
			}
			if got := h.Sum(); got != want {
				t.Errorf("%s, %d bytes in %d pieces: got %x, want %x", p.name, len(whole), len(pieces), got, want)
			}
		}
	})
}
