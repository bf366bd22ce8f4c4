package fsatomic

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// FuzzParseName: what is recognised is exactly what this package makes.
func FuzzParseName(f *testing.F) {
	for _, entry := range []string{
		"", ".a.tbctl-lock", randomName("a", kindStage), randomName("a", kindTemp), readyName("a", 1), prevName("a", 18446744073709551615, 2),
		".a.tbctl-ready-0", ".a.tbctl-ready-01", ".a.tbctl-ready-+1", ".a.tbctl-prev-1", ".a.tbctl-prev-1-", ".a.tbctl-prev-1-2-3",
		".a.tbctl-stage-", ".a.tbctl-stage-0123", ".a.tbctl-ready-99999999999999999999", ".b.tbctl-ready-1", "a.tbctl-ready-1",
	} {
		f.Add("a", entry)
	}
	f.Fuzz(func(t *testing.T, name, entry string) {
		b, ok := parseName(name, entry)
		if !ok {
			return
		}
		if !strings.HasPrefix(entry, hiddenPrefix(name)) {
			t.Fatalf("%q beside %q", entry, name)
		}
		switch b.kind {
		case kindReady:
			if entry != readyName(name, b.inode) || b.inode == 0 {
				t.Fatalf("%q: %+v", entry, b)
			}
		case kindPrev:
			if entry != prevName(name, b.inode, b.other) || b.inode == 0 || b.other == 0 {
				t.Fatalf("%q: %+v", entry, b)
			}
		case kindStage, kindTemp:
			if len(entry) != len(randomName(name, b.kind)) || b.inode != 0 || b.other != 0 {
				t.Fatalf("%q: %+v", entry, b)
			}
		default:
			t.Fatalf("%q: %+v", entry, b)
		}
	})
}

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
