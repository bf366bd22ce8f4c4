package multiversion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/tbctl/tbctl/vfs"
)

// Image is what a binary holds for one architecture.
type Image struct {
	Layout ImageLayout `json:"layout"`
	Header Header      `json:"header"`
}

// Arch returns the architecture that the image is for.
func (i *Image) Arch() Arch { return i.Layout.Arch }

// PastExtent returns where the past executable of this index stands in the file.
func (i *Image) PastExtent(index int) Extent {
	past := i.Header.Past[index]
	return Extent{Offset: i.Layout.Body.Offset + int64(past.Offset), Size: int64(past.Size)}
}

// Binary is a parsed multiversion binary. It keeps the reader and reads from it
// again when checksums are asked for; the caller keeps it open for so long.
type Binary struct {
	Format       Format `json:"format"`
	Size         int64  `json:"size"` // in bytes
	SectionTable Extent `json:"section_table"`

	// Images has one entry for ELF and PE, and for Mach-O two: aarch64, then x86_64.
	Images []Image `json:"images"`

	r io.ReaderAt
}

// Parse locates, decodes and validates what a file of size bytes says of
// itself. It reads a few KiB and checks no checksum but those of the headers. The
// error is a [*FormatError].
func Parse(r io.ReaderAt, size int64) (*Binary, error) {
	layout, err := Locate(r, size)
	if err != nil {
		return nil, err
	}
	binary := &Binary{Format: layout.Format, Size: size, SectionTable: layout.SectionTable, r: r}
	for _, located := range layout.Images {
		image, err := readImage(r, located)
		if err != nil {
			if failure, ok := errors.AsType[*FormatError](err); ok {
				failure.Format, failure.Arch = layout.Format, located.Arch
			}
			return nil, err
		}
		binary.Images = append(binary.Images, image)
	}
	first, last := &binary.Images[0], &binary.Images[len(binary.Images)-1]
	if a, b := first.Header.ChecksumBinary, last.Header.ChecksumBinary; a != b {
		err := broken(RuleHeaders, last.Layout.Header.Offset+OffsetChecksumBinary, a.String()+", as in the header for "+string(first.Arch()),
			"whole-file checksum %s", b)
		err.Format, err.Arch = layout.Format, last.Arch()
		return nil, err
	}
	return binary, nil
}

func readImage(r io.ReaderAt, located ImageLayout) (Image, error) {
	raw, err := ReadHeader(r, located)
	if err != nil {
		return Image{}, err
	}
	header, err := decodeHeader(&raw, located.Header.Offset)
	if err != nil {
		return Image{}, err
	}
	image := Image{Layout: located, Header: header}
	return image, CheckBody(&image)
}

// ReadHeader reads the bytes of one architecture's header, unchecked. The
// error is a [*FormatError] with [RuleRead].
func ReadHeader(r io.ReaderAt, located ImageLayout) ([HeaderSize]byte, error) {
	var raw [HeaderSize]byte
	err := reader{r: r, size: located.Header.End()}.read(raw[:], located.Header.Offset)
	return raw, err
}

// CheckBody requires that the pack fits in the body. A longer body is fine:
// PE sections are padded. The error is a [*FormatError].
func CheckBody(image *Image) error {
	if pack := image.Header.PackSize(); pack > image.Layout.Body.Size {
		return broken(RuleBodySize, image.Layout.Body.Offset, fmt.Sprintf("at least the %d bytes of the pack", pack), "body of %d bytes", image.Layout.Body.Size)
	}
	return nil
}

// Image returns what the binary holds for arch, or nil.
func (b *Binary) Image(arch Arch) *Image {
	for index := range b.Images {
		if b.Images[index].Arch() == arch {
			return &b.Images[index]
		}
	}
	return nil
}

// HostImage returns what the binary holds for the processor that this program runs on, or
// its first image where it holds nothing for it.
func (b *Binary) HostImage() *Image { return b.imageFor(runtime.GOARCH) }

func (b *Binary) imageFor(goarch string) *Image {
	arch := map[string]Arch{"amd64": ArchX86_64, "arm64": ArchAArch64}[goarch]
	if image := b.Image(arch); image != nil {
		return image
	}
	return &b.Images[0]
}

// Platform returns what the binary was built for.
func (b *Binary) Platform() Platform { return PlatformOf(b.Format, b.Images[0].Arch()) }

// Headers returns where the headers stand, in the order of the file.
func (b *Binary) Headers() []Extent {
	var layout Layout
	for _, image := range b.Images {
		layout.Images = append(layout.Images, image.Layout)
	}
	return layout.Headers()
}

// Reader returns the reader that the binary was parsed from.
func (b *Binary) Reader() io.ReaderAt { return b.r }

// Current returns the current release of the first architecture.
func (b *Binary) Current() Release { return b.Images[0].Header.Current.Release }

// Debug reports whether the current release was built for debugging, for any
// architecture: [SizeLimit] asks for it.
func (b *Binary) Debug() bool {
	return slices.ContainsFunc(b.Images, func(image Image) bool { return image.Header.Current.Debug })
}

// ChecksumWithoutHeader reads the whole file and returns its checksum with each
// header zeroed, to be compared with Header.ChecksumBinary. The error is the
// context's or the reader's.
func (b *Binary) ChecksumWithoutHeader(ctx context.Context) (Checksum, error) {
	hash := NewHash()
	var done int64
	for _, header := range b.Headers() {
		if header.Offset < done { // headers that overlap: zero what is left of it
			header = Extent{Offset: done, Size: max(0, header.End()-done)}
		}
		if err := HashExtent(ctx, hash, b.r, Extent{Offset: done, Size: header.Offset - done}); err != nil {
			return Checksum{}, err
		}
		hash.WriteZeros(header.Size)
		done = header.End()
	}
	if err := HashExtent(ctx, hash, b.r, Extent{Offset: done, Size: b.Size - done}); err != nil {
		return Checksum{}, err
	}
	return hash.Checksum(), nil
}

// HashExtent adds a stretch of a file to hash, through one buffer of 256 KiB.
// A stretch that the file does not have is io.ErrUnexpectedEOF.
func HashExtent(ctx context.Context, hash *Hash, r io.ReaderAt, extent Extent) error {
	return vfs.ReadBlocks(ctx, reader{r: r, size: extent.End()}, extent.Offset, extent.Size, func(block []byte, _ int64) error {
		hash.Write(block)
		return nil
	})
}

// File is a multiversion binary opened by name.
type File struct {
	*Binary
	file *os.File
}

// Open opens and parses the named file. It never waits on a pipe. The caller
// closes it. The error is a [*FormatError] or says what the system refused.
func Open(name string) (*File, error) {
	file, info, err := vfs.OpenFile(name, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return nil, err
	}
	binary, err := Parse(file, info.Size())
	if err != nil {
		file.Close()
		return nil, err
	}
	return &File{Binary: binary, file: file}, nil
}

// Close closes the file. Nothing of it can be read any more.
func (f *File) Close() error { return f.file.Close() }
