package objcopy_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// TestMutations compares the results for damaged executables: what is not
// refused must be what llvm-objcopy writes.
func TestMutations(t *testing.T) {
	t.Parallel()
	tool := findOracle(t)
	tries, err := strconv.Atoi(os.Getenv("OBJCOPY_MUTATIONS"))
	if err != nil {
		tries = 50
	}
	seed, _ := strconv.ParseUint(os.Getenv("OBJCOPY_SEED"), 10, 64)
	random := rand.New(rand.NewPCG(1, seed))
	inputs := fixtures(t)
	names := slices.Sorted(maps.Keys(inputs))
	var count tally
	for range tries {
		name := names[random.IntN(len(names))]
		data := bytes.Clone(inputs[name])
		for range 1 + random.IntN(3) {
			mutate(random, data)
		}
		before := t.Failed()
		compareMutant(t, tool, &count, name, data)
		if t.Failed() && !before {
			kept := filepath.Join(os.TempDir(), "objcopy-mutant-"+name)
			os.WriteFile(kept, data, 0o600)
			t.Logf("kept as %s", kept)
		}
	}
	t.Log(count)
}

func compareMutant(t *testing.T, tool oracle, count *tally, name string, data []byte) {
	t.Helper()
	if tool.newNames && bytes.HasPrefix(data, []byte("MZ")) {
		count.skipped++
		return
	}
	image, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), section(testBody), section(testHeader))
	if err != nil {
		count.refused++
		return
	}
	if image.Size() > 16<<20 {
		count.skipped++
		return
	}
	added := bytesOf(t, image)
	want, err := tool.add(data)
	if err != nil {
		count.oracleOnly++
		t.Logf("%s: only llvm-objcopy refuses: %v", name, err)
		return
	}
	normalized := rebuilt(t, name, "normalize", objcopy.Normalize, data)
	removed := rebuilt(t, name, "remove", objcopy.Remove, added)
	if same(t, name+": add", added, want) && same(t, name+": remove", removed, normalized) {
		count.equal++
	}
}

// field is a number in a table of entries.
type field struct{ offset, width int }

// table is where entries stand and which numbers they have.
type table struct {
	start, size, count int
	fields             []field
}

// mutate changes one number of one table.
func mutate(random *rand.Rand, data []byte) {
	tables := tablesELF
	if data[0] == 'M' {
		tables = tablesPE
	}
	all := tables(data)
	chosen := all[random.IntN(len(all))]
	if chosen.count <= 0 {
		return
	}
	number := chosen.fields[random.IntN(len(chosen.fields))]
	at := chosen.start + random.IntN(chosen.count)*chosen.size + number.offset
	if at < 0 || at+number.width > len(data) {
		return
	}
	value := data[at : at+number.width]
	switch random.IntN(7) {
	case 0:
		clear(value)
	case 1:
		for i := range value {
			value[i] = 0xff
		}
	case 2:
		value[0]++
	case 3:
		value[0]--
	case 4:
		value[0] ^= 1 << random.IntN(8)
	case 5:
		value[random.IntN(number.width)] ^= 1 << random.IntN(8)
	case 6: // a number from nearby
		if from := at - 64 + random.IntN(128); from >= 0 && from+number.width <= len(data) {
			copy(value, data[from:from+number.width])
		}
	}
}

func tablesELF(data []byte) []table {
	segments := table{int(binary.LittleEndian.Uint64(data[32:])), 56, int(binary.LittleEndian.Uint16(data[56:])),
		[]field{{0, 4}, {4, 4}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}}}
	sections := table{int(binary.LittleEndian.Uint64(data[40:])), 64, int(binary.LittleEndian.Uint16(data[60:])),
		[]field{{0, 4}, {4, 4}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 4}, {44, 4}, {48, 8}, {56, 8}}}
	symbols := table{fields: []field{{0, 4}, {4, 1}, {5, 1}, {6, 2}, {8, 8}, {16, 8}}, size: 24}
	for index := range sections.count {
		start := sections.start + index*sections.size
		if start >= 0 && start+sections.size <= len(data) && binary.LittleEndian.Uint32(data[start+4:]) == 2 {
			symbols.start = int(binary.LittleEndian.Uint64(data[start+24:]))
			symbols.count = int(binary.LittleEndian.Uint64(data[start+32:])) / symbols.size
		}
	}
	header := table{0, 64, 1, []field{{7, 1}, {8, 1}, {9, 1}, {16, 2}, {20, 4}, {24, 8}, {32, 8}, {40, 8},
		{48, 4}, {52, 2}, {54, 2}, {56, 2}, {58, 2}, {60, 2}, {62, 2}}}
	return []table{header, segments, segments, sections, sections, sections, symbols}
}

func tablesPE(data []byte) []table {
	start := min(int(binary.LittleEndian.Uint32(data[60:])), len(data)-200)
	optional := int(binary.LittleEndian.Uint16(data[start+20:]))
	return []table{
		{start + 4, 20, 1, []field{{2, 2}, {4, 4}, {8, 4}, {12, 4}, {16, 2}, {18, 2}}},
		{start + 24, 112, 1, []field{{2, 2}, {4, 4}, {8, 4}, {12, 4}, {32, 4}, {36, 4}, {56, 4}, {60, 4}, {64, 4}, {108, 4}}},
		{start + 24 + 112, 8, 16, []field{{0, 4}, {4, 4}}},
		{start + 24 + optional, 40, int(binary.LittleEndian.Uint16(data[start+6:])),
			[]field{{0, 1}, {1, 1}, {8, 4}, {12, 4}, {16, 4}, {20, 4}, {24, 4}, {28, 4}, {32, 2}, {34, 2}, {36, 4}}},
		{int(binary.LittleEndian.Uint32(data[start+12:])), 18, int(binary.LittleEndian.Uint32(data[start+16:])),
			[]field{{0, 4}, {4, 4}, {8, 4}, {12, 2}, {14, 2}, {16, 1}, {17, 1}, {30, 2}, {32, 1}}},
	}
}
