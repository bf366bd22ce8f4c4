package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

// checkArguments refuses an empty argument: most likely it is a variable without
// a value, and the default target is not what was meant. So it does with a name that cannot
// be kept, and one that no shell has expanded.
func checkArguments(args []string) error {
	flags := true
	for _, arg := range args {
		if err := errors.Join(checkUTF8("an argument", arg), checkTilde(arg)); err != nil {
			return err
		}
		switch {
		case arg == "--":
			flags = false
		case arg == "":
			return usage("a variable without a value?", "an argument is empty")
		case flags && arg == "-v":
			return usage("tbctl --version", "unknown flag -v")
		case flags && strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, "=") && strings.Count(arg, "=") == 1:
			return usage("a variable without a value?", "the value of %s is empty", strings.TrimSuffix(arg, "="))
		}
	}
	return nil
}

// checkValues refuses a flag of which the value is missing: nothing follows, or another flag.
func (a *app) checkValues(parser *kong.Kong, args []string) error {
	index := slices.IndexFunc(parser.Model.Children, func(node *kong.Node) bool { return node.Name == args[0] })
	if index < 0 {
		return nil
	}
	node := parser.Model.Children[index]
	takes := flagsOf(parser.Model.Node, node.Name)
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
		a.command = node.Name
		hint := flag + " " + placeholderOf(node, flag)
		if _, known := takes[next]; !known && next != "--" {
			hint += "; a value that begins with - is written " + flag + "=" + shell.Word(next)
		}
		return usage(hint, "%s: its value is missing", flag)
	}
	return nil
}

// usageError says what is wrong with a command line in an operator's words, and what to
// type instead.
func usageError(a *app, err error) error {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok {
		return err
	}
	if parse.Context == nil || parse.Context.Selected() == nil {
		return cmp.Or(unknownCommand(a.line), usage("tbctl --help", "%w", err))
	}
	node := parse.Context.Selected()
	hint := "tbctl " + node.Name + " --help"
	example := "for example: " + exampleOf(node, hint)
	if wrong, ok := errors.AsType[*argumentError](err); ok {
		return wrong.usage(node, hint, example)
	}
	if parse.Context.Error != nil { // not all of it was read
		return usage(hint, "%w", err)
	}
	if found := checkVariableValues(node); found != nil {
		return found
	}
	for _, argument := range node.Positional {
		if argument.Required && !argument.Set {
			return usage(example, "%s is missing: tbctl %s", strings.ToUpper(argument.Name), node.Summary())
		}
	}
	for _, flag := range node.Flags {
		if flag.Required && !flag.Set {
			return usage(example, "%w", err)
		}
	}
	return usage(hint, "%w", err)
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
				return usage("mend it, or unset "+variable, "the environment's %s: %w", variable, errors.Unwrap(err))
			}
		}
	}
	return nil
}

// argumentError is an argument, or the value of a flag, that is none of its kind.
type argumentError struct {
	of  *kong.Value
	err error
}

func (e *argumentError) Error() string { return e.err.Error() }
func (e *argumentError) Unwrap() error { return e.err }

// usage says which one, and what to type instead.
func (e *argumentError) usage(node *kong.Node, all, example string) error {
	name := strings.ToUpper(e.of.Name)
	if e.of.Flag == nil {
		return usage(example, "%s: %w", name, e.err)
	}
	name = "--" + e.of.Name
	hint := name + " " + placeholderOf(node, name) + "; all of it: " + all
	switch {
	case strings.HasSuffix(e.of.Target.Type().String(), reflect.TypeFor[time.Duration]().String()): // or a pointer to it
		hint = "a number with its unit: " + name + " 30s, 5m or 1h30m"
	case errors.Is(e.err, multiversion.ErrRelease):
		hint = "such as " + name + " 0.17.8"
	}
	return usage(hint, "%s: %w", name, e.err)
}

// checkTarget refuses a target that is named like a release, or like a condition: it was
// meant for something else. So it does with a relative one where there is no directory.
func (a *app) checkTarget(parsed *kong.Context) error {
	for _, element := range parsed.Path {
		if element.Positional == nil || element.Positional.Name != "target" {
			continue
		}
		name := fmt.Sprint(element.Positional.Target.Interface())
		if _, err := os.Getwd(); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(name) {
			return fmt.Errorf("%s: %w", name, vfs.ErrNoCurrent)
		}
		if a.command == "install" { // it looks at both of its arguments
			continue
		}
		if _, err := vfs.Lstat(name); err == nil {
			continue
		}
		switch what, _, condition := strings.Cut(name, "="); {
		case (condition || what == watch.ConditionServing || what == watch.ConditionRunning) && a.command == "watch" && slices.Contains(watch.Conditions(), what):
			return usage(a.line.Retyped(name, "--until", name), "%s is a condition, not a file", name)
		case release.IsTag(name):
			return usage("name the installed binary: "+a.line.Retyped(name, install.TargetDefault), "%s is a release, not a file", name)
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
	}
	return ""
}

// unknownCommand says what is probably meant.
func unknownCommand(line []string) error {
	if len(line) == 0 {
		return nil
	}
	word := line[0]
	if command := synonymOf(word); command != "" {
		return usage(append(hints.Line{command}, line[1:]...).String(), "there is no command %s", word)
	}
	if release.IsTag(word) {
		return usage("tbctl install "+word, "%s is a release, not a command", word)
	}
	if word == "uninstall" || word == "remove" || word == "delete" {
		return usage("tbctl removes nothing that it installed; stop the replicas, then rm the file", "there is no command %s", word)
	}
	return nil
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
