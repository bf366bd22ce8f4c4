package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
)

// subject is what a command line is about. Hints repeat its names, so that they can
// be typed as they stand. An error about another file says so, see [fileError].
type subject struct {
	file   string // that is read, "" if there is none, several, or it is not on this host
	target string // that is changed, looked at or made
}

// in puts the names into a hint's {file} and {target}.
func (s subject) in(hint string) string {
	file, target := "FILE", "TARGET"
	if s.file != "" && s.file != "-" {
		file = shellWord(s.file)
	}
	if s.target != "" {
		target = shellWord(s.target)
		if trimmed := strings.TrimRight(s.target, "/"); trimmed != "" {
			target = shellWord(trimmed)
		}
	}
	return strings.NewReplacer("{file}", file, "{target}", target).Replace(hint)
}

// shellWord is a file's name as a POSIX shell takes it, and never as a flag. It never holds
// a placeholder of [subject.in], whatever the name is.
func shellWord(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return shellQuote(name)
}

// shellQuote quotes a word of a command line, if it has to be.
func shellQuote(word string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+,:@%=", r)
	}
	if word != "" && !strings.ContainsFunc(word, odd) {
		return word
	}
	if term.Printable(word) != word || !utf8.ValidString(word) {
		return octalWord(word)
	}
	return "'" + strings.NewReplacer("'", `'\''`, "{", "{''").Replace(word) + "'"
}

// octalWord writes a word with control characters so that a terminal shows it and bash and
// zsh take it.
func octalWord(word string) string {
	var text strings.Builder
	for _, b := range []byte(word) {
		if b < ' ' || b > '~' || b == '\'' || b == '\\' || b == '{' {
			fmt.Fprintf(&text, `\%03o`, b)
			continue
		}
		text.WriteByte(b)
	}
	return "$'" + text.String() + "'"
}

// isRelease reports whether a name is a release's.
func isRelease(name string) bool {
	_, err := release.ParseTag(name)
	return err == nil
}
