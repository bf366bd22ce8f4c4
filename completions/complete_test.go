package completions

import (
	"errors"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	flags := "--running --data --into --owner --fast --slow --keep --no-keep --help --quiet --color"
	tests := []struct {
		words string // separated by blanks; the one after the last blank is unfinished
		want  string // the values, and the kind of file names in brackets
	}{
		{"", "put show start odd"},
		{"sh", "put show start odd"},
		{"--quiet ", "put show start odd"},
		{"--color ", "auto always never"},
		{"--color=", "--color=auto --color=always --color=never"},
		{"--quiet=", "--quiet=true --quiet=false"},
		{"-", "-h --help -q --quiet --color"},
		{"--", "--help --quiet --color"},
		{"nothing ", ""},
		{"nothing --", ""},
		{"--unknown put --unknown=x -z 1 ", "[files]"},
		{"put ", "1.2.3 1.2.4-1 [files]"},
		{"put --", flags},
		{"put --quiet --color never --", without(flags, "--quiet", "--color")},
		{"put -q --", without(flags, "--quiet")},
		{"put -qo bob --", without(flags, "--quiet", "--owner")},
		{"put -qobob --", without(flags, "--quiet", "--owner")},
		{"put -qo ", "alice alice:admin bob"},
		{"put --fast --", without(flags, "--fast", "--slow")},
		{"put --no-keep --", without(flags, "--keep", "--no-keep")},
		{"put --running 1.2.3 --", flags},
		{"put --running 1.2.3 --running ", "1.2.4-1 2.0.0"},
		{"put --running=1.2.3,", "--running=1.2.3,1.2.4-1 --running=1.2.3,2.0.0"},
		{"put --running=1.2.3,2.0.0 --running=", "--running=1.2.4-1"},
		{"put --data ", "[files]"},
		{"put --data=x", "[files]"},
		{"put --into ", "[directories]"},
		{"put --owner --quiet --", without(flags, "--owner")},
		{"put a ", "[files]"},
		{"put a b ", flags},
		{"put a b x", ""},
		{"put -- --", "1.2.3 1.2.4-1 [files]"},
		{"put -- --a ", "[files]"},
		{"put -- a b ", ""},
		{"look ", "[files]"},
		{"show a b c ", "[files]"},
		{"start --version ", ""},
		{"start --version=", ""},
		{"start here --version ", "here"},
		{"start here -- --version ", "[files]"},
		{"start here x --version ", "[files]"},
		{"start here --version=x --", "--help --quiet --color"},
		{"start here --unknown --version=", "[files]"},
		{"start here -z --version=", "[files]"},
		{"odd x ", "one two"},
		{"secret ", "--help --quiet --color"},
	}
	for _, test := range tests {
		t.Run(test.words, func(t *testing.T) {
			t.Parallel()
			answer := Complete(model(), strings.Split(test.words, " "), source)
			var got []string
			for _, candidate := range answer.Candidates {
				got = append(got, candidate.Value)
			}
			if answer.Names != NoNames {
				got = append(got, "["+string(answer.Names)+"]")
			}
			if text := strings.Join(got, " "); text != test.want {
				t.Errorf("%q: got  %s\nwant %s", test.words, text, test.want)
			}
		})
	}
}

func without(text string, words ...string) string {
	for _, word := range words {
		text = strings.TrimSpace(strings.ReplaceAll(" "+text+" ", " "+word+" ", " "))
	}
	return text
}

func TestCompleteWithoutSource(t *testing.T) {
	t.Parallel()
	if answer := Complete(model(), nil, nil); len(answer.Candidates) != 4 || answer.Candidates[0].Help != "Put a thing: here." {
		t.Errorf("no words: %+v", answer)
	}
	if answer := Complete(model(), []string{"put", ""}, nil); answer.Names != Files {
		t.Errorf("an argument of which nothing is known: %+v", answer)
	}
	if answer := Complete(model(), []string{"put", "--owner", ""}, nil); answer.Names != NoNames || answer.Candidates != nil {
		t.Errorf("a flag's value of which nothing is known: %+v", answer)
	}
}

func TestAnswerWriteTo(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 100)
	answer := Answer{Names: Directories, Candidates: []Candidate{
		{"plain", ""}, {"", "nothing"}, {"two words", "with\ttab\nand lines\x1b[31m"}, {"new\nline", ""}, {"tab\t", ""}, {"esc\x1b", ""},
		{"not\xffutf8", ""}, {"long", long}, {"wide", strings.Repeat("x", 1000)},
	}}
	want := "plain\ntwo words\twith tab and lines [31m\nlong\t" + strings.TrimSpace(long[:159]) + " …\nwide\n\tdirectories\n"
	if got := printed(t, answer); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestScriptErrors(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "a;b", "$(x)", "a/b", "é", "x\n"} {
		if _, err := Script(name, Bash); !errors.Is(err, ErrProgram) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Script(program, "tcsh"); !errors.Is(err, ErrShell) {
		t.Errorf("tcsh: %v", err)
	}
	for _, shell := range []Shell{Bash, Zsh, Fish} {
		script, err := Script(program, shell)
		if err != nil || !strings.Contains(script, program+" __complete") && !strings.Contains(script, "__complete --") || strings.Contains(script, placeholder) {
			t.Errorf("%s: %v\n%s", shell, err, script)
		}
	}
}

func FuzzComplete(f *testing.F) {
	for _, seed := range []string{"", "put --running=1.2.3,", "put -qo", "start x -- --", "--color=", "-\x00é", "show - -- -"} {
		f.Add(seed)
	}
	app := model()
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		answer := Complete(app, words, source)
		for line := range strings.Lines(printed(t, answer)) {
			if strings.Count(line, "\t") > 1 || strings.TrimRight(line, "\n") == "" {
				t.Errorf("%q: line %q", text, line)
			}
		}
	})
}
