package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/multiversion"
)

type execCmd struct {
	File     string               `arg:"" help:"A multiversion binary."`
	Args     []string             `arg:"" optional:"" passthrough:"" help:"Arguments of the release, after --."`
	Release  multiversion.Release `placeholder:"RELEASE" xor:"which" help:"The release to run; otherwise the current one."`
	DataFile string               `placeholder:"FILE" type:"path" xor:"which" help:"Run the release that this data file was last checkpointed with."`
}

// Help is the long help text.
func (c *execCmd) Help() string {
	return `Runs a release out of a multiversion binary as a replica does it: copied into
memory, verified there, and executed in the place of tbctl, with the path of FILE as
its own name. Its exit code is tbctl's. What follows the first argument after FILE, or
--, is the program's.

Examples:

  tbctl exec --release 0.17.7 /usr/local/bin/tigerbeetle -- version
  tbctl exec --data-file 0_0.tigerbeetle tigerbeetle -- start --addresses=3000 0_0.tigerbeetle
` + exitHelp(exitRejected, "the file is damaged, or does not hold the release")
}

// ownArguments parts the arguments of "tbctl exec" at the first that is the program's: the
// one after FILE that is not a flag of tbctl, or what follows --. All of another command's
// are its own.
func ownArguments(model *kong.Node, args []string) (own, program []string) {
	if args[0] != "exec" {
		return args, nil
	}
	takes := flagsOf(model, "exec")
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

// flagsOf are a command's flags as they are typed, and whether each takes a value.
func flagsOf(model *kong.Node, command string) map[string]bool {
	takes := make(map[string]bool)
	for _, node := range model.Children {
		if node.Name != command {
			continue
		}
		for _, group := range node.AllFlags(false) {
			for _, flag := range group {
				takes["--"+flag.Name] = !flag.IsBool()
				if flag.Short != 0 {
					takes["-"+string(flag.Short)] = !flag.IsBool()
				}
			}
		}
	}
	return takes
}

// Run replaces this process.
func (c *execCmd) Run(a *app) error {
	file, err := input.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	if zip, err := file.IsZip(); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	} else if zip {
		return rejected("take it out first: tbctl download {file} -o tigerbeetle", fmt.Errorf("%s: a zip archive: a program runs from its own file", c.File))
	}
	binary, err := multiversion.Parse(file, file.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	path, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	which := c.Release
	if c.DataFile != "" {
		superblock, err := datafile.ReadFile(a.ctx, c.DataFile)
		if err != nil {
			return &host.DataFileError{Name: c.DataFile, Err: err}
		}
		which = superblock.Release
	}
	if which == 0 {
		which = binary.Current()
	}
	args := c.Args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	code, err := extract.Exec(a.ctx, binary, which, extract.Command{Path: path, Args: args})
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if code != 0 {
		return &childError{code: code}
	}
	return nil
}

// childError carries the exit code of a program that ran as a child. It has
// nothing to say: the program has said it.
type childError struct{ code int }

func (e *childError) Error() string { return "" }
