package main

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

type extractCmd struct {
	File    string               `arg:"" help:"A multiversion binary, a release archive, or - for standard input."`
	Release multiversion.Release `arg:"" optional:"" help:"The release to take out, past or current."`
	Output  string               `short:"o" placeholder:"FILE" help:"Where to write it. It must not exist, unless --force."`
	All     string               `placeholder:"DIR" help:"Take every release out, as DIR/tigerbeetle-RELEASE."`
	Arch    multiversion.Arch    `placeholder:"ARCH" help:"aarch64 or x86_64: which executable of a universal macOS binary."`
	Force   bool                 `short:"f" help:"Replace files that exist."`
}

// Help is the long help text.
func (c *extractCmd) Help() string {
	return `Takes a release out of a multiversion binary: a past one out of the pack, or the
current one by removing the sections, so that it is what the compiler made. Each is
compared with its checksum before it appears at its name.

Examples:

  tbctl extract tigerbeetle 0.17.7 -o tigerbeetle-0.17.7
  tbctl extract tigerbeetle --all releases/
  tbctl extract tigerbeetle-universal-macos.zip 0.17.8 --arch aarch64 -o tigerbeetle
` + exitHelp(exitRejected, "the file is damaged, or does not hold the release")
}

// Run writes one release or all of them.
func (c *extractCmd) Run(a *app) error {
	if (c.All == "") == (c.Output == "") || (c.All == "") == (c.Release == 0) {
		if _, err := vfs.Stat(c.File); err != nil && release.IsTag(c.File) {
			return usage("the file comes first: tbctl extract FILE "+c.File+" -o tigerbeetle-"+c.File, "%s is a release, not a file", c.File)
		}
		hint := "tbctl extract " + shell.File(c.File) + " --all releases"
		if c.Release != 0 {
			hint = fmt.Sprintf("tbctl extract %s %s -o tigerbeetle-%s", shell.File(c.File), c.Release, c.Release)
		}
		return usage(hint, "say which release to write where")
	}
	if c.Output == "-" {
		return usage("name a file: -o tigerbeetle-"+c.Release.String(), "-o -: an executable is written to a file")
	}
	if c.Arch != "" && c.Arch != multiversion.ArchAArch64 && c.Arch != multiversion.ArchX86_64 {
		return usage("--arch aarch64, or --arch x86_64", "--arch: %q is neither", c.Arch)
	}
	file, err := openInput(a, c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	binary, err := parse(file, file.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	executables, err := c.executables(binary)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	var results report.Extracted
	universal := len(binary.Images) > 1
	for _, executable := range executables { // before the first is written
		name := c.name(executable, universal)
		if err := output.Check(a.ctx, name, a.ownDirs(), c.File); err != nil {
			return err
		}
		if _, err := vfs.Lstat(name); err == nil && !c.Force {
			same, err := output.Same(name, copyOf(a, executable))
			if err == nil && !same {
				err = &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
			}
			if err != nil {
				return err
			}
		}
	}
	for _, executable := range executables {
		result, err := c.write(a, executable, universal)
		if err != nil {
			a.emit(results, nil)
			return err
		}
		results.Extracted = append(results.Extracted, result)
		if !a.global.JSON {
			render.Extracted(a.out, &result)
		}
	}
	a.emit(results, nil)
	return nil
}

// name is where an executable is written to.
func (c *extractCmd) name(executable *extract.Executable, universal bool) string {
	if c.All == "" {
		return c.Output
	}
	base := "tigerbeetle-" + executable.Release.String()
	if c.Arch == "" && universal {
		base += "-" + string(executable.Arch)
	}
	return filepath.Join(c.All, base)
}

func (c *extractCmd) executables(binary *multiversion.Binary) ([]*extract.Executable, error) {
	if c.All == "" {
		executable, err := extract.Open(binary, c.Arch, c.Release)
		return []*extract.Executable{executable}, err
	}
	return extract.All(binary, c.Arch)
}

// write writes one executable, under a name of its own for --all.
func (c *extractCmd) write(a *app, executable *extract.Executable, universal bool) (report.ExtractedFile, error) {
	name := c.name(executable, universal)
	if c.All != "" {
		if err := durable.MkdirAll(vfs.OS(), c.All, 0o755); err != nil {
			return report.ExtractedFile{}, err
		}
	}
	already, err := output.Write(name, c.Force, a.warnText, copyOf(a, executable))
	return report.ExtractedFile{
		Path: name, Release: executable.Release, Arch: executable.Arch, Current: executable.Current,
		Size: executable.Size, Checksum: executable.Checksum, Already: already,
	}, err
}

func copyOf(a *app, executable *extract.Executable) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := executable.Copy(a.ctx, w)
		return err
	}
}
