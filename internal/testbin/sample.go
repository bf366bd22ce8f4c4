package testbin

import (
	"hash/fnv"
	"iter"
	"testing"
)

// Sampled yields which of so many operations of a scene are disturbed: every seventh, from
// another first for each scene and file system; all of them with TORTURE=full.
func Sampled(tb testing.TB, count int) iter.Seq[int] {
	tb.Helper()
	first, step := 0, 1
	if !Full() {
		step = 7
		sum := fnv.New32a()
		sum.Write([]byte(tb.Name()))
		first = int(sum.Sum32() % 7)
	}
	return func(yield func(int) bool) {
		for number := first; number < count; number += step {
			if !yield(number) {
				return
			}
		}
	}
}
