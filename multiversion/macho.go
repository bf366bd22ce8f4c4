package multiversion

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// CPU types of the fat header: the two real ones, and the four obsolete ones
// that upstream uses to carry body and header of each.
const (
	machoCPUAArch64       = 0x0100000c
	machoCPUX86_64        = 0x01000007
	machoCPUBodyAArch64   = 1 // VAX
	machoCPUHeaderAArch64 = 2 // ROMP
	machoCPUBodyX86_64    = 4 // NS32032
	machoCPUHeaderX86_64  = 5 // NS32332

	machoFatHeaderSize = 8
	machoFatEntrySize  = 20
	machoFatCount      = 6

	// machoCountMax is the most architectures that a universal file is taken to
	// have. Java's class files have the same magic number, and in the count's
	// place a version of 45 or more.
	machoCountMax = 44
)

// machoPart collects what the fat header gives for one architecture.
type machoPart struct {
	body, header, executable *Extent
}

// locateMachO reads the big-endian fat header (Apple's mach-o/fat.h).
func locateMachO(file reader) (Layout, error) {
	count, err := readMachOCount(file)
	if err != nil {
		return Layout{}, err
	}
	if count != machoFatCount {
		return Layout{}, refuseMachOCount(file, count)
	}
	table := Extent{Offset: machoFatHeaderSize, Size: machoFatCount * machoFatEntrySize}
	if table.End() > file.size {
		return Layout{}, broken(RuleMachOEntry, table.Offset, fmt.Sprintf("at least %d bytes", table.End()), "the file has %d bytes", file.size)
	}
	buffer := make([]byte, table.Size)
	if err := file.read(buffer, table.Offset); err != nil {
		return Layout{}, err
	}
	parts, err := readMachOEntries(buffer)
	if err != nil {
		return Layout{}, err
	}
	layout := Layout{Format: FormatMachO, Size: file.size, SectionTable: Extent{Size: table.End()}}
	for index, arch := range [2]Arch{ArchAArch64, ArchX86_64} {
		image, err := parts[index].image(arch, file.size)
		if err != nil {
			return Layout{}, err
		}
		layout.Images = append(layout.Images, image)
	}
	return layout, nil
}

// refuseMachOCount tells what a fat header with another count than six means. If CPU types
// that mark header and body stand where a multiversion binary has them, whatever the
// count says, it is one that is damaged: who took it for a plain executable would
// put the blame on the operator.
func refuseMachOCount(file reader, count uint32) error {
	want := fmt.Sprintf("%d architectures", machoFatCount)
	marked, err := machoMarked(file, count)
	switch {
	case err != nil:
		return err
	case marked || count == 0:
		failure := broken(RuleMachOCount, 4, want, "%d architectures", count)
		failure.Arch = ArchUniversal
		return failure
	case count > machoCountMax:
		return broken(RuleKind, 4, "an ELF, PE or Mach-O universal file", "a Java class file, or %d architectures", count)
	}
	if table := (Extent{Offset: machoFatHeaderSize, Size: machoFatEntrySize * int64(count)}); table.End() > file.size {
		return broken(RuleMachOEntry, table.Offset, fmt.Sprintf("at least %d bytes", table.End()), "the file has %d bytes", file.size)
	}
	failure := broken(RuleMachOPlain, 4, want, "%d architectures, none of which carries header or body", count)
	failure.Arch = ArchUniversal
	return failure
}

// machoMarked reports whether a CPU type that marks header or body is among
// the entries that the fat header counts, or, if it counts fewer or more than can be,
// among the six that a multiversion binary has. Those that the file is too short for are passed over.
func machoMarked(file reader, count uint32) (bool, error) {
	entries := int64(machoFatCount)
	if count <= machoCountMax {
		entries = max(entries, int64(count))
	}
	entries = min(entries, (file.size-machoFatHeaderSize)/machoFatEntrySize)
	table := make([]byte, entries*machoFatEntrySize)
	if err := file.read(table, machoFatHeaderSize); err != nil {
		return false, err
	}
	for entry := range slices.Chunk(table, machoFatEntrySize) {
		switch binary.BigEndian.Uint32(entry) {
		case machoCPUBodyAArch64, machoCPUHeaderAArch64, machoCPUBodyX86_64, machoCPUHeaderX86_64:
			return true, nil
		}
	}
	return false, nil
}

func identifyMachO(file reader) (Arch, error) {
	var head [8]byte
	if file.size < int64(len(head)) {
		return "", broken(RuleMachOShort, 0, fmt.Sprintf("at least %d bytes", len(head)), "%d bytes", file.size)
	}
	if err := file.read(head[:], 0); err != nil {
		return "", err
	}
	if magic := binary.BigEndian.Uint32(head[:]); magic == magicMachOFat || magic == magicMachOFat64 {
		return ArchUniversal, nil
	}
	return machoArch(binary.LittleEndian.Uint32(head[4:])), nil
}

