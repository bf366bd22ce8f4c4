package cmdline

import (
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/shell"
)

// CheckArguments refuses an empty argument: most likely it is a variable without
// a value, and the default target is not what was meant. So it does with a name that cannot
// be kept, and one that no shell has expanded.
func CheckArguments(args []string) error {
	flags := true
	for _, arg := range args {
		if err := errors.Join(CheckUTF8("an argument", arg), checkTilde(arg)); err != nil {
			return err
		}
		switch {
		case arg == "--":
			flags = false
		case arg == "":
			return hints.Usage("a variable without a value?", "an argument is empty")
		case flags && arg == "-v":
			return hints.Usage("tbctl --version", "unknown flag -v")
		case flags && strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, "=") && strings.Count(arg, "=") == 1:
			return hints.Usage("a variable without a value?", "the value of %s is empty", strings.TrimSuffix(arg, "="))
		}
	}
	return nil
}

// CheckUTF8 refuses a text that cannot be written down as it is.
func CheckUTF8(what, text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	return hints.Usage(hints.UTF8, "%s is not UTF-8: %s", what, shell.Word(text))
}

// isTilde reports whether a path begins as one that a shell would have expanded.
func isTilde(path string) bool {
	home, _, more := strings.Cut(path, "/")
	return strings.HasPrefix(home, "~") && (more || home == "~")
}

// checkTilde refuses an argument that no shell has expanded: it would name a directory
// called "~" below the current one.
func checkTilde(arg string) error {
	flag, value, ofFlag := strings.Cut(arg, "=")
	if ofFlag = ofFlag && strings.HasPrefix(flag, "--"); !ofFlag {
		value = arg
	}
	switch {
	case !isTilde(value):
		return nil
	case ofFlag:
		return hints.Usage(flag+" "+value+" (a shell expands ~ at the beginning of a word), or the path from /", "%s: ~ is not a directory's name", arg)
	}
	return hints.Usage("without quotes the shell expands it: "+value+"; a file below a directory of that name is written ./"+value, "%s: ~ is not a directory's name", arg)
}

// CheckValues refuses a flag of which the value is missing: nothing follows, or another flag. With an error it says which
// command that is of.
func CheckValues(parser *kong.Kong, args []string) (command string, err error) {
	node := commandOf(parser.Model.Node, args)
	if node == parser.Model.Node {
		return "", nil
	}
	takes := flagsOf(node)
	for index, flag := range args {
		if flag == "--" {
			break
		}
		next := "--"
		if index+1 < len(args) {
			next = args[index+1]
		}
		if !takes[flag] || next == "-" || !strings.HasPrefix(next, "-") {
			continue
		}
		hint := flag + " " + placeholderOf(node, flag)
		if _, known := takes[next]; !known && next != "--" {
			hint += "; a value that begins with - is written " + longOf(node, flag) + "=" + shell.Word(next)
		}
		return nameOf(node), hints.Usage(hint, "%s: its value is missing", flag)
	}
	return "", nil
}

// CheckTwice refuses a flag that is given twice with different values, where only one of them counts: the other may be a safeguard. With
// an error it says which command that is of.
func CheckTwice(parser *kong.Kong, args []string) (command string, err error) {
	node := commandOf(parser.Model.Node, args)
	if node == parser.Model.Node {
		return "", nil
	}
	single := make(map[string]*kong.Flag)
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if flag.IsCumulative() || flag.IsCounter() {
				continue
			}
			single["--"+flag.Name] = flag
			if flag.Short != 0 {
				single["-"+string(flag.Short)] = flag
			}
		}
	}
	takes, said := flagsOf(node), make(map[*kong.Flag]string)
	for index := 0; index < len(args) && args[index] != "--"; index++ {
		name, value, joined := strings.Cut(args[index], "=")
		if strings.HasPrefix(name, "-") && !strings.HasPrefix(name, "--") && len(name) > 2 && takes[name[:2]] {
			name, value, joined = name[:2], strings.TrimPrefix(args[index][2:], "="), true
		}
		switch {
		case joined:
		case takes[name] && index+1 < len(args):
			index++
			value = args[index]
		default:
			value = "true"
		}
		flag := single[name]
		if flag == nil {
			continue
		}
		if before, again := said[flag]; again && before != value {
			return nameOf(node), hints.Usage("say it once", "--%s is given twice, as %s and as %s: which one counts?", flag.Name, shell.Word(before), shell.Word(value))
		}
		said[flag] = value
	}
	return "", nil
}

// CheckVariables refuses variables that are not in the grammar, a struct, and are named like tbctl's settings: one
// may be a misspelt safeguard.
func CheckVariables(grammar reflect.Type) error {
	names := config.Variables()
	if len(names) == 0 {
		return nil
	}
	known := Variables(grammar)
	for _, name := range names {
		if name != config.Variable && name != config.TokenVariable && !known[name] {
			return hints.Usage("unset "+name+", or see its right name: tbctl install --help-all", "the environment's %s is no setting of tbctl", name)
		}
	}
	return nil
}

// Variables are the variables that set something in a grammar, a struct.
func Variables(grammar reflect.Type) map[string]bool {
	known := make(map[string]bool)
	addVariables(known, grammar)
	return known
}

// addVariables adds the variables that set something in a part of the grammar.
func addVariables(known map[string]bool, part reflect.Type) {
	for index := range part.NumField() {
		field := part.Field(index)
		if names := field.Tag.Get("env"); names != "" {
			for name := range strings.SplitSeq(names, ",") {
				known[name] = true
			}
		}
		_, command := field.Tag.Lookup("cmd")
		_, embedded := field.Tag.Lookup("embed")
		if command || embedded {
			addVariables(known, field.Type)
		}
	}
}
