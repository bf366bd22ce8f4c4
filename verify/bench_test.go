package verify_test

import (
	"os"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
)

// BenchmarkFile verifies a file of 64 MiB with 5 releases from the page cache, with and without its SHA-256.
func BenchmarkFile(b *testing.B) {
	spec := testbin.Spec{Size: 64<<20 - 4096, Past: testbin.PastOf("0.17.4", "0.17.5", "0.17.6", "0.17.7")}
	file, err := os.Open(testbin.BuildFile(b, spec, b.TempDir()))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for name, options := range map[string]verify.Options{"checksums": {}, "sha256": {SHA256: true}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(spec.Size)
			b.ReportAllocs()
			for b.Loop() {
				report, err := verify.File(b.Context(), file, spec.Size, options)
				if err != nil || !report.Ok {
					b.Fatal(report.Diagnosis, err)
				}
			}
		})
	}
}
