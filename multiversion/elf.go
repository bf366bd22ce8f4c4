package multiversion

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	sectionBody   = ".tb_mvb"
	sectionHeader = ".tb_mvh"

	elfHeaderSize          = 64
	elfSectionHeaderSize   = 64
	elfSectionCountMin     = 2
	elfSectionCountMax     = 128
	elfSectionTypeStrings  = 3      // SHT_STRTAB
	elfSectionIndexReserve = 0xff00 // SHN_LORESERVE
)

// elfSections is the part of an ELF file that locating needs: the section
// table and where the section names are.
type elfSections struct {
	table   []byte // e_shnum entries of 64 bytes
	offset  int64  // of the table in the file
	strings Extent
}

// locateELF finds the sections by upstream's rules (parse_elf in
// src/multiversion.zig). Field offsets are those of the System V ABI.
func locateELF(file reader) (Layout, error) {
	header, err := readELFHeader(file)
	if err != nil {
		return Layout{}, err
	}
	sections, err := readELFSections(file, header)
	if err != nil {
		return Layout{}, err
	}
	image, err := findELFSections(file, sections)
	if err != nil {
		return Layout{}, err
	}
	arch, known := elfArch(header)
	if image == nil {
		failure := broken(RuleNoSections, sections.offset, "sections "+sectionBody+" and "+sectionHeader, "neither of them")
		failure.Arch = arch
		return Layout{}, failure
	}
	if !known {
		return Layout{}, broken(RuleMachine, 18, "x86_64 (62) or aarch64 (183)", "machine %s", arch)
	}
	image.Arch = arch
	return Layout{
		Format:       FormatELF,
		Size:         file.size,
		Images:       []ImageLayout{*image},
		SectionTable: Extent{Offset: sections.offset, Size: int64(len(sections.table))},
	}, nil
}

func identifyELF(file reader) (Arch, error) {
	header, err := readELFHeader(file)
	if err != nil {
		return "", err
	}
	arch, _ := elfArch(header)
	return arch, nil
}

// elfArch returns the architecture, and whether it is one of TigerBeetle's.
func elfArch(header []byte) (Arch, bool) {
	switch machine := binary.LittleEndian.Uint16(header[18:]); machine {
	case 62:
		return ArchX86_64, true
	case 183:
		return ArchAArch64, true
	default:
		return Arch(fmt.Sprintf("machine-%d", machine)), false
	}
}

func readELFHeader(file reader) ([]byte, error) {
	if file.size < elfHeaderSize {
		return nil, broken(RuleELFShort, 0, fmt.Sprintf("at least %d bytes", elfHeaderSize), "%d bytes", file.size)
	}
	header := make([]byte, elfHeaderSize)
	if err := file.read(header, 0); err != nil {
		return nil, err
	}
	if header[6] != 1 {
		return nil, broken(RuleELFVersion, 6, "1", "ident version %d", header[6])
	}
	if header[5] != 1 {
		return nil, broken(RuleELFEndian, 5, "1 (little-endian)", "data encoding %d", header[5])
	}
	if header[4] != 2 {
		return nil, broken(RuleELFClass, 4, "2 (64-bit)", "class %d", header[4])
	}
	return header, nil
}

func readELFSections(file reader, header []byte) (elfSections, error) {
	offset := binary.LittleEndian.Uint64(header[40:])
	count := binary.LittleEndian.Uint16(header[60:])
	index := binary.LittleEndian.Uint16(header[62:])
	if index == 0 || index >= elfSectionIndexReserve {
		return elfSections{}, broken(RuleELFStringIndex, 62, fmt.Sprintf("1 to %d", elfSectionIndexReserve-1), "string table index %d", index)
	}
	if count < elfSectionCountMin || count > elfSectionCountMax {
		return elfSections{}, broken(RuleELFSectionCount, 60, fmt.Sprintf("%d to %d", elfSectionCountMin, elfSectionCountMax), "%d sections", count)
	}
	size := uint64(count) * elfSectionHeaderSize
	if !file.within(offset, size) {
		return elfSections{}, broken(RuleELFSectionTable, 40, fmt.Sprintf("an end inside the file's %d bytes", file.size),
			"section table of %d bytes at offset %d", size, offset)
	}
	sections := elfSections{table: make([]byte, size), offset: int64(offset)}
	if err := file.read(sections.table, sections.offset); err != nil {
		return elfSections{}, err
	}
	entry, entryOffset, err := sections.stringEntry(file, int(index))
	if err != nil {
		return elfSections{}, err
	}
	sections.strings, err = checkELFStrings(file, entry, entryOffset)
	return sections, err
}

// stringEntry returns the section header of the string table, which may stand
// behind the table's counted end: upstream compares only with the file's end.
func (s elfSections) stringEntry(file reader, index int) ([]byte, int64, error) {
	start := index * elfSectionHeaderSize
	offset := s.offset + int64(start)
	if start < len(s.table) {
		return s.table[start:][:elfSectionHeaderSize], offset, nil
	}
	if !file.within(uint64(offset), elfSectionHeaderSize) {
		return nil, 0, broken(RuleELFSectionTable, offset, fmt.Sprintf("an end inside the file's %d bytes", file.size),
			"the string table's section header")
	}
	entry := make([]byte, elfSectionHeaderSize)
	return entry, offset, file.read(entry, offset)
}

