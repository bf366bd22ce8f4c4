// Package tinyelf makes executables for Linux of a few hundred bytes that print
// one line and exit with 0. Tests that install thousands of binaries need small
// ones that really run.
//
// Only tests import this package.
package tinyelf

import (
	"encoding/binary"
	"fmt"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	headerSize  = 64
	programSize = 56
	sectionSize = 64
	codeStart   = headerSize + programSize
	loadAddress = 0x400000

	machineX86_64  = 62
	machineAArch64 = 183

	lineSizeMax = 4 << 10 // bytes, so that it fits an immediate operand
)

var names = []byte("\x00.text\x00.shstrtab\x00")

// Spec is a multiversion binary of such executables for a Linux platform. Each
// prints its release and the seed, as in "0.17.8 1".
func Spec(platform multiversion.Platform, seed uint64, current string, past ...string) testbin.Spec {
	arch := multiversion.ArchX86_64
	if platform == multiversion.PlatformAArch64Linux {
		arch = multiversion.ArchAArch64
	}
	spec := testbin.Spec{Platform: platform, Current: testbin.Release(current), Past: testbin.PastOf(past...), Seed: seed}
	spec.Executable = Build(arch, Line(spec.Current, seed))
	for index := range spec.Past {
		spec.Past[index].Executable = Build(arch, Line(spec.Past[index].Release, seed))
	}
	return spec
}

// Line is what the executable of a release in a [Spec] prints.
func Line(release multiversion.Release, seed uint64) string {
	return fmt.Sprintf("%s %d", release, seed)
}

// Build returns an executable for arch that prints line and a newline. A line
// that is too long is cut.
func Build(arch multiversion.Arch, line string) []byte {
	text := append([]byte(line[:min(len(line), lineSizeMax)]), '\n')
	machine, code := uint16(machineX86_64), codeX86_64(text)
	if arch == multiversion.ArchAArch64 {
		machine, code = machineAArch64, codeAArch64(text)
	}
	namesAt := codeStart + len(code)
	sectionsAt := (namesAt + len(names) + 7) &^ 7

	file := make([]byte, sectionsAt+3*sectionSize)
	copy(file, "\x7fELF\x02\x01\x01")
	write(file[16:], uint16(2), machine, uint32(1), uint64(loadAddress+codeStart), uint64(headerSize), uint64(sectionsAt),
		uint32(0), uint16(headerSize), uint16(programSize), uint16(1), uint16(sectionSize), uint16(3), uint16(2))
	write(file[headerSize:], uint32(1), uint32(5), uint64(0), uint64(loadAddress), uint64(loadAddress),
		uint64(namesAt), uint64(namesAt), uint64(0x10000))
	copy(file[codeStart:], code)
	copy(file[namesAt:], names)
	section := func(index int, name, kind uint32, flags, address, offset, size, align uint64) {
		write(file[sectionsAt+index*sectionSize:], name, kind, flags, address, offset, size, uint64(0), align, uint64(0))
	}
	section(1, 1, 1, 6, loadAddress+codeStart, codeStart, uint64(len(code)), 4)
	section(2, 7, 3, 0, 0, uint64(namesAt), uint64(len(names)), 1)
	return file
}

// write puts integers one behind the other, little-endian.
func write(to []byte, values ...any) {
	for _, value := range values {
		count, err := binary.Encode(to, binary.LittleEndian, value)
		if err != nil {
			panic(err) // a mistake in this file
		}
		to = to[count:]
	}
}

// codeX86_64 is write(1, text, len(text)); exit(0), with text behind it.
func codeX86_64(text []byte) []byte {
	code := []byte{
		0xb8, 1, 0, 0, 0, // mov eax, 1
		0xbf, 1, 0, 0, 0, // mov edi, 1
		0x48, 0x8d, 0x35, 16, 0, 0, 0, // lea rsi, [rip+16]
		0xba, byte(len(text)), byte(len(text) >> 8), 0, 0, // mov edx, len(text)
		0x0f, 0x05, // syscall
		0xb8, 60, 0, 0, 0, // mov eax, 60
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	}
	return append(code, text...)
}

// codeAArch64 is the same.
func codeAArch64(text []byte) []byte {
	words := []uint32{
		0xd2800020,                               // mov x0, #1
		0x10000001 | 7<<5,                        // adr x1, pc+28
		0xd2800002 | uint32(len(text)&0xffff)<<5, // mov x2, #len(text)
		0xd2800808,                               // mov x8, #64
		0xd4000001,                               // svc #0
		0xd2800000,                               // mov x0, #0
		0xd2800ba8,                               // mov x8, #93
		0xd4000001,                               // svc #0
	}
	var code []byte
	for _, word := range words {
		code = binary.LittleEndian.AppendUint32(code, word)
	}
	return append(code, text...)
}
