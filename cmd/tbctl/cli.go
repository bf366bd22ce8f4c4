package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/manual"
	"github.com/tbctl/tbctl/internal/settings"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
)

// cli is the whole grammar: global flags and one field a command. Only leaves
// have a Run.
type cli struct {
	Globals globals `embed:""`

	Install  installCmd  `cmd:"" group:"operator" help:"Install a release: fetch, verify, swap atomically, keep the old one."`
	Status   statusCmd   `cmd:"" group:"operator" help:"Show the installed binary, the replicas that run from it, and what will happen next."`
	Watch    watchCmd    `cmd:"" group:"operator" help:"Follow the installed binary and what each replica makes of it."`
	Rollback rollbackCmd `cmd:"" group:"operator" help:"Put the previous binary back."`
	History  historyCmd  `cmd:"" group:"operator" help:"Show what tbctl did on this host."`
	Releases releasesCmd `cmd:"" group:"operator" help:"List the releases that there are."`
	Download downloadCmd `cmd:"" group:"operator" help:"Fetch a release for hosts without internet."`
	Verify   verifyCmd   `cmd:"" group:"operator" help:"Check that a binary is whole, and whether it may replace another."`
	Inspect  inspectCmd  `cmd:"" group:"operator" help:"Show what a binary, a release archive or a data file says of itself."`

	Fleet fleetCmd `cmd:"" group:"fleet" help:"Show the hosts of one or many clusters, and bring a release to them."`
	Store storeCmd `cmd:"" group:"fleet" help:"Keep releases on this host, by their digest, and give them to others."`

	Pack    packCmd    `cmd:"" group:"developer" help:"Build a multiversion binary."`
	Extract extractCmd `cmd:"" group:"developer" help:"Take a release out of a binary."`
	Exec    execCmd    `cmd:"" group:"developer" help:"Run a release out of a binary."`

	Demo       demoCmd       `cmd:"" group:"learn" help:"See the main job done, with stand-ins for replicas, in a temporary directory."`
	Config     configCmd     `cmd:"" more:"" group:"learn" help:"Show each setting and where it comes from."`
	Completion completionCmd `cmd:"" group:"learn" help:"Print the script that completes tbctl on TAB in a shell."`
	Man        manCmd        `cmd:"" group:"learn" help:"Print the manual, or write its pages."`
	Version    versionCmd    `cmd:"" group:"learn" help:"Show the version of tbctl."`

	Host hostCmd `cmd:"" hidden:"" group:"fleet" help:"Answer another tbctl, on standard input and output."`
}

const description = "Puts TigerBeetle's multiversion binaries on servers safely."

// groups are the headings of the help text.
var groups = []kong.Group{
	{Key: "operator", Title: "Commands for operators:"},
	{Key: "fleet", Title: "Commands for fleets:"},
	{Key: "developer", Title: "Commands for developers:"},
	{Key: "learn", Title: "Commands to get started:"},
	{Key: "source", Title: "Where the file comes from:"},
	{Key: "cluster", Title: "What is known of the cluster:"},
	{Key: "output", Title: "Flags of every command:"},
}

// errHelpShown is returned when --help or --help-all has printed what was asked for.
var errHelpShown = errors.New("help shown")

// newParser makes the parser of the whole grammar. Help goes to out, and nothing
// here ends the process.
func newParser(grammar *cli, from *config.Config, out io.Writer, width int) (*kong.Kong, error) {
	return kong.New(grammar, parserOptions(from, out, width)...)
}

// newCommandParser makes a parser for a line that begins with this word. When that is a
// command, the parser knows no other: what takes time is to make the model, and most
// of it is of commands that are not asked for.
func newCommandParser(word string, from *config.Config, out io.Writer, width int) (*kong.Kong, *globals, error) {
	field, found := reflect.TypeFor[cli]().FieldByNameFunc(func(name string) bool { return strings.ToLower(name) == word })
	if _, command := field.Tag.Lookup("cmd"); !found || !command {
		var grammar cli
		parser, err := newParser(&grammar, from, out, width)
		return parser, &grammar.Globals, err
	}
	var grammar struct {
		Globals globals `embed:""`
	}
	command := reflect.New(field.Type).Interface()
	options := append(parserOptions(from, out, width),
		kong.DynamicCommand(word, field.Tag.Get("help"), field.Tag.Get("group"), command, string(field.Tag)))
	parser, err := kong.New(&grammar, options...)
	return parser, &grammar.Globals, err
}

