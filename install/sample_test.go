package install_test

import (
	"hash/fnv"
	"iter"
	"os"
	"testing"
)

// sampled yields which of so many operations of a scene are disturbed: every third, from
// another first for each scene and file system; all of them with TORTURE=full.
func sampled(t *testing.T, count int) iter.Seq[int] {
	t.Helper()
	first, step := 0, 1
	if os.Getenv("TORTURE") != "full" {
		step = 3
		sum := fnv.New32a()
		sum.Write([]byte(t.Name()))
		first = int(sum.Sum32() % 3)
	}
	return func(yield func(int) bool) {
		for number := first; number < count; number += step {
			if !yield(number) {
				return
			}
		}
	}
}
