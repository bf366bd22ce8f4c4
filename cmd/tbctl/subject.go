package main

import (
	"strings"

	"github.com/tbctl/tbctl/release"
)

// subject is what a command line is about. Hints repeat its names, so that they can
// be typed as they stand.
type subject struct {
	file   string // that is read, "" while there is none or it is not on this host
	target string // that is changed or looked at
}

// in puts the names into a hint's {file} and {target}.
func (s subject) in(hint string) string {
	file, target := "FILE", "TARGET"
	if s.file != "" && s.file != "-" {
		file = shellWord(s.file)
	}
	if s.target != "" {
		target = shellWord(s.target)
	}
	return strings.NewReplacer("{file}", file, "{target}", target).Replace(hint)
}

// shellWord quotes a name as a POSIX shell takes it, if it has to be.
func shellWord(name string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+,:@%=", r)
	}
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	if name != "" && !strings.ContainsFunc(name, odd) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// isRelease reports whether a name is a release's.
func isRelease(name string) bool {
	_, err := release.ParseTag(name)
	return err == nil
}
