// Package manual makes help from the kong model of a program: what --help shows, in the order of its use ([Short]), what --help-all
// does ([All]), and manual pages, one for the program and one for each of its commands, in roff with the macros of man(7).
//
// Nothing is written twice: a page takes its options from the grammar and its text
// from the long help of the command, in which the blocks "Examples:" and "Exit
// codes:" become sections of their own. What the grammar does not tell is in [Facts].
// The same model and facts give the same bytes, on any host and at any time.
package manual

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// Facts are what a page says beside the grammar.
type Facts struct {
	Version string    // of the program, or ""
	Date    time.Time // of the pages' contents; the zero time leaves it out

	Description string  // of the program: paragraphs with empty lines between them
	Exit        []Entry // exit codes of the program; a command's stand in its help
	Environment []Entry // variables that no flag names
	Files       []Entry
	Examples    string // of the program, a line each
}

// Entry is a line of a list.
type Entry struct{ Name, Text string }

// Page is one manual page.
type Page struct {
	Name string `json:"name"`           // such as "tbctl-install.1"
	Path string `json:"path,omitempty"` // of the file that it was written to
	Roff string `json:"roff,omitempty"`
}

// Section is the manual's section of all pages.
const section = "1"

// Pages returns all pages: the program's first, and those of its commands that
// are not hidden, in their order, each before those of its own commands.
func Pages(app *kong.Application, facts Facts) []Page {
	pages := []Page{Program(app, facts)}
	for _, command := range below(app.Node) {
		pages = append(pages, Command(app, command, facts))
	}
	return pages
}

// visible are the commands of a node that are not hidden.
func visible(node *kong.Node) []*kong.Node {
	return slices.DeleteFunc(slices.Clone(node.Children), func(node *kong.Node) bool {
		return node.Type != kong.CommandNode || node.Hidden
	})
}

// below are those and all of theirs.
func below(node *kong.Node) []*kong.Node {
	var nodes []*kong.Node
	for _, command := range visible(node) {
		nodes = append(append(nodes, command), below(command)...)
	}
	return nodes
}

// PageName is the name of the page of a command, by the words that are typed; without any, the program's.
func PageName(words ...string) string {
	return strings.Join(words, "-") + "." + section
}

// nameOf is the name of a command's page without the section, such as tbctl-fleet-plan.
func nameOf(command *kong.Node) string { return strings.ReplaceAll(command.FullPath(), " ", "-") }

// Program returns the page of the program itself.
func Program(app *kong.Application, facts Facts) Page {
	page := newPage(app, app.Name, facts)
	page.section("NAME")
	page.line(words(app.Name) + ` \- ` + words(trimStop(app.Help)))
	page.section("SYNOPSIS")
	page.line(bold(app.Name) + ` ` + italic("COMMAND") + ` [` + italic("FLAG") + `]... [` + italic("ARGUMENT") + `]...`)
	page.section("DESCRIPTION")
	page.text(facts.Description)
	page.section("COMMANDS")
	title := ""
	for _, command := range visible(app.Node) {
		if group := groupTitle(command); group != title {
			title = group
			page.subsection(title)
		}
		page.item(bold(nameOf(command))+"("+section+")", command.Help)
	}
	page.options(app.Node)
	page.list("EXIT STATUS", facts.Exit)
	page.list("ENVIRONMENT", slices.Concat(variables(app), facts.Environment))
	page.list("FILES", facts.Files)
	if facts.Examples != "" {
		page.section("EXAMPLES")
		page.literal(strings.Split(strings.TrimSpace(facts.Examples), "\n"))
	}
	page.seeAlso(app, nil)
	return Page{Name: app.Name + "." + section, Roff: page.String()}
}

