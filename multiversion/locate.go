package multiversion

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Extent is a stretch of a file, in bytes.
type Extent struct {
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
}

// End returns the offset behind the last byte.
func (e Extent) End() int64 { return e.Offset + e.Size }

// ImageLayout says where the parts for one architecture stand.
type ImageLayout struct {
	Arch   Arch   `json:"arch"`
	Header Extent `json:"header"` // always 8192 bytes, inside the file
	Body   Extent `json:"body"`   // ends at or before the header's start

	// Executable is the stretch of the current executable in a universal
	// file, as its fat header gives it. It is empty in ELF and PE files, whose
	// current executable is all but the sections added, and where the fat header
	// has no such architecture or gives a stretch outside the file.
	Executable Extent `json:"executable"`
}

// Layout says where header and body stand in a file.
type Layout struct {
	Format Format `json:"format"`
	Size   int64  `json:"size"` // of the file, in bytes

	// Images has one entry for ELF and PE, and for Mach-O two: aarch64, then x86_64.
	Images []ImageLayout `json:"images"`

	// SectionTable is the ELF or PE section header table, or the fat header.
	SectionTable Extent `json:"section_table"`
}

// Headers returns where the headers stand, in the order of the file.
func (l Layout) Headers() []Extent {
	var extents []Extent
	for _, image := range l.Images {
		extents = append(extents, image.Header)
	}
	slices.SortFunc(extents, func(x, y Extent) int { return cmp.Compare(x.Offset, y.Offset) })
	return extents
}

// Locate finds header and body in a file of size bytes by upstream's rules,
// for every architecture in it and whatever the host is. It reads a few KiB
// and looks into neither header nor body. The error is a [*FormatError].
func Locate(r io.ReaderAt, size int64) (Layout, error) {
	if size >= SizeMax {
		return Layout{}, broken(RuleSize, 0, fmt.Sprintf("less than %d bytes", SizeMax), "%d bytes", size)
	}
	file := reader{r: r, size: size}
	format, err := file.format()
	if err != nil {
		return Layout{}, err
	}
	var layout Layout
	switch format {
	case FormatELF:
		layout, err = locateELF(file)
	case FormatPE:
		layout, err = locatePE(file)
	default:
		layout, err = locateMachO(file)
	}
	if err == nil {
		err = checkExtents(layout)
	}
	if err != nil {
		if failure, ok := errors.AsType[*FormatError](err); ok {
			failure.Format = format
		}
		return Layout{}, err
	}
	return layout, nil
}

// checkExtents holds the rules that are the same in every format.
func checkExtents(layout Layout) error {
	for _, image := range layout.Images {
		if image.Body.End() > image.Header.Offset {
			err := broken(RuleBodyOverlap, image.Body.Offset, fmt.Sprintf("an end at or before the header's offset %d", image.Header.Offset),
				"body ends at %d", image.Body.End())
			err.Arch = image.Arch
			return err
		}
		if image.Header.End() > layout.Size {
			err := broken(RuleHeaderInFile, image.Header.Offset, fmt.Sprintf("at most the file's %d bytes", layout.Size),
				"header ends at %d", image.Header.End())
			err.Arch = image.Arch
			return err
		}
	}
	return nil
}

// Identify names the format and the architecture of an executable from its
// first bytes, with or without multiversion sections. A universal file has
// [ArchUniversal]. Another processor is named as its number. The error is a
// [*FormatError].
func Identify(r io.ReaderAt, size int64) (Format, Arch, error) {
	file := reader{r: r, size: size}
	format, err := file.format()
	if err != nil {
		return "", "", err
	}
	var arch Arch
	switch format {
	case FormatELF:
		arch, err = identifyELF(file)
	case FormatPE:
		arch, err = identifyPE(file)
	default:
		arch, err = identifyMachO(file)
	}
	if err != nil {
		return format, "", err
	}
	return format, arch, nil
}

// reader reads bounded pieces of a file. Its errors are FormatErrors.
type reader struct {
	r    io.ReaderAt
	size int64
}

// ReadAt implements [io.ReaderAt] with read.
func (f reader) ReadAt(buffer []byte, offset int64) (int, error) {
	if err := f.read(buffer, offset); err != nil {
		return 0, err
	}
	return len(buffer), nil
}

// read fills buffer from offset. The caller has compared the range with the
// file's size: an error here is the disk's, or the file shrank.
func (f reader) read(buffer []byte, offset int64) error {
	count, err := f.r.ReadAt(buffer, offset)
	if count == len(buffer) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	failure := broken(RuleRead, offset, "", "%d of %d bytes read", count, len(buffer))
	failure.Err = err
	return failure
}

// within reports whether size bytes at offset lie in the file, for any
// numbers at all.
func (f reader) within(offset, size uint64) bool {
	return offset <= uint64(f.size) && size <= uint64(f.size)-offset
}

const (
	magicELF        = "\x7fELF"
	magicPE         = "MZ"
	magicMachOFat   = 0xcafebabe
	magicMachOFat64 = 0xcafebabf
	magicMachO64    = 0xfeedfacf
	magicMachO32    = 0xfeedface
)

// format looks at the magic number.
func (f reader) format() (Format, error) {
	var magic [4]byte
	head := magic[:min(f.size, 4)]
	if err := f.read(head, 0); err != nil {
		return "", err
	}
	switch {
	case string(head) == magicELF:
		return FormatELF, nil
	case len(head) >= 2 && string(head[:2]) == magicPE:
		return FormatPE, nil
	case len(head) < 4:
		return "", broken(RuleKind, 0, "an ELF, PE or Mach-O universal file", "%d bytes", f.size)
	}
	if binary.BigEndian.Uint32(head) == magicMachOFat || binary.BigEndian.Uint32(head) == magicMachOFat64 {
		return FormatMachO, nil
	}
	if thin := binary.LittleEndian.Uint32(head); thin == magicMachO64 || thin == magicMachO32 {
		return FormatMachO, nil
	}
	return "", broken(RuleKind, 0, "an ELF, PE or Mach-O universal file", "the file starts with % x", head)
}
