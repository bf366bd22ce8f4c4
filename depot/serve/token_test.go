package serve_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/depot/serve"
)

// TestReadToken: a token is taken as a whole or not at all, and only from a file that nobody else reads.
func TestReadToken(t *testing.T) {
	t.Parallel()
	const good = "0123456789abcdef"
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
		want string // in the error; "": the token
	}{
		"good":          {good + "\n", 0o600, ""},
		"short":         {good[1:], 0o600, "16 printable characters"},
		"blank":         {good + " " + good, 0o600, "no blanks"},
		"long":          {strings.Repeat("x", 5000), 0o600, "more than 4096 bytes"},
		"others'":       {good, 0o640, "its mode is 0640"},
		"not UTF-8":     {good + "\xff", 0o600, "16 printable characters"},
		"just so large": {strings.Repeat("x", 4096), 0o600, ""},
	} {
		if runtime.GOOS == "windows" && test.mode != 0o600 {
			continue
		}
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		token, err := serve.ReadToken(path)
		switch {
		case test.want == "" && (err != nil || token != strings.TrimSpace(test.text)):
			t.Errorf("%s: %q, %v", name, token, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
