package multiversion

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// sample is a small file by the rules of its format, with nothing that could
// run in it. The past releases are 0.17.6 and 0.17.7 (visit), the current is 0.17.8.
type sample struct {
	data   []byte
	format Format
	table  int64 // section table, or the fat header's entries
	names  int64 // ELF: the string table; PE: the COFF header
	images []ImageLayout
}

const (
	nameBodyELF   = 11 // in the string table
	nameHeaderELF = 19
	sizeNamesELF  = 27
)

func sampleMembers() [][]byte {
	return [][]byte{bytes.Repeat([]byte("\x7fELF past 0.17.6 "), 7), bytes.Repeat([]byte("\x7fELF past 0.17.7 "), 5)}
}

func sampleHeader() Header {
	header := Header{
		Current: Current{Release: NewRelease(0, 17, 8), Visit: true, Checksum: ChecksumOf([]byte("current")), Commit: Commit{8}, ClientMin: NewRelease(0, 16, 4)},
	}
	var offset uint32
	for index, member := range sampleMembers() {
		header.Past = append(header.Past, Past{
			Release: NewRelease(0, 17, uint8(6+index)), Visit: index == 1, Offset: offset, Size: uint32(len(member)),
			Checksum: ChecksumOf(member), Commit: Commit{byte(6 + index)}, ClientMin: NewRelease(0, 15, 3),
		})
		offset += uint32(len(member))
	}
	return header
}

// finish writes pack and headers into place and seals them.
func (s sample) finish(t testing.TB) sample {
	t.Helper()
	for _, image := range s.images {
		copy(s.data[image.Body.Offset:], bytes.Join(sampleMembers(), nil))
		clear(s.data[image.Header.Offset:image.Header.End()])
	}
	header := sampleHeader()
	header.ChecksumBinary = ChecksumOf(s.data)
	raw, err := header.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range s.images {
		copy(s.data[image.Header.Offset:], raw[:])
	}
	return s
}

// clone returns the bytes, to be changed.
func (s sample) clone() []byte { return bytes.Clone(s.data) }

// header returns the bytes of a header in data, which was made of s.
func (s sample) header(data []byte, image int) *[HeaderSize]byte {
	return (*[HeaderSize]byte)(data[s.images[image].Header.Offset:])
}

func packSize() int64 { return int64(len(bytes.Join(sampleMembers(), nil))) }

// sampleELF has the sections null, .shstrtab, .tb_mvb and .tb_mvh, and their table at the end.
func sampleELF(t testing.TB) sample {
	s := sample{format: FormatELF, names: 576}
	body := Extent{Offset: s.names + sizeNamesELF, Size: packSize()}
	header := Extent{Offset: body.End(), Size: HeaderSize}
	s.table = (header.End() + 7) / 8 * 8
	s.images = []ImageLayout{{Arch: ArchX86_64, Body: body, Header: header}}
	s.data = bytes.Repeat([]byte{0x90}, int(s.table+4*elfSectionHeaderSize))
	clear(s.data[:elfHeaderSize])
	copy(s.data, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(s.data[18:], 62)
	binary.LittleEndian.PutUint64(s.data[40:], uint64(s.table))
	binary.LittleEndian.PutUint16(s.data[60:], 4)
	binary.LittleEndian.PutUint16(s.data[62:], 1)
	copy(s.data[s.names:], "\x00.shstrtab\x00.tb_mvb\x00.tb_mvh\x00")
	clear(s.data[s.table:])
	for index, section := range []struct {
		name, kind uint32
		extent     Extent
	}{{}, {1, 3, Extent{s.names, sizeNamesELF}}, {nameBodyELF, 1, body}, {nameHeaderELF, 1, header}} {
		entry := s.data[s.table+int64(index)*elfSectionHeaderSize:]
		binary.LittleEndian.PutUint32(entry, section.name)
		binary.LittleEndian.PutUint32(entry[4:], section.kind)
		binary.LittleEndian.PutUint64(entry[24:], uint64(section.extent.Offset))
		binary.LittleEndian.PutUint64(entry[32:], uint64(section.extent.Size))
	}
	return s.finish(t)
}

// samplePE has the sections .text, .tb_mvb and .tb_mvh; the header ends the file.
func samplePE(t testing.TB) sample {
	const start, optional, sections = 64, 16, 3
	s := sample{format: FormatPE, names: start + 4}
	s.table = s.names + peCOFFHeaderSize + optional
	text := Extent{Offset: 512, Size: 512}
	body := Extent{Offset: text.End(), Size: (packSize() + 511) / 512 * 512}
	header := Extent{Offset: body.End(), Size: HeaderSize}
	s.images = []ImageLayout{{Arch: ArchX86_64, Body: body, Header: header}}
	s.data = make([]byte, header.End())
	copy(s.data, "MZ")
	binary.LittleEndian.PutUint32(s.data[peOffsetPointer:], start)
	copy(s.data[start:], peSignature)
	binary.LittleEndian.PutUint16(s.data[s.names:], peMachineX86_64)
	binary.LittleEndian.PutUint16(s.data[s.names+2:], sections)
	binary.LittleEndian.PutUint16(s.data[s.names+16:], optional)
	for index, section := range []struct {
		name   string
		extent Extent
	}{{".text", text}, {sectionBody, body}, {sectionHeader, header}} {
		entry := s.data[s.table+int64(index)*peSectionHeaderSize:]
		copy(entry[:peNameSize], section.name)
		binary.LittleEndian.PutUint32(entry[16:], uint32(section.extent.Size))
		binary.LittleEndian.PutUint32(entry[20:], uint32(section.extent.Offset))
	}
	return s.finish(t)
}

// sampleMachO has its entries in upstream's order, the second header at the end of the file.
func sampleMachO(t testing.TB) sample {
	const align = 256
	s := sample{format: FormatMachO, table: machoFatHeaderSize}
	sizes := []int64{300, 200, packSize(), HeaderSize, packSize(), HeaderSize}
	var extents []Extent
	offset := int64(align)
	for _, size := range sizes {
		extents = append(extents, Extent{offset, size})
		offset = (offset + size + align - 1) / align * align
	}
	s.images = []ImageLayout{
		{Arch: ArchAArch64, Body: extents[2], Header: extents[3], Executable: extents[0]},
		{Arch: ArchX86_64, Body: extents[4], Header: extents[5], Executable: extents[1]},
	}
	s.data = make([]byte, extents[5].End())
	binary.BigEndian.PutUint32(s.data, magicMachOFat)
	binary.BigEndian.PutUint32(s.data[4:], machoFatCount)
	for index, cpu := range []uint32{machoCPUAArch64, machoCPUX86_64, machoCPUBodyAArch64, machoCPUHeaderAArch64, machoCPUBodyX86_64, machoCPUHeaderX86_64} {
		entry := s.data[machoFatHeaderSize+index*machoFatEntrySize:]
		binary.BigEndian.PutUint32(entry, cpu)
		binary.BigEndian.PutUint32(entry[8:], uint32(extents[index].Offset))
		binary.BigEndian.PutUint32(entry[12:], uint32(extents[index].Size))
	}
	return s.finish(t)
}

func samples(t testing.TB) map[Format]sample {
	return map[Format]sample{FormatELF: sampleELF(t), FormatPE: samplePE(t), FormatMachO: sampleMachO(t)}
}

func parse(data []byte) (*Binary, error) { return Parse(bytes.NewReader(data), int64(len(data))) }
