package objcopy

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Field offsets and numbers are those of Microsoft's "PE Format".
const (
	peDOSHeaderSize  = 64
	peSignature      = "PE\x00\x00"
	peCOFFHeaderSize = 20
	peOptionalSize   = 112 // of an image with 64-bit addresses, without its directories
	peOptionalMagic  = 0x20b
	peDirectorySize  = 8
	peDirectoriesMax = 16

	peDirectoryExport      = 0
	peDirectoryImport      = 1
	peDirectoryCertificate = 4
	peDirectoryRelocs      = 5
	peDirectoryDebug       = 6
	peDirectoryTLS         = 9
	peDirectoryLoadConfig  = 10
	peDirectoryDelayImport = 13

	peSectionSize     = 40
	peNameSize        = 8
	peMachineX86_64   = 0x8664
	peMachineAArch64  = 0xaa64
	peAlignmentMax    = 1 << 24
	peDebugEntrySize  = 28
	peDebugEntriesMax = 256

	peFlagCode          = 0x00000020
	peFlagInitialized   = 0x00000040
	peFlagRemove        = 0x00000800 // "noload"
	peFlagManyRelocs    = 0x01000000
	peFlagRead          = 0x40000000
	peFillCode          = 0xcc // int3
	peOffsetCOFFPointer = 0x3c
)

// peSection is a section header with what becomes of it.
type peSection struct {
	name                        string
	header                      []byte // 40 bytes, patched in place
	at                          int64  // of the header in the file, for errors
	virtualAddress, virtualSize uint32
	rawSize                     uint32
	flags                       uint32
	content                     Content // of an added section
	offset                      int64   // of the contents in the file
	size                        int64   // of the contents: neither beyond the raw nor the virtual size
	index                       int     // new, from 1; 0 is removed
	newOffset                   int64   // of the raw data
	nameIndex                   int     // in the string table, of a name of more than 8 bytes
}

// peFile is an image on its way to be rebuilt.
type peFile struct {
	source
	stubEnd        int64  // the DOS stub is between the DOS header and this
	coff           []byte // 20 bytes
	optional       []byte // 112 bytes and the directories
	sections       []*peSection
	stringsOld     string // with its size in front
	symbols        *peSymbols
	strings        *stringTable
	fileAlignment  int64
	imageAlignment uint64
	sizeHeaders    int64
	end            int64 // of the raw data
}

func rebuildPE(src source, edit change) (*Image, error) {
	file := &peFile{source: src}
	tableAt, err := file.readHeaders()
	if err != nil {
		return nil, err
	}
	if err := file.readStrings(); err != nil {
		return nil, err
	}
	if err := file.readSections(tableAt, edit); err != nil {
		return nil, err
	}
	if err := file.checkDirectories(); err != nil {
		return nil, err
	}
	if err := file.readSymbols(); err != nil {
		return nil, err
	}
	for _, added := range edit.add {
		if err := file.addSection(added); err != nil {
			return nil, err
		}
	}
	if err := file.layOut(); err != nil {
		return nil, err
	}
	if err := file.buildStrings(); err != nil {
		return nil, err
	}
	return file.write()
}

// readHeaders returns where the section table is.
func (f *peFile) readHeaders() (int64, error) {
	if f.size < peDOSHeaderSize {
		return 0, refusePE(0, "%d bytes, less than an MS-DOS header", f.size)
	}
	dos, err := f.read(0, peDOSHeaderSize)
	if err != nil {
		return 0, err
	}
	start := binary.LittleEndian.Uint32(dos[peOffsetCOFFPointer:])
	fixed := uint64(len(peSignature) + peCOFFHeaderSize)
	if start < peDOSHeaderSize || !f.within(uint64(start), fixed+peOptionalSize) {
		return 0, refusePE(peOffsetCOFFPointer, "PE header at offset %d", start)
	}
	f.stubEnd = int64(start)
	head, err := f.read(f.stubEnd, int64(fixed))
	if err != nil {
		return 0, err
	}
	if string(head[:4]) != peSignature {
		return 0, refusePE(f.stubEnd, "no PE signature: % x", head[:4])
	}
	f.coff = head[4:]
	if machine := binary.LittleEndian.Uint16(f.coff); machine != peMachineX86_64 && machine != peMachineAArch64 {
		return 0, refusePE(f.stubEnd+4, "machine %#x is neither x86_64 nor aarch64", machine)
	}
	return f.readOptional(f.stubEnd + int64(fixed))
}

func (f *peFile) readOptional(at int64) (int64, error) {
	size := binary.LittleEndian.Uint16(f.coff[16:])
	if size < peOptionalSize || !f.within(uint64(at), uint64(size)) {
		return 0, refusePE(at, "optional header of %d bytes, less than %d or past the file", size, peOptionalSize)
	}
	optional, err := f.read(at, int64(size))
	if err != nil {
		return 0, err
	}
	if magic := binary.LittleEndian.Uint16(optional); magic != peOptionalMagic {
		return 0, refusePE(at, "optional header %#x, not %#x", magic, peOptionalMagic)
	}
	directories := binary.LittleEndian.Uint32(optional[108:])
	if directories > peDirectoriesMax || peOptionalSize+directories*peDirectorySize > uint32(size) {
		return 0, refusePE(at+108, "%d data directories in an optional header of %d bytes", directories, size)
	}
	f.optional = optional[:peOptionalSize+directories*peDirectorySize]
	f.imageAlignment = uint64(binary.LittleEndian.Uint32(optional[32:]))
	f.fileAlignment = int64(binary.LittleEndian.Uint32(optional[36:]))
	if bits.OnesCount64(f.imageAlignment) != 1 || bits.OnesCount64(uint64(f.fileAlignment)) != 1 || f.fileAlignment > peAlignmentMax {
		return 0, refusePE(at+32, "alignments of %d in memory and %d in the file", f.imageAlignment, f.fileAlignment)
	}
	return at + int64(size), nil
}

