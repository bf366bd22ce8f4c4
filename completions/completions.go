// Package completions completes a command line on the TAB key, in bash, zsh and
// fish, from the kong model of a program.
//
// The script of a shell ([Script]) knows nothing of the program's grammar. On each
// TAB it runs
//
//	PROGRAM __complete -- WORD...
//
// with the words between the program's name and the cursor, without their quotes,
// the unfinished one last and perhaps empty. The program calls [Complete] and prints
// the [Answer]: a candidate a line, as VALUE, TAB, what it means. A candidate is a
// whole word; leaving out those that do not begin with what was typed is the shell's
// part, since shells differ in what they let pass. A line without a value is not a
// candidate: it asks the shell for file names too, and says of which kind.
//
// So a script from an older version of the program still completes everything that
// a newer one knows.
package completions

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Command is the name of the command that scripts run to get the candidates.
const Command = "__complete"

// Shell is a shell that a script can be made for.
type Shell string

// The shells.
const (
	Bash Shell = "bash"
	Zsh  Shell = "zsh"
	Fish Shell = "fish"
)

// ErrShell means that there is no script for a shell of that name.
var ErrShell = errors.New("no completion script for this shell")

// ErrProgram means that a program's name cannot stand in a shell script as it is.
var ErrProgram = errors.New("program name is not made of letters, digits, - and _")

var (
	//go:embed script.bash
	scriptBash string
	//go:embed script.zsh
	scriptZsh string
	//go:embed script.fish
	scriptFish string
)

// placeholder stands in the scripts for the program's name.
const placeholder = "@program@"

// Script returns the completion script of a shell for a program. The errors are
// [ErrShell] and [ErrProgram].
func Script(program string, shell Shell) (string, error) {
	odd := func(r rune) bool {
		return r >= unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	}
	if program == "" || strings.ContainsFunc(program, odd) {
		return "", fmt.Errorf("completion script for %q: %w", program, ErrProgram)
	}
	script, ok := map[Shell]string{Bash: scriptBash, Zsh: scriptZsh, Fish: scriptFish}[shell]
	if !ok {
		return "", fmt.Errorf("completion script for %q: %w", string(shell), ErrShell)
	}
	return strings.ReplaceAll(script, placeholder, program), nil
}

// Candidate is a word that could stand at the cursor.
type Candidate struct {
	Value string
	Help  string // what it means, or ""
}

// Names says which file names the shell offers beside the candidates.
type Names string

// The kinds of file names. A shell completes them by itself, as it does everywhere.
const (
	NoNames     Names = ""
	Files       Names = "files"
	Directories Names = "directories"
)

// Answer is what could stand at the cursor, in the order to show it.
type Answer struct {
	Candidates []Candidate
	Names      Names
}

// Values returns an answer of candidates without help.
func Values(values ...string) Answer {
	var answer Answer
	for _, value := range values {
		answer.Candidates = append(answer.Candidates, Candidate{Value: value})
	}
	return answer
}

// helpSizeMax bounds the help of a candidate in bytes: a line of a terminal.
const helpSizeMax = 160

// WriteTo prints the answer for a script. Candidates that cannot stand in a line,
// since they are empty, no UTF-8 or hold control characters, are left out.
func (a Answer) WriteTo(w io.Writer) (int64, error) {
	var lines strings.Builder
	for _, candidate := range a.Candidates {
		if candidate.Value == "" || strings.ContainsFunc(candidate.Value, unprintable) {
			continue
		}
		lines.WriteString(candidate.Value)
		if help := oneLine(candidate.Help); help != "" {
			lines.WriteString("\t" + help)
		}
		lines.WriteString("\n")
	}
	if a.Names != NoNames {
		lines.WriteString("\t" + string(a.Names) + "\n")
	}
	count, err := io.WriteString(w, lines.String())
	return int64(count), err
}

func unprintable(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }

// oneLine is a text in one line of bounded size.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) <= helpSizeMax {
		return text
	}
	cut := strings.LastIndexByte(text[:helpSizeMax], ' ')
	if cut <= 0 {
		return ""
	}
	return text[:cut] + " …"
}
