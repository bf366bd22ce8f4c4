// Package cmdline says what is wrong with a command line in an operator's words, and what to type instead: before kong parses it, what
// kong's errors mean, and after. It knows kong, and no command but by its name.
package cmdline

import (
	"cmp"
	"errors"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/release"
)

// Explain says what is wrong with a command line in an operator's words, and what to
// type instead.
func Explain(line hints.Line, err error) error {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok {
		return err
	}
	if parse.Context == nil || parse.Context.Selected() == nil {
		return cmp.Or(unknownCommand(line), hints.Usage("tbctl --help", "%w", err))
	}
	node := parse.Context.Selected()
	hint := "tbctl " + nameOf(node) + " --help-all"
	example := "for example: " + exampleOf(node, hint)
	if wrong, ok := errors.AsType[*argumentError](err); ok {
		return wrong.usage(node, hint, example)
	}
	if parse.Context.Error != nil { // not all of it was read
		return hints.Usage(hint, "%w", err)
	}
	if found := checkVariableValues(node); found != nil {
		return found
	}
	for _, argument := range node.Positional {
		if argument.Required && !argument.Set {
			return hints.Usage(example, "%s is missing: tbctl %s", strings.ToUpper(argument.Name), node.Summary())
		}
	}
	for _, flag := range node.Flags {
		if flag.Required && !flag.Set {
			return hints.Usage(example, "%w", err)
		}
	}
	return hints.Usage(hint, "%w", err)
}

// checkVariableValues finds the variable that sets a flag to what it cannot be.
func checkVariableValues(node *kong.Node) error {
	for _, flag := range node.Flags {
		for _, variable := range flag.Envs {
			value := os.Getenv(variable)
			if value == "" {
				continue
			}
			err := flag.Parse(kong.ScanAsType(kong.FlagValueToken, value), reflect.New(flag.Target.Type()).Elem())
			if err != nil {
				return hints.Usage("mend it, or unset "+variable, "the environment's %s: %w", variable, errors.Unwrap(err))
			}
		}
	}
	return nil
}

// synonymOf returns the command that other tools call by this word, or "".
func synonymOf(word string) string {
	switch word {
	case "upgrade", "update", "deploy":
		return "install"
	case "undo", "revert", "downgrade":
		return "rollback"
	case "get", "fetch":
		return "download"
	case "list", "ls":
		return "releases"
	case "log", "logs", "journal":
		return "history"
	case "check":
		return "verify"
	case "show", "info":
		return "inspect"
	case "follow", "wait":
		return "watch"
	case "build":
		return "pack"
	case "unpack":
		return "extract"
	case "run":
		return "exec"
	case "prune":
		return "store prune"
	case "import":
		return "store import"
	}
	return ""
}

// unknownCommand says what is probably meant.
func unknownCommand(line hints.Line) error {
	if len(line) == 0 {
		return nil
	}
	word := line[0]
	if command := synonymOf(word); command != "" {
		return hints.Usage(append(hints.Line(strings.Fields(command)), line[1:]...).String(), "there is no command %s", word)
	}
	if release.IsTag(word) {
		return hints.Usage("tbctl install "+word, "%s is a release, not a command", word)
	}
	if word == "uninstall" || word == "remove" || word == "delete" {
		return hints.Usage("tbctl removes nothing that it installed; stop the replicas, then rm the file", "there is no command %s", word)
	}
	return nil
}

// longOf is the whole name of a flag: after a short one no = is taken.
func longOf(node *kong.Node, name string) string {
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if flag.Short != 0 && "-"+string(flag.Short) == name {
				return "--" + flag.Name
			}
		}
	}
	return name
}

// placeholderOf is what the help text puts behind a flag.
func placeholderOf(node *kong.Node, name string) string {
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if "--"+flag.Name == name || flag.Short != 0 && "-"+string(flag.Short) == name {
				return flag.FormatPlaceHolder()
			}
		}
	}
	return "VALUE"
}

// exampleOf is the first example in a command's help text.
func exampleOf(node *kong.Node, otherwise string) string {
	_, examples, _ := strings.Cut(node.Detail, "Example")
	examples = strings.ReplaceAll(examples, "\\\n", " ") // a command over several lines
	for line := range strings.Lines(examples) {
		if example := strings.Join(strings.Fields(line), " "); strings.HasPrefix(example, "tbctl ") {
			return example
		}
	}
	return otherwise
}

// CommandOf returns the command that a usage error is about, or "".
func CommandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		return nameOf(parse.Context.Selected())
	}
	return ""
}
