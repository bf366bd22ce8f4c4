package aegis

import "testing"

func BenchmarkSum(b *testing.B) {
	sizes := []struct {
		name string
		size int
	}{{"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"64MiB", 64 << 20}}
	for _, p := range paths() {
		for _, s := range sizes {
			b.Run("path="+p.name+"/size="+s.name, func(b *testing.B) {
				if !p.supported {
					b.Skip("this CPU lacks the instructions")
				}
				message := pattern(s.size)
				h := p.hash()
				b.SetBytes(int64(s.size))
				b.ReportAllocs()
				for b.Loop() {
					h.Reset()
					h.Write(message)
					h.Sum()
				}
			})
		}
	}
}
