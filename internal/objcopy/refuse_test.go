package objcopy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// edit changes an executable's bytes for a test.
type edit func(data []byte) []byte

func put16(at int, value uint16) edit {
	return func(data []byte) []byte { binary.LittleEndian.PutUint16(data[at:], value); return data }
}

func put32(at int, value uint32) edit {
	return func(data []byte) []byte { binary.LittleEndian.PutUint32(data[at:], value); return data }
}

func put64(at int, value uint64) edit {
	return func(data []byte) []byte { binary.LittleEndian.PutUint64(data[at:], value); return data }
}

func cutTo(size int) edit { return func(data []byte) []byte { return data[:size] } }

// inSegment puts a number into the program header of this index.
func inSegment(index, offset int, value uint64) edit {
	return func(data []byte) []byte {
		return put64(int(binary.LittleEndian.Uint64(data[32:]))+index*56+offset, value)(data)
	}
}

// inSection puts a number of 4 or 8 bytes into the section header of this type.
func inSection(kind uint32, offset, width int, value uint64) edit {
	return func(data []byte) []byte {
		start, count := int(binary.LittleEndian.Uint64(data[40:])), int(binary.LittleEndian.Uint16(data[60:]))
		for index := range count {
			entry := data[start+index*64:][:64]
			if binary.LittleEndian.Uint32(entry[4:]) != kind {
				continue
			}
			if width == 4 {
				binary.LittleEndian.PutUint32(entry[offset:], uint32(value))
			} else {
				binary.LittleEndian.PutUint64(entry[offset:], value)
			}
			return data
		}
		panic("the fixture has no such section")
	}
}

// largeStrings makes the first string table as large as one may be, so that it leaves
// no room for another.
func largeStrings(data []byte) []byte {
	end := uint64(len(data))
	data = inSection(3, 24, 8, end)(data)
	data = inSection(3, 32, 8, objcopy.StringsSizeMax)(data)
	return append(data, make([]byte, objcopy.StringsSizeMax)...)
}

// inSymbol puts two bytes into the second symbol.
func inSymbol(offset int, value uint16) edit {
	return func(data []byte) []byte {
		symbols := tablesELF(data)[6]
		return put16(symbols.start+symbols.size+offset, value)(data)
	}
}

// inPE puts a number at an offset from the PE signature.
func inPE(offset int, value uint32) edit {
	return func(data []byte) []byte {
		return put32(int(binary.LittleEndian.Uint32(data[60:]))+offset, value)(data)
	}
}

// inPESection puts a number into the first section header.
func inPESection(offset int, value uint32) edit {
	return func(data []byte) []byte {
		return put32(tablesPE(data)[3].start+offset, value)(data)
	}
}

// refusal is a change to a fixture and the reason that it is refused for. An
// empty reason requires only that there is no panic.
type refusal struct {
	fixture string
	change  edit
	reason  string
}

