package multiversion

import (
	"bytes"
	"testing"
)

// BenchmarkHeader decodes and encodes the header of a real binary, all checks and its
// checksum included.
func BenchmarkHeader(b *testing.B) {
	raw := vectors(b)["0.17.8-macos-x86_64"]
	header, err := decodeHeader(raw, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeHeader(raw, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := header.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLocate finds header and body in files of each format, in memory.
func BenchmarkLocate(b *testing.B) {
	for _, each := range samples(b) {
		b.Run("format="+string(each.format), func(b *testing.B) {
			r, size := bytes.NewReader(each.data), int64(len(each.data))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Locate(r, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
