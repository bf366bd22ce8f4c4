package archive

import (
	"encoding/binary"
	"fmt"

	"github.com/tbctl/tbctl/fault"
)

// HeaderSize is how many bytes [EndedEarly] looks at, at most: all that the headers of a release's executable have.
const HeaderSize = 4 << 10

// ErrEndedEarly says that nothing came on standard input, or a file without its end: what sends it failed.
var ErrEndedEarly = fault.New(fault.Failed, "standard input ended early")

// EndedEarly says that a stream of so many bytes, which begins with prefix, was cut: nothing came, or an executable
// whose headers say that it goes on. The error matches [ErrEndedEarly]; nil says no more than that nothing tells.
func EndedEarly(prefix []byte, size int64) error {
	kind := Sniff(prefix)
	if kind == KindEmpty {
		return fmt.Errorf("%w: nothing came", ErrEndedEarly)
	}
	if least := leastSize(kind, prefix[:min(len(prefix), HeaderSize)]); size < least && least <= SizeMax {
		return fmt.Errorf("%w: %s came that goes on to byte %d, and ended after %d", ErrEndedEarly, kind, least, size)
	}
	return nil
}

// leastSize is the size in bytes that an executable has at least, by its headers; 0 where they don't tell.
func leastSize(kind Kind, prefix []byte) int64 {
	switch kind {
	case KindELF:
		return leastELF(prefix)
	case KindPE:
		return leastPE(prefix)
	case KindMachOUniversal:
		return leastUniversal(prefix)
	}
	return 0
}

// leastELF is the end of the section table, which is the last of an ELF file. Others than of 64 bits in little endian are
// no release's.
func leastELF(b []byte) int64 {
	const headerSize = 64
	if len(b) < headerSize {
		return headerSize
	}
	if b[4] != 2 || b[5] != 1 {
		return 0
	}
	little := binary.LittleEndian
	return endOf(little.Uint64(b[40:]), uint64(little.Uint16(b[58:]))*uint64(little.Uint16(b[60:])))
}

// leastPE is the end of the last section's bytes.
func leastPE(b []byte) int64 {
	const (
		dosSize, headerSize, sectionSize = 64, 24, 40
		offsetPE                         = 60
	)
	if len(b) < dosSize {
		return dosSize
	}
	little := binary.LittleEndian
	at := int64(little.Uint32(b[offsetPE:]))
	if at+headerSize > int64(len(b)) {
		return at + headerSize
	}
	header := b[at:]
	if string(header[:4]) != "PE\x00\x00" {
		return 0
	}
	table := at + headerSize + int64(little.Uint16(header[20:]))
	least := table + sectionSize*int64(little.Uint16(header[6:]))
	if least > int64(len(b)) {
		return least
	}
	for section := b[table:least]; len(section) > 0; section = section[sectionSize:] {
		least = max(least, int64(little.Uint32(section[20:]))+int64(little.Uint32(section[16:])))
	}
	return least
}

// leastUniversal is the end of the last executable in it.
func leastUniversal(b []byte) int64 {
	const headerSize = 8
	if len(b) < headerSize {
		return headerSize
	}
	big := binary.BigEndian
	wide := b[3] == 0xbf
	entrySize := int64(20)
	if wide {
		entrySize = 32
	}
	least := headerSize + entrySize*int64(big.Uint32(b[4:]))
	if least > int64(len(b)) {
		return least
	}
	for entry := b[headerSize:least]; len(entry) > 0; entry = entry[entrySize:] {
		offset, size := uint64(big.Uint32(entry[8:])), uint64(big.Uint32(entry[12:]))
		if wide {
			offset, size = big.Uint64(entry[8:]), big.Uint64(entry[16:])
		}
		least = max(least, endOf(offset, size))
	}
	return least
}

// endOf is where something ends that begins at offset; more than any file has where the two are absurd.
func endOf(offset, size uint64) int64 {
	if offset > SizeMax || size > SizeMax {
		return SizeMax + 1
	}
	return int64(offset + size)
}