// readSections reads and names the sections, and numbers those that stay.
func (f *peFile) readSections(at int64, edit change) error {
	count := binary.LittleEndian.Uint16(f.coff[2:])
	if count == 0 || count > SectionsMax || !f.within(uint64(at), uint64(count)*peSectionSize) {
		return refusePE(at, "section table of %d entries", count)
	}
	table, err := f.read(at, int64(count)*peSectionSize)
	if err != nil {
		return err
	}
	index, sum := 0, 0
	for number := range int64(count) {
		s := decodePESection(table[number*peSectionSize:][:peSectionSize])
		s.at = at + number*peSectionSize
		if err := f.checkSection(s); err != nil {
			return err
		}
		if s.name, err = f.sectionName(s); err != nil {
			return err
		}
		if sum += len(s.name); sum > namesSizeMax {
			return refusePE(s.at, "section names: %v", errNames)
		}
		if edit.clashes(s.name) {
			return refusePE(s.at, "a section %s is there already", s.name)
		}
		if !edit.removes(s.name) {
			index++
			s.index = index
		}
		f.sections = append(f.sections, s)
	}
	if index == 0 {
		return refusePE(at, "no section is left")
	}
	return nil
}

func decodePESection(header []byte) *peSection {
	s := &peSection{
		header:         header,
		virtualSize:    binary.LittleEndian.Uint32(header[8:]),
		virtualAddress: binary.LittleEndian.Uint32(header[12:]),
		rawSize:        binary.LittleEndian.Uint32(header[16:]),
		offset:         int64(binary.LittleEndian.Uint32(header[20:])),
		flags:          binary.LittleEndian.Uint32(header[36:]) &^ peFlagManyRelocs,
	}
	if s.offset != 0 {
		s.size = int64(min(s.virtualSize, s.rawSize))
	}
	return s
}

func (f *peFile) checkSection(s *peSection) error {
	switch {
	case !f.within(uint64(s.offset), uint64(s.size)):
		return refusePE(s.at, "section of %d bytes at offset %d ends past the file", s.size, s.offset)
	case binary.LittleEndian.Uint16(s.header[32:]) != 0:
		return refusePE(s.at, "a section of an image with relocations")
	case s.virtualSize == 0 && s.rawSize != 0: // also without a pointer: the rebuilt file would have one
		return refusePE(s.at, "%d bytes of raw data in a section without a virtual size", s.rawSize)
	}
	return nil
}

// checkDirectories requires that the tables that LLVM looks at lie in sections. A signature
// is refused: what is signed changes, and LLVM leaves the entry pointing at what is no longer there.
func (f *peFile) checkDirectories() error {
	if entry := f.directory(peDirectoryCertificate); entry != nil && binary.LittleEndian.Uint64(entry) != 0 {
		return refusePE(f.stubEnd, "the image is signed")
	}
	for _, index := range []int{peDirectoryExport, peDirectoryImport, peDirectoryRelocs, peDirectoryDebug,
		peDirectoryTLS, peDirectoryLoadConfig, peDirectoryDelayImport} {
		entry := f.directory(index)
		if entry == nil {
			continue
		}
		address := binary.LittleEndian.Uint32(entry)
		inside := func(s *peSection) bool {
			return address >= s.virtualAddress && uint64(address) < uint64(s.virtualAddress)+uint64(s.virtualSize)
		}
		if address != 0 && !slices.ContainsFunc(f.sections, inside) {
			return refusePE(f.stubEnd, "data directory %d is at address %#x, in no section", index, address)
		}
	}
	return nil
}

// addSection puts a section behind the last one that stays.
func (f *peFile) addSection(added addition) error {
	last := f.kept()[len(f.kept())-1]
	address, err := alignUp(uint64(last.virtualAddress)+uint64(last.virtualSize), f.imageAlignment, 0)
	if err != nil || address+uint64(added.content.Size) > 1<<32-1 {
		return refusePE(last.at, "no room in 32 bits of address for section %s of %d bytes", added.name, added.content.Size)
	}
	f.sections = append(f.sections, &peSection{
		name:           added.name,
		header:         make([]byte, peSectionSize),
		at:             last.at,
		virtualAddress: uint32(address),
		virtualSize:    uint32(added.content.Size),
		rawSize:        uint32(f.alignFile(added.content.Size)),
		flags:          peFlagRead | peFlagRemove,
		content:        added.content,
		size:           added.content.Size,
		index:          last.index + 1,
	})
	return nil
}

// kept returns the sections of the new file, in order.
func (f *peFile) kept() []*peSection {
	var kept []*peSection
	for _, s := range f.sections {
		if s.index != 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

func (f *peFile) alignFile(offset int64) int64 {
	return (offset + f.fileAlignment - 1) &^ (f.fileAlignment - 1)
}