// readMachOCount returns the number of architectures in the fat header.
func readMachOCount(file reader) (uint32, error) {
	arch, err := identifyMachO(file)
	if err != nil {
		return 0, err
	}
	if arch != ArchUniversal {
		failure := broken(RuleNoSections, 0, "a universal file", "a single-architecture Mach-O file")
		failure.Arch = arch
		return 0, failure
	}
	var head [machoFatHeaderSize]byte
	if err := file.read(head[:], 0); err != nil {
		return 0, err
	}
	if magic := binary.BigEndian.Uint32(head[:]); magic != magicMachOFat {
		return 0, broken(RuleMachOFat64, 0, fmt.Sprintf("%#x", magicMachOFat), "magic %#x", magic)
	}
	return binary.BigEndian.Uint32(head[4:]), nil
}

// readMachOEntries returns what the entries give for aarch64 and x86_64.
func readMachOEntries(table []byte) ([2]machoPart, error) {
	var parts [2]machoPart
	slots := map[uint32]**Extent{
		machoCPUBodyAArch64:   &parts[0].body,
		machoCPUHeaderAArch64: &parts[0].header,
		machoCPUBodyX86_64:    &parts[1].body,
		machoCPUHeaderX86_64:  &parts[1].header,
	}
	executables := map[uint32]**Extent{
		machoCPUAArch64: &parts[0].executable,
		machoCPUX86_64:  &parts[1].executable,
	}
	for index := range machoFatCount {
		entry := table[index*machoFatEntrySize:][:machoFatEntrySize]
		cpu := binary.BigEndian.Uint32(entry)
		extent := &Extent{
			Offset: int64(binary.BigEndian.Uint32(entry[8:])),
			Size:   int64(binary.BigEndian.Uint32(entry[12:])),
		}
		if slot, ok := executables[cpu]; ok && *slot == nil {
			*slot = extent
		}
		slot, ok := slots[cpu]
		if !ok {
			continue
		}
		if *slot != nil {
			at := int64(machoFatHeaderSize + index*machoFatEntrySize)
			return parts, broken(RuleMachOTwice, at, "each data CPU type once", "CPU type %d again", cpu)
		}
		*slot = extent
	}
	return parts, nil
}

func (p machoPart) image(arch Arch, size int64) (ImageLayout, error) {
	if p.header == nil {
		err := broken(RuleNoHeader, machoFatHeaderSize, "a header for "+string(arch), "no entry that carries it")
		err.Arch = arch
		return ImageLayout{}, err
	}
	if p.body == nil {
		err := broken(RuleNoBody, machoFatHeaderSize, "a body for "+string(arch), "no entry that carries it")
		err.Arch = arch
		return ImageLayout{}, err
	}
	// Upstream reads 8192 bytes of header whatever the entry's size says.
	image := ImageLayout{Arch: arch, Body: *p.body, Header: Extent{Offset: p.header.Offset, Size: HeaderSize}}
	if p.executable != nil && p.executable.End() <= size {
		image.Executable = *p.executable
	}
	return image, nil
}

// UniversalArchs returns the architectures of a Mach-O universal file in the
// order of its fat header, with or without multiversion sections. A processor other
// than TigerBeetle's is named as its number. The error is a [*FormatError]:
// [RuleMachOCount] for more than 44 of them, as Java's class files seem to have.
func UniversalArchs(r io.ReaderAt, size int64) ([]Arch, error) {
	file := reader{r: r, size: size}
	if format, err := file.format(); err != nil {
		return nil, err
	} else if format != FormatMachO {
		return nil, broken(RuleKind, 0, "a Mach-O universal file", "%s", format)
	}
	count, err := readMachOCount(file)
	if err != nil {
		return nil, err
	}
	if count > machoCountMax {
		return nil, broken(RuleMachOCount, 4, fmt.Sprintf("at most %d architectures", machoCountMax), "%d architectures", count)
	}
	table := make([]byte, machoFatEntrySize*count)
	if !file.within(machoFatHeaderSize, uint64(len(table))) {
		return nil, broken(RuleMachOEntry, machoFatHeaderSize, fmt.Sprintf("at least %d bytes", machoFatHeaderSize+len(table)), "the file has %d bytes", size)
	}
	if err := file.read(table, machoFatHeaderSize); err != nil {
		return nil, err
	}
	archs := make([]Arch, count)
	for index := range archs {
		archs[index] = machoArch(binary.BigEndian.Uint32(table[machoFatEntrySize*index:]))
	}
	return archs, nil
}

// machoArch names a CPU type.
func machoArch(cpu uint32) Arch {
	switch cpu {
	case machoCPUAArch64:
		return ArchAArch64
	case machoCPUX86_64:
		return ArchX86_64
	default:
		return Arch(fmt.Sprintf("machine-%#x", cpu))
	}
}
