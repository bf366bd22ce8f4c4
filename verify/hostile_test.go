package verify_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// symbolTables returns a symbol table as large as one may be and its string table, as large
// as that may be too: rows of one size, whose names are all different, made by row.
func symbolTables(rowSize, head int, row func(index, name int) []byte) (symbols, texts []byte) {
	count := objcopy.SymbolsSizeMax / rowSize
	each := (objcopy.StringsSizeMax - 64<<10) / count // the section names' table counts too
	texts = make([]byte, head, objcopy.StringsSizeMax)
	symbols = make([]byte, 0, objcopy.SymbolsSizeMax)
	for index := range count {
		symbols = append(symbols, row(index, len(texts))...)
		texts = fmt.Appendf(texts, "%0*d\x00", each-1, index)
	}
	return symbols, texts
}

// hostileELF is an executable with the largest tables, whose symbols are in the
// order that costs most.
func hostileELF() []byte {
	little := binary.LittleEndian
	file := tinyelf.Build(multiversion.ArchX86_64, "hostile")
	sections := bytes.Clone(file[little.Uint64(file[40:]):])
	symbols, texts := symbolTables(24, 1, func(index, name int) []byte {
		row := make([]byte, 24)
		if index > 0 {
			little.PutUint32(row, uint32(name))
			row[4] = byte(index % 2 << 4) // local and global in turn
			little.PutUint16(row[6:], 0xfff1)
		}
		return row
	})
	add := func(kind, link uint32, data []byte, entry uint64) {
		header := make([]byte, 64)
		little.PutUint32(header, 1)
		little.PutUint32(header[4:], kind)
		little.PutUint64(header[24:], uint64(len(file)))
		little.PutUint64(header[32:], uint64(len(data)))
		little.PutUint32(header[40:], link)
		little.PutUint64(header[48:], 8)
		little.PutUint64(header[56:], entry)
		sections = append(sections, header...)
		file = append(file, append(data, make([]byte, -len(data)&7)...)...)
	}
	add(2, 4, symbols, 24)
	add(3, 0, texts, 0)
	little.PutUint64(file[40:], uint64(len(file)))
	little.PutUint16(file[60:], uint16(len(sections)/64))
	return append(file, sections...)
}

// hostilePE is an image with the largest tables behind it.
func hostilePE(t *testing.T) []byte {
	t.Helper()
	little := binary.LittleEndian
	file := testbin.Executable(t, "windows", "amd64", testbin.Release("0.17.8"), 0)
	symbols, texts := symbolTables(18, 4, func(_, name int) []byte {
		row := make([]byte, 18)
		little.PutUint32(row[4:], uint32(name))
		little.PutUint16(row[12:], 0xffff)
		row[16] = 2
		return row
	})
	little.PutUint32(texts, uint32(len(texts)))
	coff := file[little.Uint32(file[60:])+4:]
	little.PutUint32(coff[8:], uint32(len(file)))
	little.PutUint32(coff[12:], uint32(len(symbols)/18))
	return append(append(file, symbols...), texts...)
}

// TestFileMemoryOfSymbols holds what a file can make the rebuilding of its current
// executable take: everything that is allocated, whatever of it is given back, so that the
// process stays below 48 MiB.
//
// Not parallel: other tests would count.
func TestFileMemoryOfSymbols(t *testing.T) {
	if testing.Short() {
		t.Skip("builds files of 20 MiB")
	}
	plain := tinyelf.Spec(multiversion.PlatformX86_64Linux, 0, "0.17.8", "0.17.7")
	plain.Executable = hostileELF()
	for name, spec := range map[string]testbin.Spec{
		"elf": plain,
		"pe":  {Platform: multiversion.PlatformX86_64Windows, Executable: hostilePE(t)},
	} {
		data := testbin.Build(t, spec)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		report := judge(t, data, verify.Options{})
		runtime.ReadMemStats(&after)
		for _, finding := range report.Findings {
			if finding.Name == verify.CheckCurrentChecksum && finding.Status != verify.Held {
				t.Errorf("%s: %+v", name, finding)
			}
		}
		taken := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d KiB taken for a file of %d KiB", name, taken>>10, len(data)>>10)
		if taken > 34<<20 {
			t.Errorf("%s: %d bytes taken", name, taken)
		}
	}
}
