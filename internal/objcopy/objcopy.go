package objcopy

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	sectionBody   = ".tb_mvb"
	sectionHeader = ".tb_mvh"

	// SizeMax is the most bytes that an executable may have, before and after.
	SizeMax = 1 << 30

	// StringsSizeMax is the most bytes that the string tables which are read may have
	// together, and SymbolsSizeMax those of the symbol table. The strings are held in memory once, and the
	// symbols with what belongs to them up to four times over. Release builds have no symbols at all.
	StringsSizeMax = 12 << 20
	SymbolsSizeMax = 4 << 20

	// SegmentsMax is the most program headers of an ELF file.
	SegmentsMax = 256

	// SectionsMax is the most sections of a file. Above it numbers are escaped in both formats.
	SectionsMax = 0xfeff
)

// change is what happens to a file beside being rebuilt.
type change struct {
	remove bool
	add    []addition
}

// addition is a section to add.
type addition struct {
	name    string
	content Content
}

// Normalize rebuilds an ELF or PE executable of size bytes as it is, as
// llvm-objcopy without further options does. The error is a [*LayoutError] or the reader's.
func Normalize(r io.ReaderAt, size int64) (*Image, error) {
	return rebuild(r, size, change{})
}

// Add rebuilds an executable with two more sections at its end, .tb_mvb
// with body and then .tb_mvh with header. It takes contents of any size. An
// executable that has either section already is refused. The error is a [*LayoutError] or the reader's.
func Add(r io.ReaderAt, size int64, body, header Content) (*Image, error) {
	for _, content := range []Content{body, header} {
		if content.R == nil || content.Size < 0 || content.Size > SizeMax {
			return nil, fmt.Errorf("add sections: content of %d bytes", content.Size)
		}
	}
	return rebuild(r, size, change{add: []addition{{sectionBody, body}, {sectionHeader, header}}})
}

// Remove rebuilds an executable without its sections .tb_mvb and .tb_mvh. One
// that has neither is normalized. The error is a [*LayoutError] or the reader's.
func Remove(r io.ReaderAt, size int64) (*Image, error) {
	return rebuild(r, size, change{remove: true})
}

func rebuild(r io.ReaderAt, size int64, edit change) (*Image, error) {
	file := source{r: r, size: size}
	if size < 4 || size > SizeMax {
		return nil, &LayoutError{Reason: fmt.Sprintf("%d bytes, not 4 to %d", size, SizeMax)}
	}
	magic, err := file.read(0, 4)
	switch {
	case err != nil:
		return nil, err
	case string(magic) == "\x7fELF":
		return rebuildELF(file, edit)
	case string(magic[:2]) == "MZ":
		return rebuildPE(file, edit)
	}
	return nil, &LayoutError{Reason: fmt.Sprintf("neither ELF nor PE: the file starts with % x", magic)}
}

// removes reports whether the section of this name goes.
func (c change) removes(name string) bool {
	return c.remove && (name == sectionBody || name == sectionHeader)
}

// clashes reports whether the section of this name stands in the way of a section to add.
func (c change) clashes(name string) bool {
	return len(c.add) > 0 && (name == sectionBody || name == sectionHeader)
}

// source is the executable to be rebuilt.
type source struct {
	r    io.ReaderAt
	size int64
}

// read returns size bytes from offset. The caller has compared the range
// with the file's size, and size with a maximum: an error is the disk's, or the file shrank.
func (s source) read(offset, size int64) ([]byte, error) {
	buffer := make([]byte, size)
	return buffer, s.fill(buffer, offset)
}

// readText is read as a string, without a second copy of it in memory.
func (s source) readText(offset, size int64) (string, error) {
	var text strings.Builder
	text.Grow(int(size))
	buffer := make([]byte, min(size, 64<<10))
	for done := int64(0); done < size; done += int64(len(buffer)) {
		buffer = buffer[:min(int64(len(buffer)), size-done)]
		if err := s.fill(buffer, offset+done); err != nil {
			return "", err
		}
		text.Write(buffer)
	}
	return text.String(), nil
}

func (s source) fill(buffer []byte, offset int64) error {
	n, err := s.r.ReadAt(buffer, offset)
	if n == len(buffer) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read executable: offset %d: %d of %d bytes: %w", offset, n, len(buffer), err)
}

// within reports whether size bytes at offset lie in the file, for any numbers at all.
func (s source) within(offset, size uint64) bool {
	return offset <= uint64(s.size) && size <= uint64(s.size)-offset
}
