package hints

import (
	"slices"
	"strings"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/release"
)

// Known is what is known of the command line that an error is about.
type Known struct {
	Command  string // such as "install"
	Line     Line
	About    About
	StateDir func() string // where the history is
	Sudo     bool          // it runs by sudo
	Running  bool          // it says which release runs
	Asked    bool          // by another machine, in a session: Command does the same here, and there is no command line to repeat
	Host     host.Report   // what the last look at the replicas and data files here found
}

// repeat is what to do with the command line and further arguments, after something else; "" where there is none.
func (k *Known) repeat(why string, more ...string) string {
	if k.Asked {
		return ""
	}
	return why + k.Line.With(more...)
}

// makesFile reports whether the command writes an ordinary file, which is no target.
func (k *Known) makesFile() bool {
	return slices.Contains([]string{"download", "extract", "pack", "man", "fleet plan", "fleet report", "store import"}, k.Command)
}

// About is what a command line is about. Hints repeat its names, so that they can
// be typed as they stand. An error about another file says so, see [input.FileError].
type About struct {
	File   string // that is read, "" if there is none, several, or it is not on this host
	Target string // that is changed, looked at or made
}

// in puts the names into a hint's {file} and {target}.
func (a About) in(hint string) string {
	file, target := "FILE", "TARGET"
	if a.File != "" && a.File != "-" {
		file = shell.File(a.File)
	}
	if a.Target != "" {
		target = shell.File(a.Target)
		if trimmed := strings.TrimRight(a.Target, "/"); trimmed != "" {
			target = shell.File(trimmed)
		}
	}
	return strings.NewReplacer("{file}", file, "{target}", target).Replace(hint)
}

// Line are the arguments of a command line.
type Line []string

// Shown are the arguments without what may be secret, the passwords and queries of URLs.
func (l Line) Shown() []string {
	shown := make([]string, len(l))
	for index, arg := range l {
		shown[index] = release.Redact(arg)
	}
	return shown
}

// String is the command line as a shell takes it, without what may be secret.
func (l Line) String() string { return shell.Words(append([]string{"tbctl"}, l.Shown()...)) }

// With is the command line with further arguments.
func (l Line) With(more ...string) string { return slices.Concat(l, more).String() }

// Retyped is the command line with one argument replaced.
func (l Line) Retyped(old string, with ...string) string {
	line := slices.Clone(l)
	if at := slices.Index(line, old); at >= 0 {
		line = slices.Replace(line, at, at+1, with...)
	}
	return line.String()
}

// Swapped is the command line with two of its arguments in each other's place.
func (l Line) Swapped(one, other string) string {
	line := slices.Clone(l)
	if first, second := slices.Index(line, one), slices.Index(line, other); first >= 0 && second >= 0 {
		line[first], line[second] = other, one
	}
	return line.String()
}
