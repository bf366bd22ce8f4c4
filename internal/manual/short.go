package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// tagMore marks a flag that few need, or a command with such flags alone: the short help is without them.
const tagMore = "more"

// Short prints the help that --help shows, in the order in which it is used: how the command is written, what it does and examples,
// its arguments, and the flags that people need. What it leaves out, it names the command for. The model is changed: it is for nothing
// else then.
func Short(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
	}
	node.Detail = firstOf(node.Detail)
	left := false
	for at := node; at != nil; at = at.Parent {
		for _, flag := range at.Flags {
			if flag.Hidden {
				continue
			}
			flag.Hidden = at != node && at.Parent == nil || flag.Tag.Has(tagMore) || at.Tag != nil && at.Tag.Has(tagMore)
			left = left || flag.Hidden
		}
	}
	if err := All(options, ctx); err != nil || !left {
		return err
	}
	_, err := fmt.Fprintf(ctx.Stdout, "\nEvery flag, and what else is to be known:\n  %s --help-all\n", node.FullPath())
	return err
}

// All prints the whole help.
func All(options kong.HelpOptions, ctx *kong.Context) error {
	options.FlagsLast, options.ValueFormatter = true, kong.DefaultHelpValueFormatter
	if 0 < options.WrapUpperBound && options.WrapUpperBound < narrow {
		ownLines(ctx)
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// narrow is the width below which the text of a flag is below its name and not beside it.
const narrow = 60

// ownLines makes the name of each flag longer than kong's column for it, by blanks that it leaves out again: then it has a line of its own.
func ownLines(ctx *kong.Context) {
	const column = 30
	blanks := strings.Repeat(" ", column)
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
	}
	for at := node; at != nil; at = at.Parent {
		for _, flag := range at.Flags {
			if flag.IsBool() || flag.IsCounter() {
				flag.Name += blanks
				continue
			}
			flag.PlaceHolder = flag.FormatPlaceHolder() + blanks
			flag.Tag.Sep = -1 // its dots are there
		}
	}
}

// AllFlag is the flag --help-all. The parser must have its HelpOptions bound.
type AllFlag bool

// IgnoreDefault keeps the flag from being asked when it is not given.
func (AllFlag) IgnoreDefault() {}

// BeforeReset prints the whole help and ends the parse, whatever else was asked for.
func (AllFlag) BeforeReset(ctx *kong.Context, options kong.HelpOptions) error {
	if err := All(options, ctx); err != nil {
		return err
	}
	ctx.Kong.Exit(0)
	return nil
}

// firstOf is the first paragraph of a long help, and the examples.
func firstOf(detail string) string {
	detail, _, _ = strings.Cut(detail, "\nExit codes:")
	text, examples, found := strings.Cut(detail, "\nExample")
	text, _, _ = strings.Cut(text, "\n\n")
	if found {
		text += "\n\nExample" + examples
	}
	return text
}