func checkELFStrings(file reader, entry []byte, at int64) (Extent, error) {
	kind := binary.LittleEndian.Uint32(entry[4:])
	offset := binary.LittleEndian.Uint64(entry[24:])
	size := binary.LittleEndian.Uint64(entry[32:])
	if kind != elfSectionTypeStrings {
		return Extent{}, broken(RuleELFStringType, at+4, "3 (SHT_STRTAB)", "section type %d", kind)
	}
	if size == 0 || size >= uint64(file.size) {
		return Extent{}, broken(RuleELFStringSize, at+32, fmt.Sprintf("1 to %d bytes", file.size-1), "string table of %d bytes", size)
	}
	if !file.within(offset, size) {
		return Extent{}, broken(RuleELFStringInFile, at+24, fmt.Sprintf("an end inside the file's %d bytes", file.size),
			"string table of %d bytes at offset %d", size, offset)
	}
	var last [1]byte
	end := int64(offset + size)
	if err := file.read(last[:], end-1); err != nil {
		return Extent{}, err
	}
	if last[0] != 0 {
		return Extent{}, broken(RuleELFStringEnd, end-1, "0", "last byte of the string table is %d", last[0])
	}
	return Extent{Offset: int64(offset), Size: int64(size)}, nil
}

// findELFSections walks the section table. It returns nil without an error
// if there is neither body nor header.
func findELFSections(file reader, sections elfSections) (*ImageLayout, error) {
	var image ImageLayout
	var body, header bool
	count := len(sections.table) / elfSectionHeaderSize
	for index := range count {
		start := index * elfSectionHeaderSize
		entry, at := sections.table[start:][:elfSectionHeaderSize], sections.offset+int64(start)
		name, err := sections.name(file, entry, at)
		if err != nil {
			return nil, err
		}
		switch name {
		case sectionBody:
			err = checkELFBody(entry, at, body, index, count)
			image.Body = elfExtent(entry)
			body = true
		case sectionHeader:
			err = checkELFHeader(entry, at, index, count)
			image.Header = elfExtent(entry)
			header = true
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case body && header:
		return &image, nil
	case body:
		return nil, broken(RuleNoHeader, sections.offset, "a section "+sectionHeader, "a body without a header")
	case header:
		return nil, broken(RuleNoBody, sections.offset, "a section "+sectionBody, "a header without a body")
	}
	return nil, nil
}

func elfExtent(entry []byte) Extent {
	return Extent{
		Offset: int64(binary.LittleEndian.Uint64(entry[24:])),
		Size:   int64(binary.LittleEndian.Uint64(entry[32:])),
	}
}

func checkELFBody(entry []byte, at int64, seen bool, index, count int) error {
	offset, size := binary.LittleEndian.Uint64(entry[24:]), binary.LittleEndian.Uint64(entry[32:])
	switch {
	case seen:
		return broken(RuleELFBodyTwice, at, "one section "+sectionBody, "a second one at index %d", index)
	case index != count-2:
		return broken(RuleELFBodyPlace, at, fmt.Sprintf("index %d, the second last", count-2), "body at index %d", index)
	case offset > math.MaxUint32:
		return broken(RuleELFBodyRange, at+24, "an offset of 32 bits", "body offset %d", offset)
	case size > math.MaxUint32:
		return broken(RuleELFBodyRange, at+32, "a size of 32 bits", "body size %d", size)
	}
	return nil
}

// checkELFHeader needs no rule against a second header: the first of two is
// not the last section.
func checkELFHeader(entry []byte, at int64, index, count int) error {
	offset, size := binary.LittleEndian.Uint64(entry[24:]), binary.LittleEndian.Uint64(entry[32:])
	switch {
	case size != HeaderSize:
		return broken(RuleELFHeaderSize, at+32, fmt.Sprint(HeaderSize), "header size %d", size)
	case index != count-1:
		return broken(RuleELFHeaderPlace, at, fmt.Sprintf("index %d, the last", count-1), "header at index %d", index)
	case offset > math.MaxUint32:
		return broken(RuleELFHeaderRange, at+24, "an offset of 32 bits", "header offset %d", offset)
	}
	return nil
}

// name returns the section's name if it has at most 7 characters, as those
// looked for have, and otherwise its first 8.
func (s elfSections) name(file reader, entry []byte, at int64) (string, error) {
	start := int64(binary.LittleEndian.Uint32(entry[0:]))
	if start > s.strings.Size-1 {
		return "", broken(RuleELFSectionName, at, fmt.Sprintf("less than the string table's %d bytes", s.strings.Size), "name at %d", start)
	}
	buffer := make([]byte, min(int64(len(sectionBody)+1), s.strings.Size-start))
	if err := file.read(buffer, s.strings.Offset+start); err != nil {
		return "", err
	}
	return textUntilNUL(buffer), nil
}

// textUntilNUL returns the bytes before the first NUL, or all of them.
func textUntilNUL(buffer []byte) string {
	for index, char := range buffer {
		if char == 0 {
			return string(buffer[:index])
		}
	}
	return string(buffer)
}
