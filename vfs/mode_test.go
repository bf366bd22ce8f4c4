package vfs_test

import (
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// FuzzMode: what is read is what is written.
func FuzzMode(f *testing.F) {
	for _, text := range []string{"0755", "4755", "", "8", "-1", "7777", "10000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		mode := vfs.Mode(1)
		if err := mode.UnmarshalText([]byte(text)); err != nil {
			if mode != 1 {
				t.Fatalf("%q: changed to %s", text, mode)
			}
			return
		}
		var again vfs.Mode
		if err := again.UnmarshalText([]byte(mode.String())); err != nil || again != mode || mode > vfs.ModeMax {
			t.Fatalf("%q: %s, %v", text, mode, err)
		}
	})
}
