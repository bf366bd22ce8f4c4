package objcopy_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// TestMutations compares the results for damaged executables: what is not refused
// must still be what llvm-objcopy writes.
func TestMutations(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("OBJCOPY_MUTATE"))
	if err != nil {
		t.Skip("skipped: OBJCOPY_MUTATE is no number of mutations to try")
	}
	tool := oracle(t)
	dir := t.TempDir()
	names, _ := filepath.Glob(os.Getenv("OBJCOPY_MUTATE_FILES"))
	seed, _ := strconv.ParseUint(os.Getenv("OBJCOPY_MUTATE_SEED"), 10, 64)
	random := rand.New(rand.NewPCG(1, seed))
	writeSections(t, dir)
	equal, refused, large, only := 0, 0, 0, 0
	for range count {
		name := names[random.IntN(len(names))]
		original, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Clone(original)
		for range 1 + random.IntN(3) {
			mutate(random, data)
		}
		in := filepath.Join(dir, "in")
		os.WriteFile(in, data, 0o600)
		var image *objcopy.Image
		var args []string
		if random.IntN(2) == 0 {
			image, err = objcopy.Normalize(bytes.NewReader(data), int64(len(data)))
		} else {
			args = addArguments(dir)
			image, err = objcopy.Add(bytes.NewReader(data), int64(len(data)), section(testBody), section(testHeader))
		}
		if err != nil {
			refused++
			continue
		}
		if image.Size() > 16<<20 {
			large++
			continue
		}
		got, err := contents(image)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := objcopyFile(tool, dir, in, args...)
		switch {
		case wantErr != nil:
			only++
			t.Logf("%s: only llvm-objcopy refuses: %v", name, wantErr)
		case !bytes.Equal(got, want):
			keep := filepath.Join(os.TempDir(), "mutant-"+strconv.Itoa(equal))
			os.WriteFile(keep, data, 0o600)
			t.Errorf("%s: %s: %v: %d bytes, want %d, first difference at %#x", name, keep, args != nil, len(got), len(want), firstDifference(got, want))
		default:
			equal++
		}
	}
	t.Logf("%d results equal, %d refused, %d too large to compare, %d refused by llvm-objcopy only", equal, refused, large, only)
}

func writeSections(t *testing.T, dir string) {
	t.Helper()
	for name, data := range map[string][]byte{"body": testBody, "header": testHeader} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// mutate changes one field of a header or table.
func mutate(random *rand.Rand, data []byte) {
	at, width := 0, 1
	pick := func(start, entrySize, entries int, fields ...int) {
		if entries <= 0 {
			return
		}
		index := random.IntN(len(fields) / 2)
		at = start + random.IntN(entries)*entrySize + fields[2*index]
		width = fields[2*index+1]
	}
	if data[0] == 0x7f {
		segments, segmentCount := int(binary.LittleEndian.Uint64(data[32:])), int(binary.LittleEndian.Uint16(data[56:]))
		sections, sectionCount := int(binary.LittleEndian.Uint64(data[40:])), int(binary.LittleEndian.Uint16(data[60:]))
		switch random.IntN(5) {
		case 0:
			pick(0, 64, 1, 7, 1, 8, 1, 9, 1, 16, 2, 20, 4, 24, 8, 32, 8, 40, 8, 48, 4, 52, 2, 54, 2, 56, 2, 58, 2, 60, 2, 62, 2)
		case 1:
			pick(segments, 56, segmentCount, 0, 4, 4, 4, 8, 8, 16, 8, 24, 8, 32, 8, 40, 8, 48, 8)
		case 2, 3:
			pick(sections, 64, sectionCount, 0, 4, 4, 4, 8, 8, 16, 8, 24, 8, 32, 8, 40, 4, 44, 4, 48, 8, 56, 8)
		case 4:
			for index := range sectionCount {
				entry := data[min(len(data)-64, max(0, sections+index*64)):]
				if binary.LittleEndian.Uint32(entry[4:]) == 2 {
					pick(int(binary.LittleEndian.Uint64(entry[24:])), 24, int(binary.LittleEndian.Uint64(entry[32:]))/24, 0, 4, 4, 1, 5, 1, 6, 2, 8, 8, 16, 8)
				}
			}
		}
	} else {
		start := int(binary.LittleEndian.Uint32(data[60:]))
		start = min(start, len(data)-200)
		optional := int(binary.LittleEndian.Uint16(data[start+20:]))
		sections := int(binary.LittleEndian.Uint16(data[start+6:]))
		symbols := int(binary.LittleEndian.Uint32(data[start+12:]))
		switch random.IntN(5) {
		case 0:
			pick(start+4, 20, 1, 2, 2, 4, 4, 8, 4, 12, 4, 16, 2, 18, 2)
		case 1:
			pick(start+24, 112, 1, 2, 2, 4, 4, 8, 4, 12, 4, 32, 4, 36, 4, 56, 4, 60, 4, 64, 4, 108, 4)
		case 2:
			pick(start+24+112, 8, 16, 0, 4, 4, 4)
		case 3:
			pick(start+24+optional, 40, sections, 0, 1, 1, 1, 8, 4, 12, 4, 16, 4, 20, 4, 24, 4, 28, 4, 32, 2, 34, 2, 36, 4)
		case 4:
			if symbols > 0 {
				pick(symbols, 18, int(binary.LittleEndian.Uint32(data[start+16:])), 0, 4, 4, 4, 8, 4, 12, 2, 14, 2, 16, 1, 17, 1)
			}
		}
	}
	if at < 0 || at+width > len(data) {
		return
	}
	field := data[at : at+width]
	switch random.IntN(7) {
	case 0:
		clear(field)
	case 1:
		for i := range field {
			field[i] = 0xff
		}
	case 2:
		field[0]++
	case 3:
		field[0]--
	case 4:
		field[0] ^= 1 << random.IntN(8)
	case 5:
		field[random.IntN(width)] ^= 1 << random.IntN(8)
	case 6: // a value from elsewhere in the same table
		from := at - 64 + random.IntN(128)
		if from >= 0 && from+width <= len(data) {
			copy(field, data[from:from+width])
		}
	}
}
