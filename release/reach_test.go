package release

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
)

// TestReach: a pack goes four releases back, and a re-release is the one to install of its number.
func TestReach(t *testing.T) {
	t.Parallel()
	var listed []Listed // newest first
	for _, tag := range []Tag{"0.17.9", "0.17.8", "0.17.7", "0.17.6-1", "0.17.6", "0.17.5", "0.17.4", "0.17.3", ""} {
		listed = append(listed, Listed{Tag: tag, Release: tag.Release()})
	}
	for _, test := range []struct {
		installed string
		want      []string // tag, steps, what comes first
	}{
		{"0.17.5", []string{"0.17.9 1 []", "0.17.8 1 []", "0.17.7 1 []", "0.17.6-1 1 []", "0.17.6 1 []", "0.17.5 installed []", "0.17.4 0 []", "0.17.3 0 []", " 0 []"}},
		{"0.17.4", []string{"0.17.9 2 [0.17.5]", "0.17.8 1 []", "0.17.7 1 []", "0.17.6-1 1 []", "0.17.6 1 []", "0.17.5 1 []", "0.17.4 installed []", "0.17.3 0 []", " 0 []"}},
		{"0.17.2", []string{"0.17.9 2 [0.17.5]", "0.17.8 2 [0.17.4]", "0.17.7 2 [0.17.3]", "0.17.6-1 1 []", "0.17.6 1 []", "0.17.5 1 []", "0.17.4 1 []", "0.17.3 1 []", " 0 []"}},
		{"", []string{"0.17.9 0 []", "0.17.8 0 []", "0.17.7 0 []", "0.17.6-1 0 []", "0.17.6 0 []", "0.17.5 0 []", "0.17.4 0 []", "0.17.3 0 []", " 0 []"}},
	} {
		installed, _ := multiversion.ParseRelease(test.installed) // 0: nothing is
		var got []string
		for _, line := range Reach(listed, installed) {
			steps := fmt.Sprint(line.Steps)
			if line.Installed {
				steps = "installed"
			}
			got = append(got, fmt.Sprintf("%s %s %v", line.Tag, steps, line.Via))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("from %s:\n%q, want\n%q", test.installed, got, test.want)
		}
	}
}
