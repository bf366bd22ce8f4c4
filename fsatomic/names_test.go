package fsatomic

import (
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
)

// FuzzParseName: what is recognised is exactly what this package makes.
func FuzzParseName(f *testing.F) {
	for _, entry := range []string{
		"", ".a.tbctl-lock", durable.RandomName("a", kindStage), durable.RandomName("a", "temp"), readyName("a", 1), prevName("a", 18446744073709551615, 2),
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
		if !strings.HasPrefix(entry, durable.HiddenPrefix(name)) {
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
		case kindStage:
			if len(entry) != len(durable.RandomName(name, b.kind)) || b.inode != 0 || b.other != 0 {
				t.Fatalf("%q: %+v", entry, b)
			}
		default:
			t.Fatalf("%q: %+v", entry, b)
		}
	})
}