func parserOptions(from *config.Config, out io.Writer, width int) []kong.Option {
	help := kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: width}
	return append(cmdline.Mappers(),
		kong.Name("tbctl"),
		kong.Description(description),
		kong.ExplicitGroups(groups),
		kong.Writers(out, out),
		kong.Exit(func(int) { panic(errHelpShown) }),
		kong.ConfigureHelp(help),
		kong.Bind(help),
		kong.Help(manual.Short),
		kong.Vars{
			"state_dir": "/var/lib/tbctl for root", "target": install.TargetDefault, "store": "/var/lib/tbctl/store for root", "idle_timeout": release.IdleTimeoutDefault.String(),
			"hurry_rate": fmt.Sprintf("%d KiB", release.HurryRate>>10), "hurry_after": fmt.Sprintf("%.0f minutes", release.HurryAfter.Minutes()),
		},
		kong.Resolvers(cmdline.Configured(from)),
	)
}

// dispatch parses the arguments and runs the command.
func (a *app) dispatch(args []string) (err error) {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if args[0] == "help" {
		args = append(slices.Clone(args[1:]), "--help")
	}
	if cmdline.VersionAsked(args) {
		a.command = "version"
		return (&versionCmd{}).Run(a)
	}
	if args[0] == completions.Command {
		return a.complete(args[1:])
	}
	if err := config.DropEmpty(); err != nil {
		return err
	}
	loaded, configErr := settings.Load(a.getenv)
	a.config = loaded
	parser, given, err := newCommandParser(args[0], a.config, a.out, a.out.Width())
	if err != nil {
		return fmt.Errorf("grammar: %w", err)
	}
	own, program := cmdline.Own(parser.Model.Node, args)
	a.global.JSON = cmdline.HasFlag(own, "--json")
	if err := cmdline.CheckArguments(own); err != nil {
		return err
	}
	if a.command, err = cmdline.CheckValues(parser, own); err != nil {
		return err
	}
	if a.command, err = cmdline.CheckTwice(parser, own); err != nil {
		return err
	}
	defer func() {
		// Kong's --help hook wants to end the process; this is how it ends the parse.
		if shown := recover(); shown != nil {
			if shown != errHelpShown { //nolint:errorlint // the panic's own value
				panic(shown)
			}
			a.global.JSON, err = false, nil
			if a.out.Err() != nil {
				err = a.lostResult(a.out.Err())
			}
		}
	}()
	parsed, err := parser.Parse(append(own, program...))
	if a.out.Err() != nil {
		return a.lostResult(a.out.Err()) // of the help text
	}
	if err != nil {
		a.command = cmdline.CommandOf(err)
		return cmdline.Explain(a.line, err)
	}
	if a.global != *given {
		a.global = *given
		a.openStreams() // the configuration may have a word on colour
	}
	a.command = strings.TrimPrefix(parsed.Selected().FullPath(), "tbctl ")
	if a.command != "version" { // help and the version are there for who mends the settings
		if err := settings.CheckEnvironment(a.getenv); err != nil {
			return err
		}
		if configErr != nil {
			return configErr
		}
	}
	interrupt.Set(a.ctx, a.grace())
	a.prepare(parsed)
	if err := cmdline.CheckTarget(parsed, a.command, a.line); err != nil {
		return err
	}
	for _, skipped := range loaded.Skipped {
		a.warn("the configuration %s is not read: %v; to use it as root, name it: %s=%s", skipped.Path, skipped.Err, config.Variable, shell.File(skipped.Path))
	}
	if err := cmdline.CheckVariables(reflect.TypeFor[cli]()); err != nil && a.command != "version" {
		return err
	}
	return parsed.Run(a)
}

// prepare keeps what the command line is about, and what the configuration command and the progress need.
func (a *app) prepare(parsed *kong.Context) {
	for _, argument := range parsed.Selected().Positional {
		name, ok := argument.Target.Interface().(string)
		switch {
		case ok && argument.Name == "file":
			a.about.File = name
		case ok && argument.Name == "target":
			a.about.Target = a.target(name)
		}
	}
	for _, flag := range parsed.Flags() {
		if flag.Name == "output" {
			a.about.Target = fmt.Sprint(flag.Target.Interface())
		}
	}
	a.progress = term.NewProgress(a.err, a.global.Quiet || a.global.JSON)
	for _, flags := range parsed.Selected().AllFlags(false) {
		a.flags = append(a.flags, flags...)
	}
	a.onCommandLine = make(map[string]bool)
	for _, element := range parsed.Path {
		if element.Flag != nil && !element.Resolved {
			a.onCommandLine[element.Flag.Name] = true
		}
	}
}
