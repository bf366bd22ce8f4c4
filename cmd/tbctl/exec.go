package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/inspect"
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

// parse is [multiversion.Parse], and says of what is no executable what it is.
func parse(file io.ReaderAt, size int64) (*multiversion.Binary, error) {
	binary, err := multiversion.Parse(file, size)
	if errors.Is(err, multiversion.RuleKind) {
		err = &inspect.NotMultiversionError{Kind: inspect.Describe(file, size), Err: err}
	}
	return binary, err
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
	binary, err := parse(file, file.Size())
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
