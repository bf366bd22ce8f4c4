package durable

import (
	"bytes"
	"fmt"
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
			switch {
			case line == "":
			case !clipped:
				want = append(want, fmt.Sprint(index+1, line))
			case index > 0:
				want = append(want, fmt.Sprint(0, line))
			}
		}
		if err := scanLines(bytes.NewReader(text), clipped, func(number int, line []byte) { got = append(got, fmt.Sprint(number, string(line))) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}
