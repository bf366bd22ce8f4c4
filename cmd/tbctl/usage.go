package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/install"
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
		case flags && strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, "=") && strings.Count(arg, "=") == 1:
			return usage("a variable without a value?", "the value of %s is empty", strings.TrimSuffix(arg, "="))
		}
	}
	return nil
}

// usageError says what is wrong with a command line in an operator's words, and what to
// type instead.
func usageError(a *app, err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	text := parse.Error()
	var node *kong.Node
	if parse.Context != nil {
		node = parse.Context.Selected()
	}
	hint := "tbctl --help"
	if node != nil {
		hint = "tbctl " + node.Name + " --help"
	}
	if word, ok := strings.CutPrefix(text, "unexpected argument "); ok && node == nil {
		word, _, _ = strings.Cut(word, ",")
		if found := unknownCommand(word, a.line); found != nil {
			return found
		}
	}
	flag, rest, ofFlag := strings.Cut(text, ": ")
	ofFlag = ofFlag && strings.HasPrefix(flag, "-")
	switch {
	case ofFlag && (strings.Contains(rest, `"EOL"`) || strings.HasPrefix(rest, "missing value")):
		return usage(flag+" "+placeholderOf(node, flag), "%s: its value is missing", flag)
	case ofFlag && strings.HasPrefix(rest, "expected duration"):
		return usage("a number with its unit: "+flag+" 30s, 5m or 1h30m", "%s: %s", flag, rest)
	case ofFlag && strings.Contains(rest, "not a release") && node != nil:
		return usage("such as "+flag+" 0.17.8", "%s: %s", flag, rest)
	case ofFlag && node != nil:
		return usage(flag+" "+placeholderOf(node, flag)+"; all of it: "+hint, "%s: %s", flag, rest)
	case strings.HasPrefix(text, "unknown flag -v") && !strings.HasPrefix(text, "unknown flag --"):
		return usage("tbctl --version", "unknown flag -v")
	case strings.HasPrefix(flag, "[<") && node != nil:
		return usage("for example: "+exampleOf(node, hint), "%s: %s", strings.ToUpper(strings.Trim(flag, "[<>]")), rest)
	case strings.HasPrefix(text, "missing flags") && node != nil:
		return usage("for example: "+exampleOf(node, hint), "%w", err)
	case strings.HasPrefix(text, `expected "<`) && node != nil:
		missing, _, _ := strings.Cut(strings.TrimPrefix(text, `expected "<`), ">")
		return usage("for example: "+exampleOf(node, hint), "%s is missing: tbctl %s", strings.ToUpper(missing), node.Summary())
	}
	return usage(hint, "%w", err)
}

// typed is a command line as a shell takes it, without what may be secret.
func typed(args []string) string {
	words := []string{"tbctl"}
	for _, arg := range args {
		words = append(words, shellQuote(release.Redact(arg)))
	}
	return strings.Join(words, " ")
}

// typedWith is the command line with further arguments.
func (a *app) typedWith(more ...string) string { return typed(slices.Concat(a.line, more)) }

// retyped is the command line with one argument replaced.
func (a *app) retyped(old string, with ...string) string {
	line := slices.Clone(a.line)
	if at := slices.Index(line, old); at >= 0 {
		line = slices.Replace(line, at, at+1, with...)
	}
	return typed(line)
}

// swapped is the command line with two of its arguments in each other's place.
func (a *app) swapped(one, other string) string {
	line := slices.Clone(a.line)
	if first, second := slices.Index(line, one), slices.Index(line, other); first >= 0 && second >= 0 {
		line[first], line[second] = other, one
	}
	return typed(line)
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
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		switch what, _, condition := strings.Cut(name, "="); {
		case (condition || what == watch.ConditionServing || what == watch.ConditionRunning) && a.command == "watch" && slices.Contains(watch.Conditions(), what):
			return usage(a.retyped(name, "--until", name), "%s is a condition, not a file", name)
		case isRelease(name):
			return usage("name the installed binary: "+a.retyped(name, install.TargetDefault), "%s is a release, not a file", name)
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
func unknownCommand(word string, line []string) error {
	if len(line) == 0 || line[0] != word {
		return nil
	}
	if command := synonymOf(word); command != "" {
		return usage(typed(append([]string{command}, line[1:]...)), "there is no command %s", word)
	}
	if isRelease(word) {
		return usage("tbctl install "+word, "%s is a release, not a command", word)
	}
	if word == "uninstall" || word == "remove" || word == "delete" {
		return usage("tbctl removes nothing that it installed; stop the replicas, then rm the file", "there is no command %s", word)
	}
	return nil
}

// placeholderOf is what the help text puts behind a flag.
func placeholderOf(node *kong.Node, name string) string {
	if node == nil {
		return "VALUE"
	}
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
