package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/report"
)

type packCmd struct {
	Current []string             `arg:"" help:"The executable of the current release; for macOS two, one for each processor."`
	Output  string               `short:"o" required:"" placeholder:"FILE" help:"The binary to make. It must not exist, unless --force."`
	Release multiversion.Release `required:"" placeholder:"RELEASE" help:"The current release."`
	Commit  string               `placeholder:"HEX" help:"The git commit of the current release, 40 digits."`
	Client  multiversion.Release `name:"client-min" placeholder:"RELEASE" help:"The oldest client of the current release."`
	Past    string               `placeholder:"FILE" help:"The multiversion binary of the release before: its newest 3 past releases and its own are packed." xor:"past"`
	Epoch   []string             `placeholder:"FILE" help:"Instead of --past: the plain executable of 0.15.3, with which multiversion binaries begin; for macOS a universal one, or two." xor:"past"`
	Debug   bool                 `help:"A debug build: only the release before is packed."`
	Force   bool                 `short:"f" help:"Replace FILE if it exists."`
}

// Help is the long help text.
func (c *packCmd) Help() string {
	return `Builds a multiversion binary, byte for byte as upstream's recipe does it with
llvm-objcopy, for Linux, Windows and macOS, on any host.

Examples:

  tbctl pack tigerbeetle -o tigerbeetle-multiversion --release 0.17.8 \
    --commit 1e2826ecdee2f6ba617c1ee10903dfa01974d437 --client-min 0.16.4 --past tigerbeetle-0.17.7
  tbctl pack aarch64/tigerbeetle x86_64/tigerbeetle -o tigerbeetle --release 0.17.8 …
  tbctl pack tigerbeetle-0.15.4 -o tigerbeetle --release 0.15.4 --epoch tigerbeetle-0.15.3
` + exitHelp(exitRejected, "an input is damaged or cannot be packed")
}

// Run builds and writes the binary.
func (c *packCmd) Run(a *app) error {
	options := pack.Options{Release: c.Release, ClientMin: c.Client, Debug: c.Debug}
	if err := c.check(); err != nil {
		return err
	}
	var err error
	if c.Commit != "" && options.Commit.UnmarshalText([]byte(c.Commit)) != nil {
		return usage("git rev-parse TAG prints it", "--commit: want 40 hexadecimal digits")
	}
	if err := output.Check(a.ctx, c.Output, a.ownDirs(), slices.Concat(c.Current, c.Epoch, []string{c.Past})...); err != nil {
		return err
	}
	var opened inputs
	defer opened.close()
	if options.Current, err = opened.sources(c.Current); err != nil {
		return err
	}
	switch {
	case c.Past != "":
		past, err := openInput(a, c.Past)
		if err != nil {
			return err
		}
		opened = append(opened, past)
		if options.Past, err = multiversion.Parse(past, past.Size()); multiversion.IsPlain(err) {
			return rejected("if it is 0.15.3: --epoch instead of --past", fmt.Errorf("%s: %s", c.Past, inspect.Describe(past, past.Size()).Text))
		} else if err != nil {
			return input.OfFile(c.Past, fmt.Errorf("%s: %w", c.Past, err))
		}
	default:
		sources, err := opened.sources(c.Epoch)
		if err != nil {
			return err
		}
		options.Plain = []pack.Plain{pack.Epoch(sources...)}
	}
	built, err := pack.Build(a.ctx, options)
	if errors.Is(err, pack.ReasonPastCorrupt) {
		return rejected("this lists every finding: tbctl verify "+shell.File(c.Past), fmt.Errorf("%s: %w", c.Past, err))
	}
	if err != nil {
		return err
	}
	already, err := output.Write(c.Output, c.Force, a.warnText, func(w io.Writer) error {
		_, err := built.Copy(a.ctx, w)
		return err
	})
	if err != nil {
		return err
	}
	binary := built.Binary()
	result := report.Packed{
		Output: c.Output, Size: built.Size(), Platform: binary.Platform(), Releases: binary.Images[0].Header.Releases(),
		Checksum: binary.Images[0].Header.ChecksumBinary, Already: already, Next: []string{"tbctl verify " + shell.File(c.Output)},
	}
	a.emit(result, func(out *term.Stream) { render.Packed(out, &result, a.global.Quiet) })
	return nil
}

// check refuses what no input could make right.
func (c *packCmd) check() error {
	early := pack.Early(c.Release)
	switch {
	case c.Past == "" && len(c.Epoch) == 0:
		return usage("tbctl pack --past FILE, or --epoch FILE for the first one", "a pack needs the release before")
	case !early && (c.Commit == "" || c.Client == 0):
		return usage("tbctl pack --commit HEX --client-min RELEASE …", "a release after %s needs its commit and its oldest client", multiversion.ReleaseFirst)
	case early && (c.Commit != "" || c.Client != 0):
		return usage("leave out --commit and --client-min", "a release up to %s cannot carry a commit or an oldest client", multiversion.ReleaseFirst)
	}
	return nil
}

// inputs are files that are open for as long as a command reads from them.
type inputs []*input.File

func (i *inputs) sources(names []string) ([]pack.Source, error) {
	var sources []pack.Source
	for _, name := range names {
		file, err := input.Open(name)
		if err != nil {
			return nil, err
		}
		if zip, err := file.IsZip(); err == nil && zip {
			file.Close()
			return nil, rejected("take the executable out of it: tbctl extract "+shell.File(name)+" RELEASE -o tigerbeetle", fmt.Errorf("%s: a zip archive, not an executable", name))
		}
		*i = append(*i, file)
		sources = append(sources, file)
	}
	return sources, nil
}

func (i inputs) close() {
	for _, file := range i {
		file.Close()
	}
}
