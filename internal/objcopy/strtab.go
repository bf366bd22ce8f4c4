package objcopy

import (
	"errors"
	"slices"
	"strings"
)

// namesSizeMax is the most bytes that all names of one string table may
// have, each counted as often as it is used. Names may overlap in a hostile file, so
// that their sum is not bound by the table's size.
const namesSizeMax = 2 * StringsSizeMax

var errNames = errors.New("names are too long in all")

// stringTable builds a string table in which each string stands once, or as the
// tail of another.
//
// The order is LLVM's: by the strings read backwards, descending, so that a string comes behind all
// those that it is the tail of.
type stringTable struct {
	names   []string
	sum     int
	offsets []uint32 // of each name in data, once built
	data    []byte
}

// newStringTable starts a table with a number of reserved bytes.
func newStringTable(reserved int) *stringTable {
	return &stringTable{data: make([]byte, reserved)}
}

// add takes a name and returns its number for offset.
func (t *stringTable) add(name string) (int, error) {
	t.sum += len(name) + 1
	if t.sum > namesSizeMax {
		return 0, errNames
	}
	t.names = append(t.names, name)
	return len(t.names) - 1, nil
}

// offset returns where the name of this number stands in data.
func (t *stringTable) offset(number int) uint32 { return t.offsets[number] }

// build fills data and offsets.
func (t *stringTable) build() {
	order := make([]int32, len(t.names))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return compareTails(t.names[a], t.names[b]) })
	t.offsets = make([]uint32, len(t.names))
	previous := ""
	for _, number := range order {
		name := t.names[number]
		switch {
		case name == "":
			t.offsets[number] = 0
		case strings.HasSuffix(previous, name):
			t.offsets[number] = uint32(len(t.data) - len(name) - 1)
		default:
			t.offsets[number] = uint32(len(t.data))
			t.data = append(append(t.data, name...), 0)
			previous = name
		}
	}
}

// compareTails orders strings descending by their bytes from the last to the first.
func compareTails(a, b string) int {
	for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if a[i] != b[j] {
			return int(b[j]) - int(a[i])
		}
	}
	return len(b) - len(a)
}

// textAt returns the NUL-terminated string at offset in a table that ends in a
// NUL, with at most limit bytes: a longer one is an error.
func textAt(table string, offset, limit int) (string, error) {
	rest := table[offset:]
	length := strings.IndexByte(rest[:min(len(rest), limit+1)], 0)
	if length < 0 {
		return "", errNames
	}
	return rest[:length], nil
}
