package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// usage makes an error about the command line.
func usage(hint, format string, args ...any) error {
	return &commandError{code: exitUsage, hint: hint, err: fmt.Errorf(format, args...)}
}

// checkArguments refuses an empty argument: most likely it is a variable without
// a value, and the default target is not what was meant.
func checkArguments(args []string) error {
	flags := true
	for _, arg := range args {
		switch {
		case arg == "--":
			if args[0] == "exec" { // the rest is the program's
				return nil
			}
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
func usageError(err error) error {
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
	flag, rest, ofFlag := strings.Cut(text, ": ")
	ofFlag = ofFlag && strings.HasPrefix(flag, "-")
	switch {
	case ofFlag && strings.Contains(rest, `"EOL"`):
		return usage(flag+" "+placeholderOf(node, flag), "%s: its value is missing", flag)
	case ofFlag && strings.HasPrefix(rest, "expected duration"):
		return usage("a number with its unit: "+flag+" 30s, 5m or 1h30m", "%s: %s", flag, rest)
	case strings.HasPrefix(text, "unknown flag -v") && !strings.HasPrefix(text, "unknown flag --"):
		return usage("tbctl --version", "unknown flag -v")
	case strings.HasPrefix(text, "missing flags") && node != nil:
		return usage("for example: "+exampleOf(node, hint), "%w", err)
	case strings.HasPrefix(text, `expected "<`) && node != nil:
		missing, _, _ := strings.Cut(strings.TrimPrefix(text, `expected "<`), ">")
		return usage("for example: "+exampleOf(node, hint), "%s is missing: tbctl %s", strings.ToUpper(missing), node.Summary())
	}
	return usage(hint, "%w", err)
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
