package durable

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// FuzzScanLines: lines are in order, and all there are, also a last one without its newline.
func FuzzScanLines(f *testing.F) {
	for _, text := range []string{"", "\n", "a", "a\n", "a\nb", "a\n\nb\n", "\x00\x00\na\n"} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, clipped bool) {
		var want, got []string
		for index, line := range strings.Split(string(text), "\n") {
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
