package testbin

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
)

// Full reports whether the tests take their time: all faults instead of a sample, and real
// executables for every platform instead of small ones for those that are not this host's.
func Full() bool { return os.Getenv("TORTURE") == "full" }

// foreignSize is the size in bytes of what stands for a program that cannot run here.
const foreignSize = 96 << 10

// foreign returns what stands for the program on a platform that is not this host's: headers that
// pack and its readers look at, random bytes as code, and the blank stamp. It returns nil where the real program
// is wanted: for this host, and for every platform if the tests take their time, because the Go
// command compiles the runtime and the standard library again for each.
func foreign(goos, goarch string) []byte {
	if goos == runtime.GOOS && goarch == runtime.GOARCH || Full() {
		return nil
	}
	data := make([]byte, foreignSize)
	rand.NewChaCha8([32]byte{}).Read(data[foreignCode:])
	arm := goarch == "arm64"
	switch goos {
	case "linux":
		foreignELF(data, arm)
	case "windows":
		foreignPE(data, arm)
	case "darwin":
		foreignMachO(data, arm)
	default:
		return nil
	}
	copy(data[foreignCode+foreignAlign:], blankStamp())
	return data
}

const (
	foreignCode  = 0x1000 // where code begins in the file
	foreignAlign = 0x1000
	foreignNames = foreignSize - foreignAlign // of an ELF's sections; their table follows
)

// put writes values one after the other, little-endian.
func put(to []byte, values ...any) {
	for _, value := range values {
		size, err := binary.Encode(to, binary.LittleEndian, value)
		if err != nil {
			panic(err)
		}
		to = to[size:]
	}
}

func foreignELF(data []byte, arm bool) {
	machine := uint16(62)
	if arm {
		machine = 183
	}
	const base, table = 0x400000, foreignNames + 0x40
	names := "\x00.text\x00.shstrtab\x00"
	clear(data[foreignNames:])
	copy(data, "\x7fELF\x02\x01\x01")
	put(data[16:], uint16(2), machine, uint32(1), uint64(base+foreignCode), uint64(64), uint64(table),
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(64), uint16(3), uint16(2))
	put(data[64:], uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), uint64(foreignNames), uint64(foreignNames), uint64(foreignAlign))
	copy(data[foreignNames:], names)
	put(data[table+64:], uint32(1), uint32(1), uint64(6), uint64(base+foreignCode), uint64(foreignCode), uint64(foreignNames-foreignCode),
		uint64(0), uint64(16), uint64(0))
	put(data[table+128:], uint32(7), uint32(3), uint64(0), uint64(0), uint64(foreignNames), uint64(len(names)), uint64(0), uint64(1), uint64(0))
}

func foreignPE(data []byte, arm bool) {
	machine := uint16(0x8664)
	if arm {
		machine = 0xaa64
	}
	const start, directories, fileAlign, sizeData = 0x80, 16, 0x200, 0x2000
	const sizeCode, optionalSize = foreignSize - foreignCode - sizeData, 112 + 8*directories
	copy(data, "MZ")
	put(data[0x3c:], uint32(start))
	copy(data[start:], "PE\x00\x00")
	put(data[start+4:], machine, uint16(2), uint32(0), uint32(0), uint32(0), uint16(optionalSize), uint16(0x22))
	optional := data[start+24:]
	put(optional, uint16(0x20b), uint16(3), uint32(sizeCode), uint32(sizeData), uint32(0), uint32(foreignCode), uint32(foreignCode),
		uint64(0x140000000), uint32(foreignAlign), uint32(fileAlign), uint64(6), uint64(6), uint32(0),
		uint32(foreignSize), uint32(foreignCode), uint32(0), uint16(3), uint16(0x160),
		uint64(0x200000), uint64(0x1000), uint64(0x100000), uint64(0x1000), uint32(0), uint32(directories))
	sections := optional[optionalSize:]
	copy(sections, ".text")
	put(sections[8:], uint32(sizeCode), uint32(foreignCode), uint32(sizeCode), uint32(foreignCode), uint64(0), uint32(0), uint32(0x60000020))
	copy(sections[40:], ".data")
	put(sections[48:], uint32(sizeData), uint32(foreignCode+sizeCode), uint32(sizeData), uint32(foreignCode+sizeCode), uint64(0), uint32(0), uint32(0xc0000040))
}

func foreignMachO(data []byte, arm bool) {
	cpu, subtype := uint32(0x01000007), uint32(3)
	if arm {
		cpu, subtype = 0x0100000c, 0
	}
	put(data, uint32(0xfeedfacf), cpu, subtype, uint32(2), uint32(1), uint32(72), uint32(0), uint32(0))
	put(data[32:], uint32(0x19), uint32(72)) // LC_SEGMENT_64
	copy(data[40:], "__TEXT")
	put(data[56:], uint64(0x100000000), uint64(foreignSize), uint64(0), uint64(foreignSize), uint32(5), uint32(5), uint32(0), uint32(0))
}
