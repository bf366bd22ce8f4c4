package objcopy_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"debug/pe"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// fixtures are small executables of our own, by name. testdata/generate.sh builds them.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, pattern := range []string{"testdata/*.elf", "testdata/*.exe"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no fixtures %s: %v", pattern, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.Base(name)] = data
		}
	}
	return found
}

// TestGolden compares with what llvm-objcopy 19 made of the fixtures: testdata/golden.txt
// has a SHA-256, an operation and a fixture in each line.
func TestGolden(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	inputs := fixtures(t)
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	if len(lines) != 2*len(inputs) {
		t.Errorf("%d golden results for %d fixtures", len(lines), len(inputs))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		data := inputs[fields[2]]
		image, err := objcopy.Normalize(bytes.NewReader(data), int64(len(data)))
		if fields[1] == "add" {
			image, err = objcopy.Add(bytes.NewReader(data), int64(len(data)), section(testBody), section(testHeader))
		}
		if err != nil {
			t.Errorf("%s: %s: %v", fields[2], fields[1], err)
			continue
		}
		sum := sha256.Sum256(bytesOf(t, image))
		if got := hex.EncodeToString(sum[:]); got != fields[0] {
			t.Errorf("%s: %s: SHA-256 %s, want %s", fields[2], fields[1], got, fields[0])
		}
	}
}

func TestFixturesAgainstOracle(t *testing.T) {
	t.Parallel()
	tool := findOracle(t)
	var count tally
	for name, data := range fixtures(t) {
		count.compare(t, tool, name, data)
	}
	t.Log(count)
	if count.refused > 0 {
		t.Error("fixtures were refused")
	}
}

// TestRemoveFromTheMiddle removes sections that have another one behind them,
// so that the numbers of sections change.
func TestRemoveFromTheMiddle(t *testing.T) {
	t.Parallel()
	tool := findOracle(t)
	count := 0
	for name, data := range fixtures(t) {
		if tool.newNames && strings.HasSuffix(name, ".exe") {
			continue
		}
		args := append(tool.section(".tb_mvb", "body"), tool.section(".tb_mvh", "header")...)
		packed, err := tool.run(data, append(args, tool.section(".later_section", "next")...)...)
		if err != nil {
			t.Fatal(err)
		}
		want, err := tool.remove(packed)
		if err != nil {
			t.Fatal(err)
		}
		if same(t, name, rebuilt(t, name, "remove", objcopy.Remove, packed), want) {
			count++
		}
	}
	t.Logf("compared with llvm-objcopy: %d inputs equal", count)
}

// TestRoundTrip requires that Remove undoes Add, again and again, and that what
// Add makes is a multiversion layout.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, data := range fixtures(t) {
		checkRoundTrip(t, name, data)
	}
}

func checkRoundTrip(t *testing.T, name string, data []byte) {
	t.Helper()
	normalized := rebuilt(t, name, "normalize", objcopy.Normalize, data)
	if again := rebuilt(t, name, "normalize again", objcopy.Normalize, normalized); !bytes.Equal(again, normalized) {
		t.Errorf("%s: normalizing twice changes byte %#x", name, firstDifference(again, normalized))
	}
	current := normalized
	for range 3 {
		image, err := objcopy.Add(bytes.NewReader(current), int64(len(current)), section(testBody), section(testHeader))
		if err != nil {
			t.Fatalf("%s: add: %v", name, err)
		}
		packed := bytesOf(t, image)
		checkPacked(t, name, image, packed)
		current = rebuilt(t, name, "remove", objcopy.Remove, packed)
		if !bytes.Equal(current, normalized) {
			t.Fatalf("%s: removing what was added changes byte %#x", name, firstDifference(current, normalized))
		}
		checkStructure(t, name, normalized, packed)
	}
}

func checkPacked(t *testing.T, name string, image *objcopy.Image, packed []byte) {
	t.Helper()
	layout := located(t, image)
	if !bytes.HasPrefix(packed[layout.Body.Offset:layout.Body.End()], testBody) {
		t.Errorf("%s: the body is not at %+v", name, layout.Body)
	}
	if !bytes.Equal(packed[layout.Header.Offset:layout.Header.End()], testHeader) {
		t.Errorf("%s: the header is not at %+v", name, layout.Header)
	}
}

// rebuilt is one operation from bytes to bytes.
func rebuilt(t testing.TB, name, what string, do func(io.ReaderAt, int64) (*objcopy.Image, error), data []byte) []byte {
	t.Helper()
	image, err := do(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("%s: %s: %v", name, what, err)
	}
	return bytesOf(t, image)
}

