package pack

import (
	"bytes"
	"context"
	"errors"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/multiversion"
)

// image is the part of a build for one architecture.
type image struct {
	arch     multiversion.Arch
	current  Source // what the sections are added to
	checksum multiversion.Checksum
	past     []multiversion.Past
	body     Source
}

// build is what a result is arranged from. It has one image for ELF and PE,
// and for Mach-O two: aarch64, then x86_64.
type build struct {
	options *Options
	format  multiversion.Format
	images  []image
}

// Build arranges a multiversion binary. It reads every input, some of them
// twice, and holds nothing larger than a header. The result reads from the inputs:
// the caller keeps them open, and unchanged, until it is written.
//
// The result has been parsed, so that every rule of the format holds, and its
// checksums are right. The error is a [*RefusalError], or the context's.
func Build(ctx context.Context, options Options) (*Result, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	b := build{options: &options}
	if err := b.readCurrent(ctx); err != nil {
		return nil, err
	}
	if err := b.readPast(ctx); err != nil {
		return nil, err
	}
	for _, image := range b.images {
		if err := options.checkOrder(image.past); err != nil {
			return nil, err
		}
	}
	if err := b.checkSize(); err != nil {
		return nil, err
	}
	return b.finish(ctx)
}

// readCurrent identifies the current executables and takes their checksums.
func (b *build) readCurrent(ctx context.Context) error {
	for _, source := range b.options.Current {
		format, arch, err := identify(source, "current executable")
		if err != nil {
			return err
		}
		if b.format == "" {
			b.format = format
		}
		if format != b.format {
			return refuse(ReasonPlatform, nil, "current executables for %s and %s", b.format, format)
		}
		if arch != multiversion.ArchX86_64 && arch != multiversion.ArchAArch64 {
			return refuse(ReasonExecutable, nil, "current executable for %s, want one for x86_64 or aarch64", arch)
		}
		if err := b.checkLimit(source.Size()); err != nil {
			return err
		}
		image := image{arch: arch, current: source}
		if format != multiversion.FormatMachO {
			normal, err := objcopy.Normalize(source, source.Size())
			if err != nil {
				return refuse(ReasonExecutable, err, "current executable")
			}
			image.current = normal
		}
		if image.checksum, err = checksum(ctx, image.current, "current executable"); err != nil {
			return err
		}
		b.images = append(b.images, image)
	}
	return b.checkArchs()
}

// checkArchs requires one executable for ELF and PE and the two of a
// universal binary, and brings these into the order of the file.
func (b *build) checkArchs() error {
	if b.format != multiversion.FormatMachO {
		if len(b.images) != 1 {
			return refuse(ReasonInput, nil, "%d current executables, want one for %s", len(b.images), b.format)
		}
		return nil
	}
	if len(b.images) != 2 || b.images[0].arch == b.images[1].arch {
		return refuse(ReasonInput, nil, "a macOS binary needs two current executables, aarch64 and x86_64")
	}
	if b.images[0].arch != multiversion.ArchAArch64 {
		b.images[0], b.images[1] = b.images[1], b.images[0]
	}
	return nil
}

// identify requires an executable of a known format without multiversion sections.
func identify(source Source, name string) (multiversion.Format, multiversion.Arch, error) {
	format, arch, err := multiversion.Identify(source, source.Size())
	if err != nil {
		return "", "", refuseExecutable(err, name)
	}
	switch _, err := multiversion.Locate(source, source.Size()); {
	case err == nil:
		return "", "", refuse(ReasonSections, nil, "%s is a multiversion binary already", name)
	case errors.Is(err, multiversion.RuleSize):
		return "", "", refuse(ReasonSize, err, "%s", name)
	case !multiversion.IsPlain(err):
		return "", "", refuseExecutable(err, name)
	}
	return format, arch, nil
}

// refuseExecutable tells an executable that cannot be read from one that is none.
func refuseExecutable(err error, name string) error {
	reason := ReasonExecutable
	if errors.Is(err, multiversion.RuleRead) {
		reason = ReasonRead
	}
	return refuse(reason, err, "%s", name)
}

// checkSize refuses early what is too large before anything is computed over it.
func (b *build) checkSize() error {
	var size int64
	for _, image := range b.images {
		size += image.current.Size() + image.body.Size() + multiversion.HeaderSize
	}
	return b.checkLimit(size)
}

func (b *build) checkLimit(size int64) error {
	if limit := multiversion.SizeLimit(b.format, b.options.Debug); size >= limit {
		return refuse(ReasonSize, nil, "%d bytes for %s, want less than %d: a replica that finds such a file crashes", size, b.format, limit)
	}
	return nil
}

// finish computes the checksums and fills the headers in.
func (b *build) finish(ctx context.Context) (*Result, error) {
	var headers [][]byte
	for range b.images {
		headers = append(headers, make([]byte, multiversion.HeaderSize))
	}
	unsealed, err := b.arrange(headers)
	if err != nil {
		return nil, err
	}
	if err := b.checkLimit(unsealed.Size()); err != nil {
		return nil, err
	}
	sum, err := checksum(ctx, unsealed, "inputs")
	if err != nil {
		return nil, err
	}
	for index := range b.images {
		header := b.header(&b.images[index], sum)
		raw, err := header.Encode()
		if err != nil {
			return nil, refuse(ReasonExecutable, err, "header")
		}
		headers[index] = raw[:]
	}
	sealed, err := b.arrange(headers)
	if err != nil {
		return nil, err
	}
	binary, err := multiversion.Parse(sealed, sealed.Size())
	if err != nil {
		return nil, refuse(ReasonExecutable, err, "the result breaks a rule of the format")
	}
	return &Result{binary: binary, source: sealed}, nil
}

func (b *build) header(image *image, sum multiversion.Checksum) multiversion.Header {
	return multiversion.Header{
		ChecksumBinary: sum,
		Current: multiversion.Current{
			Release:   b.options.Release,
			Visit:     true,
			Debug:     b.options.Debug,
			Checksum:  image.checksum,
			Commit:    b.options.Commit,
			ClientMin: b.options.ClientMin,
		},
		Past: image.past,
	}
}

// arrange puts current executables, bodies and headers together.
func (b *build) arrange(headers [][]byte) (Source, error) {
	if b.format == multiversion.FormatMachO {
		return arrangeUniversal(b.images, headers), nil
	}
	image := &b.images[0]
	source, err := objcopy.Add(image.current, image.current.Size(),
		objcopy.Content{R: image.body, Size: image.body.Size()},
		objcopy.Content{R: bytes.NewReader(headers[0]), Size: multiversion.HeaderSize})
	if err != nil {
		return nil, refuse(ReasonExecutable, err, "add sections to the current executable")
	}
	return source, nil
}
