package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

var (
	// ErrPlatform says that a binary was not built for this host.
	ErrPlatform = fault.New(fault.Refused, "binary is for another platform")

	// ErrCommand says that a [Command] cannot be run as it is.
	ErrCommand = errors.New("command")
)

// Command says how to run a release.
type Command struct {
	// Path is the absolute path of the multiversion binary on disk. The
	// release gets it as argv[0]: by it a replica that runs from memory finds the file that it watches.
	Path string

	Args []string // without argv[0]
}

func (c *Command) argv() []string { return append([]string{c.Path}, c.Args...) }

// program is what is to be run: an executable of the pack, or the whole
// file for the current release, as upstream does it.
type program struct {
	binary *multiversion.Binary
	past   *Executable // nil for the current release
}

// chooseProgram requires a command that can be run and a binary for this host.
func chooseProgram(binary *multiversion.Binary, release multiversion.Release, command *Command) (program, error) {
	if !filepath.IsAbs(command.Path) {
		return program{}, fmt.Errorf("%w: path %q is not absolute", ErrCommand, command.Path)
	}
	if host := multiversion.ThisPlatform(); host != binary.Platform() {
		return program{}, fmt.Errorf("%w: it is for %s, the host is %s/%s", ErrPlatform, binary.Platform(), runtime.GOOS, runtime.GOARCH)
	}
	arch := multiversion.ArchX86_64
	if runtime.GOARCH == "arm64" {
		arch = multiversion.ArchAArch64
	}
	image, err := chooseImage(binary, arch)
	if err != nil {
		return program{}, err
	}
	if release == image.Header.Current.Release {
		return program{binary: binary}, nil
	}
	index := image.Header.PastIndex(release)
	if index < 0 {
		return program{}, &NotIncludedError{Release: release, Included: image.Header.Releases()}
	}
	return program{binary: binary, past: openPast(binary, image, index)}, nil
}

// copyTo writes the program.
func (p program) copyTo(ctx context.Context, w io.Writer) error {
	if p.past != nil {
		_, err := p.past.Copy(ctx, w)
		return err
	}
	_, err := copyAll(ctx, io.NewSectionReader(p.binary.Reader(), 0, p.binary.Size), w)
	return err
}

// verify compares a copy with the checksums: what is run is what was verified,
// and not only what was read.
func (p program) verify(ctx context.Context, written io.ReaderAt) error {
	if p.past != nil {
		check := *p.past
		check.source = written
		return check.Verify(ctx)
	}
	whole, err := multiversion.Parse(written, p.binary.Size)
	if err != nil {
		return err
	}
	found, err := whole.ChecksumWithoutHeader(ctx)
	if err != nil {
		return err
	}
	for index := range p.binary.Images {
		if header := p.binary.Images[index].Header; header.Checksum != whole.Images[index].Header.Checksum || header.ChecksumBinary != found {
			return &ChecksumError{Release: header.Current.Release, Want: header.ChecksumBinary, Found: found}
		}
	}
	return nil
}
