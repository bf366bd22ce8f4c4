package objcopy

import "encoding/binary"

// Field offsets and numbers are those of the System V ABI.
const (
	elfHeaderSize  = 64
	elfSegmentSize = 56
	elfSectionSize = 64
	elfSymbolSize  = 24

	elfTypeExecutable = 2
	elfTypeDynamic    = 3
	elfMachineX86_64  = 62
	elfMachineAArch64 = 183

	segmentTLS = 7

	sectionProgram       = 1
	sectionSymbols       = 2
	sectionStrings       = 3
	sectionRelocsAddend  = 4
	sectionHash          = 5
	sectionDynamic       = 6
	sectionNoBits        = 8
	sectionRelocs        = 9
	sectionDynamicSymbol = 11
	sectionGroup         = 17
	sectionSymbolIndex   = 18
	sectionRelocsCompact = 0x40000014
	sectionGNUHash       = 0x6ffffff6

	flagAlloc      = 1 << 1
	flagTLS        = 1 << 10
	flagCompressed = 1 << 11

	indexReserved = 0xff00
	indexAbsolute = 0xfff1
	indexCommon   = 0xfff2

	offsetAdded = ^uint64(0) // of a section that the file did not have: behind all others
)

// sectionClass says how a section's contents and references are treated.
type sectionClass int

const (
	classPlain         sectionClass = iota // contents copied, sh_link follows its section
	classCompressed                        // contents copied, sh_link copied
	classStrings                           // built anew
	classSymbols                           // built anew
	classRelocs                            // against classSymbols
	classDynamicRelocs                     // loaded, against the dynamic symbols
	classGroup
	classAdded
)

// segment is a program header, or one of the two tables that are laid out
// like segments: the ELF header and the program header table.
type segment struct {
	kind, flags                 uint32
	offset, vaddr, paddr        uint64
	fileSize, memorySize, align uint64
	index                       int
	parent                      *segment
	newOffset                   uint64
}

// section is a section header with what becomes of it.
type section struct {
	name                      string
	class                     sectionClass
	kind                      uint32
	flags, addr, offset, size uint64
	link, info                uint32
	align, entrySize          uint64

	at      int64    // of the header in the file, for errors
	parent  *segment // the section moves with it
	linked  *section // what link means, nil for none
	applied *section // what info means, of a relocation section
	content Content  // of classAdded
	data    []byte   // contents built anew, of classSymbols and classGroup

	index     uint32 // new
	nameIndex int    // in the table of section names
	newOffset uint64
	text      string       // of classStrings, as it was read
	strings   *stringTable // of classStrings
}

// elfFile is an executable on its way to be rebuilt.
type elfFile struct {
	source
	header       []byte
	segments     []*segment
	sections     []*section // without the null section at index 0
	names        *section   // the section names' string table
	sizeStrings  uint64     // of the string tables that were read
	symbols      *symbolTable
	headTable    segment // the ELF header as a segment
	programTable segment // the program header table as a segment
	offsetTable  uint64  // of the new section header table
}

// section returns the section of this index in the file.
func (f *elfFile) section(index uint32, at int64, what string) (*section, error) {
	if index == 0 || int(index) > len(f.sections) {
		return nil, refuseELF(at, "%s %d is no section of %d", what, index, len(f.sections))
	}
	return f.sections[index-1], nil
}

// rebuildELF is LLVM's whole way: read, remove, reorder symbols, add, lay out, write.
func rebuildELF(src source, edit change) (*Image, error) {
	file := &elfFile{source: src}
	if err := file.readHeader(); err != nil {
		return nil, err
	}
	if err := file.readSections(edit); err != nil {
		return nil, err
	}
	if err := file.readSymbols(); err != nil {
		return nil, err
	}
	if err := file.linkSections(); err != nil {
		return nil, err
	}
	if err := file.readSegments(); err != nil {
		return nil, err
	}
	if err := file.removeSections(edit); err != nil {
		return nil, err
	}
	for _, added := range edit.add {
		file.sections = append(file.sections, &section{
			name: added.name, class: classAdded, kind: sectionProgram, content: added.content,
			offset: offsetAdded, size: uint64(added.content.Size), align: 1,
		})
	}
	if len(file.sections) > SectionsMax {
		return nil, refuseELF(60, "more than %d sections", SectionsMax)
	}
	if err := file.buildTables(); err != nil {
		return nil, err
	}
	if err := file.layOut(); err != nil {
		return nil, err
	}
	return file.write(), nil
}

func (f *elfFile) readHeader() error {
	if f.size < elfHeaderSize {
		return refuseELF(0, "%d bytes, less than an ELF header", f.size)
	}
	header, err := f.read(0, elfHeaderSize)
	if err != nil {
		return err
	}
	f.header = header
	if header[4] != 2 || header[5] != 1 || header[6] != 1 {
		return refuseELF(4, "class, data encoding and version are %d %d %d, not 2 1 1", header[4], header[5], header[6])
	}
	if kind := binary.LittleEndian.Uint16(header[16:]); kind != elfTypeExecutable && kind != elfTypeDynamic {
		return refuseELF(16, "type %d is no executable", kind)
	}
	if machine := binary.LittleEndian.Uint16(header[18:]); machine != elfMachineX86_64 && machine != elfMachineAArch64 {
		return refuseELF(18, "machine %d is neither x86_64 nor aarch64", machine)
	}
	return nil
}
