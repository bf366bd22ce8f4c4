package durable

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// FuzzScanLines: lines are whole, in order, and all there are.
func FuzzScanLines(f *testing.F) {
	for _, text := range []string{"", "\n", "a", "a\n", "a\nb", "a\n\nb\n", "\x00\x00\na\n"} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, clipped bool) {
		var want, got []string
		whole := strings.Split(string(text), "\n")
		for index, line := range whole[:len(whole)-1] { // the last one has no newline
			if line != "" && (index > 0 || !clipped) {
				want = append(want, line)
			}
		}
		if err := scanLines(bytes.NewReader(text), clipped, func(line []byte) { got = append(got, string(line)) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}
