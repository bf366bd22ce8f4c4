package completions

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestInstalled presses TAB for a program that a package has installed with its
// completion scripts, where the shells look for them.
func TestInstalled(t *testing.T) {
	t.Parallel()
	installed := os.Getenv("COMPLETIONS_INSTALLED")
	if installed == "" {
		t.Skip("skipped: COMPLETIONS_INSTALLED names no installed program")
	}
	name := filepath.Base(installed)
	starts := map[Shell]func(home string) []string{
		Bash: func(home string) []string {
			rc := filepath.Join(home, "bashrc")
			write(rc, "source "+bashCompletion+"\nPS1='"+prompt+"'\n")
			return []string{"--noprofile", "--rcfile", rc, "-i"}
		},
		Zsh: func(home string) []string {
			write(filepath.Join(home, ".zshrc"), zshrc)
			return []string{"-d", "-i"}
		},
		Fish: func(home string) []string {
			write(filepath.Join(home, ".config", "fish", "config.fish"), "function fish_prompt; echo '"+prompt+"'; end\nset -g fish_greeting\n")
			return []string{"-i"}
		},
	}
	for kind, start := range starts {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(string(kind))
			if err != nil {
				t.Skipf("skipped: no %s here", kind)
			}
			if _, err := os.Stat(bashCompletion); kind == Bash && err != nil {
				t.Skipf("skipped: %v", err)
			}
			home := t.TempDir()
			command := exec.Command(path, start(home)...)
			command.Dir = home
			command.Env = []string{"HOME=" + home, "ZDOTDIR=" + home, "PATH=" + filepath.Dir(installed) + ":" + os.Getenv("PATH"), "TERM=vt100", "LC_ALL=C.UTF-8"}
			shell := startTerminal(t, command)
			shell.expect(prompt)
			shell.press(name + " completi\tfi\t\r")
			shell.expectAll("# Completion of "+name+" for fish.", "complete -c "+name)
		})
	}
}