// checkStructure compares the files as Go's own readers see them.
func checkStructure(t *testing.T, name string, before, after []byte) {
	t.Helper()
	if strings.HasPrefix(string(before), "MZ") {
		checkStructurePE(t, name, before, after)
	} else {
		checkStructureELF(t, name, before, after)
	}
}

func checkStructureELF(t *testing.T, name string, before, after []byte) {
	t.Helper()
	old, err := elf.NewFile(bytes.NewReader(before))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	now, err := elf.NewFile(bytes.NewReader(after))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(now.Progs) != len(old.Progs) || len(now.Sections) != len(old.Sections)+2 || now.Entry != old.Entry {
		t.Fatalf("%s: %d segments and %d sections became %d and %d", name, len(old.Progs), len(old.Sections), len(now.Progs), len(now.Sections))
	}
	for index, each := range old.Progs {
		if now.Progs[index].ProgHeader != each.ProgHeader {
			t.Errorf("%s: segment %d was %+v, is %+v", name, index, each.ProgHeader, now.Progs[index].ProgHeader)
		}
		oldData, oldErr := io.ReadAll(each.Open())
		nowData, nowErr := io.ReadAll(now.Progs[index].Open())
		// The first segment usually holds the ELF header, which knows where the section headers are.
		skip := max(0, min(64-int(each.Off), len(oldData)))
		if oldErr != nil || nowErr != nil || !bytes.Equal(oldData[skip:], nowData[skip:]) {
			t.Errorf("%s: contents of segment %d: %v, %v", name, index, oldErr, nowErr)
		}
	}
	for index, each := range old.Sections {
		found := now.Sections[index]
		if found.Name != each.Name || found.Addr != each.Addr || found.Type != each.Type || found.Flags != each.Flags {
			t.Errorf("%s: section %d was %+v, is %+v", name, index, each.SectionHeader, found.SectionHeader)
		}
	}
	oldSymbols, oldErr := old.Symbols()
	nowSymbols, nowErr := now.Symbols()
	if (oldErr == nil) != (nowErr == nil) || len(oldSymbols) != len(nowSymbols) {
		t.Errorf("%s: %d symbols (%v) became %d (%v)", name, len(oldSymbols), oldErr, len(nowSymbols), nowErr)
		return
	}
	for index := range oldSymbols {
		if oldSymbols[index] != nowSymbols[index] {
			t.Errorf("%s: symbol %d was %+v, is %+v", name, index, oldSymbols[index], nowSymbols[index])
		}
	}
}

func checkStructurePE(t *testing.T, name string, before, after []byte) {
	t.Helper()
	old, err := pe.NewFile(bytes.NewReader(before))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	now, err := pe.NewFile(bytes.NewReader(after))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(now.Sections) != len(old.Sections)+2 || len(now.COFFSymbols) != len(old.COFFSymbols) {
		t.Fatalf("%s: %d sections and %d symbols became %d and %d", name, len(old.Sections), len(old.COFFSymbols), len(now.Sections), len(now.COFFSymbols))
	}
	for index, each := range old.Sections {
		found := now.Sections[index]
		oldData, oldErr := each.Data()
		nowData, nowErr := found.Data()
		if found.Name != each.Name || found.VirtualAddress != each.VirtualAddress || found.VirtualSize != each.VirtualSize ||
			found.Characteristics != each.Characteristics || oldErr != nil || nowErr != nil {
			t.Errorf("%s: section %d was %+v, is %+v: %v, %v", name, index, each.SectionHeader, found.SectionHeader, oldErr, nowErr)
		}
		if len(oldData) != len(nowData) {
			t.Errorf("%s: section %s had %d bytes, has %d", name, each.Name, len(oldData), len(nowData))
		}
	}
	body, header := now.Sections[len(now.Sections)-2], now.Sections[len(now.Sections)-1]
	for _, each := range []*pe.Section{body, header} {
		if each.Characteristics != 0x40000800 {
			t.Errorf("%s: section %s has characteristics %#x", name, each.Name, each.Characteristics)
		}
	}
	for index, each := range old.Symbols {
		if *now.Symbols[index] != *each {
			t.Errorf("%s: symbol %d was %+v, is %+v", name, index, each, now.Symbols[index])
		}
	}
	optional := now.OptionalHeader.(*pe.OptionalHeader64)
	if end := header.VirtualAddress + header.VirtualSize; optional.SizeOfImage < end || optional.SizeOfImage >= end+optional.SectionAlignment {
		t.Errorf("%s: the image has %#x bytes, its last section ends at %#x", name, optional.SizeOfImage, end)
	}
}
