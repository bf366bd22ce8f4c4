package completions

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const prompt = "READY> "

// bashCompletion is where the package bash-completion puts its functions.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// setup is one way to have completion in a shell.
type setup struct {
	name  string
	shell Shell
	needs string // a file that must exist, or ""
	start func(home string) []string
}

// setups are the ways that "PROGRAM completion --help" tells.
func setups() []setup {
	bash := func(first string) func(string) []string {
		return func(home string) []string {
			rc := filepath.Join(home, "bashrc")
			write(rc, first+"\nsudo() { \"$@\"; }\nPS1='"+prompt+"'\nsource <("+program+" completion bash)\n")
			return []string{"bash", "--noprofile", "--rcfile", rc, "-i"}
		}
	}
	return []setup{
		{"bash", Bash, "", bash("")},
		{"bash with bash-completion", Bash, bashCompletion, bash("source " + bashCompletion)},
		{"bash without = and : as breaks", Bash, "", bash(`COMP_WORDBREAKS=${COMP_WORDBREAKS//[:=]/}`)},
		{"bash that is strict", Bash, "", bash("set -u; set -o posix; IFS=,; shopt -s nocasematch failglob")},
		{"zsh", Zsh, "", func(home string) []string {
			write(filepath.Join(home, ".zshrc"), zshrc+"source <("+program+" completion zsh)\n")
			return []string{"zsh", "-d", "-i"}
		}},
		{"zsh from fpath", Zsh, "", func(home string) []string {
			script, _ := Script(program, Zsh)
			write(filepath.Join(home, "functions", "_"+program), script)
			write(filepath.Join(home, ".zshrc"), "fpath=("+filepath.Join(home, "functions")+" $fpath)\n"+zshrc)
			return []string{"zsh", "-d", "-i"}
		}},
		{"fish", Fish, "", func(home string) []string {
			write(filepath.Join(home, ".config", "fish", "config.fish"),
				"function fish_prompt; echo '"+prompt+"'; end\nset -g fish_greeting\nfunction sudo; $argv; end\n"+program+" completion fish | source\n")
			return []string{"fish", "-i"}
		}},
	}
}

const zshrc = "PROMPT='" + prompt + "'\nunsetopt prompt_sp\nsudo() { \"$@\" }\nautoload -Uz compinit && compinit -u -D\n"

func write(name, text string) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		panic(err)
	}
}

// presses are what a person types, and what the program then gets. All of them
// leave one possibility when TAB is pressed.
var presses = []struct {
	keys string
	want []string
}{
	{keys: "pu\t1.2.4\t", want: []string{"put", "1.2.4-1"}},
	{keys: "put --qu\t--col\tne\tx", want: []string{"put", "--quiet", "--color", "never", "x"}},
	{keys: "put --color=ne\tx", want: []string{"put", "--color=never", "x"}},
	{keys: "put x --running=1.2.3,2\t", want: []string{"put", "x", "--running=1.2.3,2.0.0"}},
	{keys: "put x --owner alice:\t", want: []string{"put", "x", "--owner", "alice:admin"}},
	{keys: "put x --owner=alice:\t", want: []string{"put", "x", "--owner=alice:admin"}},
	{keys: "put x --owner 'alice:\t", want: []string{"put", "x", "--owner", "alice:admin"}},
	{keys: `put x --owner="alice:` + "\t", want: []string{"put", "x", "--owner=alice:admin"}},
	{keys: "put oth\t", want: []string{"put", "other.bin"}},
	{keys: "put my\t", want: []string{"put", "my file.bin"}},
	{keys: `put "my f` + "\t", want: []string{"put", "my file.bin"}},
	{keys: `put my\ f` + "\t", want: []string{"put", "my file.bin"}},
	{keys: "show co\tmy\t", want: []string{"show", "co:lon.bin", "my file.bin"}},
	{keys: "put x --data=my\t", want: []string{"put", "x", "--data=my file.bin"}},
	{keys: "put x --into dir\t", want: []string{"put", "x", "--into", "dir one/"}},
	{keys: "put x --into=dir\t", want: []string{"put", "x", "--into=dir one/"}},
	{keys: "show dir\tin\t", want: []string{"show", "dir one/inside"}},
	{keys: `start my\ file.bin --version ` + "\t", want: []string{"start", "my file.bin", "--version", "my file.bin"}},
	{keys: "start ~/there --version \t", want: []string{"start", "HOME/there", "--version", "HOME/there"}},
	{keys: "start x -- -- oth\t", want: []string{"start", "x", "--", "--", "oth" + "er.bin"}},
	{keys: "put -- --no\t", want: []string{"put", "--", "--no-file"}},
	{keys: "odd tw\t", want: []string{"odd", "two words"}},
	{keys: "odd it\t", want: []string{"odd", "it's"}},
	{keys: "odd co\t", want: []string{"odd", "co:lon:s"}},
	{keys: "odd co:l\t", want: []string{"odd", "co:lon:s"}},
	{keys: "odd back\t", want: []string{"odd", `back\slash`}},
	{keys: "odd semi\t", want: []string{"odd", "semi;colon"}},
	{keys: "odd zo\t", want: []string{"odd", "zoë"}},
	{keys: "odd zoë o\t", want: []string{"odd", "zoë", "one"}},
}