// Command returns the page of one of the program's commands, or of a command of one.
func Command(app *kong.Application, command *kong.Node, facts Facts) Page {
	name := nameOf(command)
	page := newPage(app, name, facts)
	page.section("NAME")
	page.line(words(name) + ` \- ` + words(trimStop(command.Help)))
	page.section("SYNOPSIS")
	page.line(synopsis(command))
	help := splitHelp(command.Detail)
	page.section("DESCRIPTION")
	if len(help.description) == 0 {
		page.text(command.Help)
	}
	page.blocks(help.description)
	if children := visible(command); len(children) > 0 {
		page.section("COMMANDS")
		for _, child := range children {
			page.item(bold(nameOf(child))+"("+section+")", child.Help)
		}
	}
	page.options(command)
	page.list("EXIT STATUS", help.exit)
	page.list("ENVIRONMENT", slices.Concat(variablesOf(command), variablesOf(app.Node), facts.Environment))
	page.list("FILES", facts.Files)
	if len(help.examples) > 0 {
		page.section("EXAMPLES")
		page.blocks(help.examples)
	}
	page.seeAlso(app, command)
	return Page{Name: name + "." + section, Roff: page.String()}
}

// synopsis is how the command is written: its required flags, and its arguments.
func synopsis(command *kong.Node) string {
	parts := []string{bold(command.FullPath())}
	if len(visible(command)) > 0 {
		parts = append(parts, italic("COMMAND"))
	}
	parts = append(parts, `[`+italic("FLAG")+`]...`)
	for _, flag := range command.Flags {
		if flag.Required && !flag.Hidden {
			parts = append(parts, flagForm(flag))
		}
	}
	for _, argument := range command.Positional {
		form := italic(argumentName(argument))
		if !argument.Required {
			form = "[" + form + "]"
		}
		if argument.IsCumulative() {
			form += "..."
		}
		if argument.PassthroughMode != kong.PassThroughModeNone {
			form = `[\-\- ` + form + "]"
		}
		parts = append(parts, form)
	}
	return strings.Join(parts, " ")
}

// argumentName is the name of a positional argument as the text writes it; files
// becomes FILE, since dots tell that there may be several.
func argumentName(argument *kong.Positional) string {
	name := strings.ToUpper(argument.Name)
	if argument.IsCumulative() {
		name = strings.TrimSuffix(name, "S")
	}
	return name
}

// options prints the arguments and flags of a node; those of a command are
// followed by the program's.
func (p *page) options(node *kong.Node) {
	p.section("OPTIONS")
	if len(node.Positional) > 0 {
		p.subsection("Arguments")
	}
	for _, argument := range node.Positional {
		p.item(italic(argumentName(argument)), valueHelp(argument))
	}
	groups := flagGroups(node)
	for _, group := range groups {
		if len(groups) > 1 || len(node.Positional) > 0 {
			p.subsection(group.title)
		}
		for _, flag := range group.flags {
			p.item(flagForm(flag), valueHelp(flag.Value))
		}
	}
}

// flagGroup are the flags under one heading.
type flagGroup struct {
	title string
	flags []*kong.Flag
}

// flagGroups are the visible flags by their groups: the command's own ones
// without a group, each group of its own, and last the program's.
func flagGroups(node *kong.Node) []flagGroup {
	var groups []flagGroup
	for at := node; at != nil; at = at.Parent {
		for _, flag := range at.Flags {
			title := "Flags of every command"
			switch {
			case flag.Hidden:
				continue
			case at.Parent == nil:
			case flag.Group != nil:
				title = trimColon(flag.Group.Title)
			default:
				title = "Flags"
			}
			groups = addToGroup(groups, title, flag)
		}
	}
	return groups
}

func addToGroup(groups []flagGroup, title string, flag *kong.Flag) []flagGroup {
	for index := range groups {
		if groups[index].title == title {
			groups[index].flags = append(groups[index].flags, flag)
			return groups
		}
	}
	return append(groups, flagGroup{title: title, flags: []*kong.Flag{flag}})
}

// flagForm is a flag as it is given: -n, --name=PLACEHOLDER.
func flagForm(flag *kong.Flag) string {
	form := ""
	if flag.Short != 0 {
		form = bold("-"+string(flag.Short)) + ", "
	}
	name := "--" + flag.Name
	if flag.Tag.Negatable == "_" {
		name = "--[no-]" + flag.Name
	}
	form += bold(name)
	if flag.IsBool() || flag.IsCounter() {
		return form
	}
	placeholder := flag.PlaceHolder
	if placeholder == "" {
		placeholder = strings.ToUpper(flag.Name)
	}
	return form + "=" + italic(placeholder)
}

