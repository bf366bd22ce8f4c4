package hints

import (
	"strings"
	"testing"
)

// Root is not told to be root, and what else a hint says stays.
func TestToRoot(t *testing.T) {
	t.Parallel()
	for hint, want := range map[string]string{
		"run it as root, or say which release runs: --running RELEASE": "say which release runs: --running RELEASE",
		"run it as root or as the owner of the file":                   "root may not do that here",
		asOwner:                  "root may not do that here",
		"wait for it: --wait 1m": "wait for it: --wait 1m",
		"":                       "",
	} {
		if got := toRoot(hint); !strings.HasPrefix(got, want) || strings.Contains(got, "as root") || want == "" && got != "" {
			t.Errorf("%q is %q", hint, got)
		}
	}
}
