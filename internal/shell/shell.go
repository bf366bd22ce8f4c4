// Package shell writes words so that a POSIX shell takes them as they are, and a terminal shows them as they are.
package shell

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// File is a file's name as a shell takes it, and never as a flag.
func File(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return Word(name)
}

// Word quotes a word of a command line, if it has to be. What it returns never holds a name in braces, whatever
// the word is: texts with placeholders such as {file} may be filled in afterwards.
func Word(word string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+,:@%=", r)
	}
	if word != "" && !strings.ContainsFunc(word, odd) {
		return word
	}
	if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(word) {
		return octal(word)
	}
	return "'" + strings.NewReplacer("'", `'\''`, "{", "{''").Replace(word) + "'"
}

// octal writes a word with control characters so that a terminal shows it and bash and
// zsh take it.
func octal(word string) string {
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

// Words is a command as it is typed.
func Words(words []string) string {
	quoted := make([]string, len(words))
	for index, word := range words {
		quoted[index] = Word(word)
	}
	return strings.Join(quoted, " ")
}