// valueHelp is the help of a flag or argument with its default and its variable.
func valueHelp(value *kong.Value) string {
	help := value.Help
	if value.HasDefault && value.Default != "" && !value.IsBool() {
		help += " The default is " + value.Default + "."
	}
	for _, variable := range value.Tag.Envs {
		help += " The environment variable " + variable + " sets it too."
	}
	return help
}

// variablesOf are the environment variables that flags and arguments of a node name.
func variablesOf(node *kong.Node) []Entry {
	var entries []Entry
	for _, flag := range node.Flags {
		for _, variable := range flag.Tag.Envs {
			if !flag.Hidden {
				entries = append(entries, Entry{variable, "Like --" + flag.Name + "."})
			}
		}
	}
	for _, argument := range node.Positional {
		for _, variable := range argument.Tag.Envs {
			entries = append(entries, Entry{variable, "Like the argument " + argumentName(argument) + "."})
		}
	}
	return entries
}

// variables are those of the program and all of its commands, each once.
func variables(app *kong.Application) []Entry {
	all := variablesOf(app.Node)
	for _, command := range below(app.Node) {
		all = append(all, variablesOf(command)...)
	}
	seen := make(map[string]bool)
	all = slices.DeleteFunc(all, func(entry Entry) bool {
		again := seen[entry.Name]
		seen[entry.Name] = true
		return again
	})
	slices.SortStableFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// seeAlso names the other pages: the program's, and those of the command's group; of a command's command, its own and the others
// of that one; on the program's page, all.
func (p *page) seeAlso(app *kong.Application, command *kong.Node) {
	var names []string
	others := visible(app.Node)
	if command != nil {
		names = append(names, app.Name)
		if command.Parent.Parent != nil {
			names, others = append(names, nameOf(command.Parent)), visible(command.Parent)
		}
	}
	for _, other := range others {
		if other != command && (command == nil || groupTitle(other) == groupTitle(command)) {
			names = append(names, nameOf(other))
		}
	}
	if len(names) == 0 {
		return
	}
	p.section("SEE ALSO")
	for index, name := range names {
		comma := ","
		if index == len(names)-1 {
			comma = ""
		}
		p.line(`\%` + bold(name) + "(" + section + ")" + comma) // \% keeps the name in one line
	}
}

// groupTitle is the heading of a command's group, or "".
func groupTitle(command *kong.Node) string {
	group := command.ClosestGroup()
	if group == nil {
		return ""
	}
	return trimColon(group.Title)
}

func trimStop(text string) string  { return strings.TrimSuffix(strings.TrimSpace(text), ".") }
func trimColon(text string) string { return strings.TrimSuffix(strings.TrimSpace(text), ":") }

// Written are pages that were written to files: their names and paths.
type Written struct {
	Pages []Page `json:"pages"`
}

// Write writes pages into a directory, each in one step.
func Write(dir string, pages []Page) (*Written, error) {
	if err := durable.MkdirAll(vfs.OS(), dir, 0o755); err != nil {
		return nil, fmt.Errorf("manual pages: %w", err)
	}
	written := &Written{}
	for _, page := range pages {
		name := filepath.Join(dir, page.Name)
		err := durable.WriteFile(vfs.OS(), name, 0o644, true, func(w io.Writer) error {
			_, err := io.WriteString(w, page.Roff)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("manual page %s: %w", page.Name, err)
		}
		written.Pages = append(written.Pages, Page{Name: page.Name, Path: name})
	}
	return written, nil
}

// Date is the date of the pages, the same for the same sources: the seconds since 1970 that are said, or the time of the commit; the
// zero time where neither is known.
func Date(seconds, commit string) (time.Time, error) {
	if seconds != "" {
		said, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil || said < 0 {
			return time.Time{}, fmt.Errorf("%q is not a time", seconds)
		}
		return time.Unix(said, 0), nil
	}
	date, err := time.Parse(time.RFC3339, commit)
	if err != nil {
		return time.Time{}, nil // a build without a commit has no date
	}
	return date, nil
}
