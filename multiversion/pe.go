package multiversion

import (
	"encoding/binary"
	"fmt"
)

const (
	peOffsetPointer     = 0x3c
	peSignature         = "PE\x00\x00"
	peCOFFHeaderSize    = 20
	peSectionHeaderSize = 40
	peNameSize          = 8
	peMachineX86_64     = 0x8664
	peMachineAArch64    = 0xaa64
)

// peHeader is the part of the COFF header that locating needs.
type peHeader struct {
	offset   int64 // of the COFF header in the file
	machine  uint16
	sections Extent // the section table
}

// locatePE finds the sections by name. Field offsets are those of the PE
// format (Microsoft's "PE Format"); of two sections with one name the first
// counts, as upstream has it.
func locatePE(file reader) (Layout, error) {
	header, err := readPEHeader(file)
	if err != nil {
		return Layout{}, err
	}
	image, err := findPESections(file, header.sections)
	if err != nil {
		return Layout{}, err
	}
	arch, known := header.arch()
	if image == nil {
		failure := broken(RuleNoSections, header.sections.Offset, "sections "+sectionBody+" and "+sectionHeader, "neither of them")
		failure.Arch = arch
		return Layout{}, failure
	}
	if !known {
		return Layout{}, broken(RuleMachine, header.offset, "x86_64 (0x8664) or aarch64 (0xaa64)", "machine %s", arch)
	}
	image.Arch = arch
	return Layout{Format: FormatPE, Size: file.size, Images: []ImageLayout{*image}, SectionTable: header.sections}, nil
}

func identifyPE(file reader) (Arch, error) {
	header, err := readPEHeader(file)
	if err != nil {
		return "", err
	}
	arch, _ := header.arch()
	return arch, nil
}

// arch returns the architecture, and whether it is one of TigerBeetle's.
func (h peHeader) arch() (Arch, bool) {
	switch h.machine {
	case peMachineX86_64:
		return ArchX86_64, true
	case peMachineAArch64:
		return ArchAArch64, true
	}
	return Arch(fmt.Sprintf("machine-%#x", h.machine)), false
}

func readPEHeader(file reader) (peHeader, error) {
	var pointer [4]byte
	if !file.within(peOffsetPointer, 4) {
		return peHeader{}, broken(RulePEShort, 0, fmt.Sprintf("at least %d bytes", peOffsetPointer+4), "%d bytes", file.size)
	}
	if err := file.read(pointer[:], peOffsetPointer); err != nil {
		return peHeader{}, err
	}
	start := binary.LittleEndian.Uint32(pointer[:])
	if !file.within(uint64(start), uint64(len(peSignature)+peCOFFHeaderSize)) {
		return peHeader{}, broken(RulePEShort, peOffsetPointer, fmt.Sprintf("headers inside the file's %d bytes", file.size),
			"PE header at offset %d", start)
	}
	var buffer [len(peSignature) + peCOFFHeaderSize]byte
	if err := file.read(buffer[:], int64(start)); err != nil {
		return peHeader{}, err
	}
	if signature := string(buffer[:len(peSignature)]); signature != peSignature {
		return peHeader{}, broken(RulePEImage, int64(start), "the signature PE\\0\\0", "% x", signature)
	}
	coff := buffer[len(peSignature):]
	header := peHeader{offset: int64(start) + int64(len(peSignature)), machine: binary.LittleEndian.Uint16(coff)}
	optional := binary.LittleEndian.Uint16(coff[16:])
	if optional == 0 {
		return peHeader{}, broken(RulePEImage, header.offset+16, "an optional header, as an image has", "optional header of 0 bytes")
	}
	header.sections = Extent{
		Offset: header.offset + peCOFFHeaderSize + int64(optional),
		Size:   int64(binary.LittleEndian.Uint16(coff[2:])) * peSectionHeaderSize,
	}
	if header.sections.End() > file.size {
		return peHeader{}, broken(RulePESections, header.offset+2, fmt.Sprintf("an end inside the file's %d bytes", file.size),
			"section table ends at %d", header.sections.End())
	}
	return header, nil
}

// findPESections returns nil without an error if there is neither section.
func findPESections(file reader, table Extent) (*ImageLayout, error) {
	const entriesAtOnce = 96 // more than the loader allows an image to have
	buffer := make([]byte, min(table.Size, entriesAtOnce*peSectionHeaderSize))
	var image ImageLayout
	var body, header bool
	for offset := table.Offset; offset < table.End() && !(body && header); offset += int64(len(buffer)) {
		buffer = buffer[:min(int64(len(buffer)), table.End()-offset)]
		if err := file.read(buffer, offset); err != nil {
			return nil, err
		}
		for entry := buffer; len(entry) > 0; entry = entry[peSectionHeaderSize:] {
			switch name := textUntilNUL(entry[:peNameSize]); {
			case name == sectionBody && !body:
				image.Body, body = peExtent(entry), true
			case name == sectionHeader && !header:
				// Upstream reads 8192 bytes there whatever the size says.
				image.Header, header = Extent{Offset: peExtent(entry).Offset, Size: HeaderSize}, true
			}
		}
	}
	switch {
	case body && header:
		return &image, nil
	case body:
		return nil, broken(RuleNoHeader, table.Offset, "a section "+sectionHeader, "a body without a header")
	case header:
		return nil, broken(RuleNoBody, table.Offset, "a section "+sectionBody, "a header without a body")
	}
	return nil, nil
}

func peExtent(entry []byte) Extent {
	return Extent{
		Offset: int64(binary.LittleEndian.Uint32(entry[20:])),
		Size:   int64(binary.LittleEndian.Uint32(entry[16:])),
	}
}