func TestRefusedELF(t *testing.T) {
	t.Parallel()
	const (
		plain   = "lld-static-x86_64.elf"
		relocs  = "lld-relocs-x86_64.elf"
		dynamic = "lld-dynamic-x86_64.elf"
	)
	checkRefused(t, []refusal{
		{plain, cutTo(3), "3 bytes, not 4"},
		{plain, cutTo(63), "less than an ELF header"},
		{plain, put32(0, 0), "neither ELF nor PE"},
		{plain, put16(4, 0x0101), "class, data encoding and version are 1 1 1"},
		{plain, put16(16, 1), "type 1 is no executable"},
		{plain, put16(18, 3), "machine 3"},
		{plain, put64(40, 1<<63), "ends past the file"},
		{plain, put64(40, 0), "no section headers"},
		{plain, put16(58, 40), "section headers of 40 bytes"},
		{plain, put16(60, 0xff00), "more than 65279"},
		{plain, put16(62, 0xffff), "more than 65279"},
		{plain, put16(62, 200), "string table index 200 is no section"},
		{plain, put16(62, 1), "the section names are in a section of type"},
		{plain, put16(56, 0), "0 program headers"},
		{plain, put16(56, 300), "300 program headers"},
		{plain, put16(54, 32), "program headers of 32 bytes"},
		{plain, put64(32, 1<<63), "end past the file"},
		{plain, inSegment(1, 32, 1<<40), "segment of 1099511627776 bytes"},
		{plain, inSegment(1, 48, 3), "alignment 3 is no power of two"},
		{plain, inSegment(1, 48, 1<<40), "larger than any file"},
		{plain, inSection(1, 24, 8, 1<<63), "ends past the file"},
		{plain, inSection(1, 48, 8, 3), "section alignment 3 is no power of two"},
		{plain, inSection(1, 48, 8, 1<<62), ""},
		{plain, inSection(1, 40, 4, 99), "link 99 is no section"},
		{plain, inSection(1, 0, 4, 1<<20), "section name at 1048576"},
		{plain, inSection(1, 4, 4, 18), "section type 0x12"},
		{plain, inSection(1, 8, 8, 1<<11), ""},
		{plain, inSection(2, 56, 8, 16), "entries of 16 bytes"},
		{plain, inSection(2, 32, 8, 0), "symbol table of 0 bytes"},
		{plain, inSection(2, 40, 4, 1), "symbol names are in a section of type"},
		{plain, inSection(2, 8, 8, 2), "a loaded symbol table"},
		{plain, inSection(3, 32, 8, 0), "string table of 0 bytes"},
		{plain, largeStrings, "bytes in all, more than 12582912"},
		{plain, inSymbol(2, 0xffff), "symbol name at"},
		{plain, inSymbol(6, 0xffff), "symbol in the reserved section 0xffff"},
		{plain, inSymbol(6, 0x100), "symbol's section 256 is no section"},
		{relocs, inSection(4, 40, 4, 0xff), "link 255 is no section"},
		{relocs, inSection(4, 40, 4, 1), "relocations link a section of type"},
		{relocs, inSection(4, 44, 4, 99), "info 99 is no section"},
		{relocs, inSection(4, 56, 8, 16), "bytes of relocations of 16 bytes each"},
		{dynamic, inSection(11, 24, 8, 1<<40), "ends past the file"},
	})
}

func TestRefusedPE(t *testing.T) {
	t.Parallel()
	const (
		image = "lld-debug-x86_64.exe"
		mingw = "mingw-x86_64.exe"
	)
	checkRefused(t, []refusal{
		{image, cutTo(60), "less than an MS-DOS header"},
		{image, put32(60, 1<<31), "PE header at offset 2147483648"},
		{image, put32(60, 4), "PE header at offset 4"},
		{image, inPE(0, 0), "no PE signature"},
		{image, inPE(4, 0x14c), "machine 0x14c"},
		{image, inPE(20, 8), "optional header of 8 bytes"},
		{image, inPE(24, 0x10b), "optional header 0x10b"},
		{image, inPE(24+32, 3), "alignments of 3 in memory"},
		{image, inPE(24+36, 0), "and 0 in the file"},
		{image, inPE(24+36, 1<<30), "alignments of"},
		{image, inPE(24+108, 17), "17 data directories"},
		{image, inPE(24+112+4*8, 8), "the image is signed"},
		{image, inPE(24+112+6*8, 1<<30), "data directory 6 is at address 0x40000000"},
		{image, inPE(24+112+6*8+4, 27), "debug directory of 27 bytes"},
		{image, inPE(8, 0), ""},
		{image, inPESection(16, 1<<30), ""},
		{image, inPESection(20, 1<<30), "ends past the file"},
		{image, inPESection(8, 0), "without a virtual size"},
		{image, inPESection(12, 16), "headers of"},
		{image, inPESection(32, 1), "with relocations"},
		{mingw, inPE(12, 1<<31), "symbol table of"},
		{mingw, inPE(16, 1<<31), "symbol table of 2147483648 entries"},
	})
}

func checkRefused(t *testing.T, refusals []refusal) {
	t.Helper()
	inputs := fixtures(t)
	for _, each := range refusals {
		data := each.change(bytes.Clone(inputs[each.fixture]))
		_, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), section(testBody), section(testHeader))
		if each.reason == "" {
			continue
		}
		refused, ok := errors.AsType[*objcopy.LayoutError](err)
		if !ok || !errors.Is(err, objcopy.ErrLayout) || !strings.Contains(refused.Reason, each.reason) {
			t.Errorf("%s: %v, want a LayoutError with %q", each.fixture, err, each.reason)
		}
	}
}

// TestAddTwice requires that sections that are there already are not added again.
func TestAddTwice(t *testing.T) {
	t.Parallel()
	for name := range fixtures(t) {
		packed := bytesOf(t, addFixture(t, name, section(testBody)))
		_, err := objcopy.Add(bytes.NewReader(packed), int64(len(packed)), section(testBody), section(testHeader))
		if !errors.Is(err, objcopy.ErrLayout) || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
