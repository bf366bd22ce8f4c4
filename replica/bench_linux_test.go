package replica_test

import (
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/replica"
)

// BenchmarkFind looks through the processes of this host for a target that none runs from.
func BenchmarkFind(b *testing.B) {
	finder := replica.NewFinder(filepath.Join(b.TempDir(), "tigerbeetle"), replica.Options{})
	for b.Loop() {
		if _, err := finder.Find(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
