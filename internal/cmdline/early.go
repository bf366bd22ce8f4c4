package cmdline

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/term"
)

// Command is the command that the arguments name.
func Command(args []string) string {
	var words []string
	for _, arg := range args[:min(len(args), 2)] {
		if strings.HasPrefix(arg, "-") || len(words) == 1 && words[0] != "fleet" && words[0] != "store" {
			break
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// HasFlag looks for a flag before the arguments are parsed, so that a usage
// error is printed in the form that was asked for.
func HasFlag(args []string, flag string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		if arg == flag || arg == flag+"=true" {
			return true
		}
	}
	return false
}

// Color is what --color says, before the arguments are parsed.
func Color(args []string) term.Color {
	for index, arg := range args {
		value, ok := strings.CutPrefix(arg, "--color=")
		if !ok && arg == "--color" && index+1 < len(args) {
			value, ok = args[index+1], true
		}
		if ok && (value == string(term.ColorAlways) || value == string(term.ColorNever)) {
			return term.Color(value)
		}
	}
	return term.ColorAuto
}

// VersionAsked reports whether the arguments ask for the version and nothing else.
func VersionAsked(args []string) bool {
	for _, arg := range args {
		if arg != "--version" && arg != "--json" {
			return false
		}
	}
	return slices.Contains(args, "--version")
}

// Own parts the arguments of "tbctl exec" at the first that is the program's: the
// one after FILE that is not a flag of tbctl, or what follows --. All of another command's
// are its own.
func Own(model *kong.Node, args []string) (own, program []string) {
	if args[0] != "exec" {
		return args, nil
	}
	takes := flagsOf(commandOf(model, args[:1]))
	file := false
	for index := 1; index < len(args); index++ {
		arg := args[index]
		name, _, joined := strings.Cut(arg, "=")
		value, known := takes[name]
		switch {
		case arg == "--":
			return args[:index:index], args[index:]
		case known && value && !joined:
			index++ // its value
		case known, !file && strings.HasPrefix(arg, "-"):
		case file:
			return args[:index:index], append([]string{"--"}, args[index:]...)
		default:
			file = true
		}
	}
	return args, nil
}

// commandOf is the command that the arguments begin with, the model itself if they begin with none.
func commandOf(model *kong.Node, args []string) *kong.Node {
	for _, arg := range args {
		at := slices.IndexFunc(model.Children, func(child *kong.Node) bool { return child.Name == arg })
		if at < 0 {
			break
		}
		model = model.Children[at]
	}
	return model
}

// nameOf is the whole name of a command, such as "fleet status".
func nameOf(node *kong.Node) string { return strings.TrimPrefix(node.FullPath(), "tbctl ") }

// flagsOf are a command's flags as they are typed, and whether each takes a value.
func flagsOf(node *kong.Node) map[string]bool {
	takes := make(map[string]bool)
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			takes["--"+flag.Name] = !flag.IsBool()
			if flag.Short != 0 {
				takes["-"+string(flag.Short)] = !flag.IsBool()
			}
		}
	}
	return takes
}
