package hints

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/shell"
)

// TestHintsAreSafeToPaste has a shell read the names in hints: each is one word, and the name.
func TestHintsAreSafeToPaste(t *testing.T) {
	t.Parallel()
	names := []string{
		"plain/name-1.2_x", "with space", "$(touch x)", "a;b", "it's", `back\slash`, "{target}", "m{file} {target} x", "{", "new\nline", "\x1b[31mred",
		"größe", "-dash", "*", "~", "#", "!x", "a'{target}'b", "\xff",
	}
	shells := []string{"bash", "zsh"}
	for _, name := range names {
		hint := About{File: name, Target: name}.in("print {file} " + shell.File(name) + " {target}")
		want := name
		if strings.HasPrefix(name, "-") {
			want = "./" + name
		}
		for _, shell := range shells {
			if _, err := exec.LookPath(shell); err != nil {
				t.Logf("skipped: no %s here", shell)
				continue
			}
			script := `print() { printf '<%s>' "$@"; }; ` + hint
			out, err := exec.Command(shell, "-c", script).Output()
			if got := string(out); err != nil || got != strings.Repeat("<"+want+">", 3) {
				t.Errorf("%s: %q in %s: %q, %v", shell, name, hint, got, err)
			}
		}
	}
}