func TestShells(t *testing.T) {
	t.Parallel()
	for _, setup := range setups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			shell := open(t, setup)
			for _, press := range presses {
				got := shell.args(program + " " + press.keys)
				if last := len(got) - 1; setup.shell == Zsh && strings.Contains(press.keys, "--into") && last >= 0 {
					got[last] += "/" // zsh takes it away when the line ends there
				}
				for index := range got {
					got[index] = strings.ReplaceAll(got[index], shell.home, "HOME")
				}
				if !slices.Equal(got, press.want) {
					t.Errorf("%q: got %q, want %q", press.keys, got, press.want)
				}
			}
			for _, before := range []string{"sudo " + program, "./" + program, "echo; " + program} {
				if got := shell.args(before + " pu\t1.2.4\t"); !slices.Equal(got, []string{"put", "1.2.4-1"}) && !(before[0] == 's' && setup.needs == "" && setup.shell == Bash) {
					t.Errorf("behind %q: got %q", before, got)
				}
			}
		})
	}
}

// TestShellsList reads what the shells list where there are several possibilities.
func TestShellsList(t *testing.T) {
	t.Parallel()
	for _, setup := range setups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			shell := open(t, setup)
			shell.press(program + " put x --running 1.2.\t\t")
			shell.expectAll("1.2.3 ", "the old one", "1.2.4-1 ", "the new one")
		})
	}
}

// open starts a shell in a directory with files of odd names.
func open(t *testing.T, setup setup) *terminal {
	t.Helper()
	if testing.Short() && strings.Contains(setup.name, " ") {
		t.Skip("skipped: only the plain setups in short mode")
	}
	path, err := exec.LookPath(string(setup.shell))
	if err != nil {
		t.Skipf("skipped: no %s here", setup.shell)
	}
	if _, err := os.Stat(setup.needs); setup.needs != "" && err != nil {
		t.Skipf("skipped: %v", err)
	}
	bin, home, work := install(t), t.TempDir(), t.TempDir()
	for _, name := range []string{"other.bin", "my file.bin", "co:lon.bin", "dir one/inside", "--no-file"} {
		write(filepath.Join(work, name), "")
	}
	if err := os.Symlink(filepath.Join(bin, program), filepath.Join(work, program)); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, setup.start(home)[1:]...)
	command.Dir = work
	command.Env = []string{"HOME=" + home, "ZDOTDIR=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "TERM=vt100", "LC_ALL=C.UTF-8"}
	shell := startTerminal(t, command)
	shell.home = home
	shell.expect(prompt)
	return shell
}

// args types a line, runs it, and returns the arguments that the program got.
func (s *terminal) args(keys string) []string {
	s.t.Helper()
	s.press(keys)
	s.press("\r")
	text := s.expect("ARGS ")
	s.expect(prompt)
	var args []string
	if err := json.Unmarshal([]byte(strings.TrimSpace(text)), &args); err != nil {
		s.t.Fatalf("%q: the program printed %q: %v", keys, text, err)
	}
	return args
}
