package pack

import (
	"bytes"
	"encoding/binary"
)

// The universal file as upstream's build writes it (Apple's mach-o/fat.h, all
// numbers big-endian): the fat header, and six inner files, each at the next
// multiple of 2^14, with zeros between them. Header and body of an architecture have
// the CPU types of machines that macOS never ran on.
const (
	fatMagic      = 0xcafebabe
	fatHeaderSize = 8
	fatEntrySize  = 20
	fatAlignPower = 14
	fatAlign      = 1 << fatAlignPower

	cpuAArch64     = 0x0100000c
	cpuX86_64      = 0x01000007
	subtypeAArch64 = 0
	subtypeX86_64  = 3

	cpuBodyAArch64   = 1
	cpuHeaderAArch64 = 2
	cpuBodyX86_64    = 4
	cpuHeaderX86_64  = 5
)

type fatEntry struct {
	cpu, subtype uint32
	source       Source
}

// arrangeUniversal makes the universal file of the images for aarch64 and
// x86_64, in this order. Its size has met a limit of less than 32 bits.
func arrangeUniversal(images []image, headers [][]byte) Source {
	entries := []fatEntry{
		{cpuAArch64, subtypeAArch64, images[0].current},
		{cpuX86_64, subtypeX86_64, images[1].current},
		{cpuBodyAArch64, 0, images[0].body},
		{cpuHeaderAArch64, 0, bytes.NewReader(headers[0])},
		{cpuBodyX86_64, 0, images[1].body},
		{cpuHeaderX86_64, 0, bytes.NewReader(headers[1])},
	}
	table := binary.BigEndian.AppendUint32(make([]byte, 0, fatHeaderSize+len(entries)*fatEntrySize), fatMagic)
	table = binary.BigEndian.AppendUint32(table, uint32(len(entries)))
	parts := []Source{nil}
	end := int64(cap(table))
	for _, entry := range entries {
		offset := (end + fatAlign - 1) &^ (fatAlign - 1)
		parts = append(parts, zeros(offset-end), entry.source)
		end = offset + entry.source.Size()
		for _, value := range []uint32{entry.cpu, entry.subtype, uint32(offset), uint32(entry.source.Size()), fatAlignPower} {
			table = binary.BigEndian.AppendUint32(table, value)
		}
	}
	parts[0] = bytes.NewReader(table)
	return newSequence(parts...)
}
