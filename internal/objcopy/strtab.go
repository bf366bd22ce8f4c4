package objcopy

import (
	"errors"
	"io"
	"slices"
	"sort"
	"strings"
)

// namesSizeMax is the most bytes that all names of one string table may
// have, each counted as often as it is used. Names may overlap in a hostile file, so
// that their sum is not bound by the table's size.
const namesSizeMax = 2 * StringsSizeMax

var errNames = errors.New("names are too long in all")

// stringTable builds a string table in which each string stands once, or as the
// tail of another. What is built is not held in memory beside the strings: it is a
// reader that puts it together.
//
// The order is LLVM's: by the strings read backwards, descending, so that a string comes behind all
// those that it is the tail of.
type stringTable struct {
	names   []string
	sum     int
	head    []byte   // the reserved bytes
	offsets []uint32 // of each name in the table, once built
	stored  []int32  // the numbers of the names that stand in the table for themselves, in order
	size    int64    // in bytes, once built
}

// newStringTable starts a table with a number of reserved bytes.
func newStringTable(reserved int) *stringTable {
	return &stringTable{head: make([]byte, reserved)}
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

// adopt makes names the first ones of an empty table, numbered from 0, and
// keeps the slice.
func (t *stringTable) adopt(names []string) error {
	for _, name := range names {
		t.sum += len(name) + 1
	}
	if t.sum > namesSizeMax {
		return errNames
	}
	t.names = names
	return nil
}

// offset returns where the name of this number stands in the table.
func (t *stringTable) offset(number int) uint32 { return t.offsets[number] }

// build gives every name its offset.
func (t *stringTable) build() {
	order := make([]int32, len(t.names))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return compareTails(t.names[a], t.names[b]) })
	t.offsets = make([]uint32, len(t.names))
	t.stored = order[:0] // never ahead of what is still to be looked at
	t.size = int64(len(t.head))
	previous := ""
	for _, number := range order {
		name := t.names[number]
		switch {
		case name == "":
			t.offsets[number] = 0
		case strings.HasSuffix(previous, name):
			t.offsets[number] = uint32(t.size) - uint32(len(name)) - 1
		default:
			t.offsets[number] = uint32(t.size)
			t.stored = append(t.stored, number)
			t.size += int64(len(name)) + 1
			previous = name
		}
	}
}

// ReadAt reads the table that was built as an [io.ReaderAt] does. The offset
// is not negative.
func (t *stringTable) ReadAt(buffer []byte, offset int64) (int, error) {
	count := 0
	if offset < int64(len(t.head)) {
		count = copy(buffer, t.head[offset:])
	}
	index := sort.Search(len(t.stored), func(i int) bool { return t.end(i) > offset+int64(count) })
	for ; index < len(t.stored) && count < len(buffer); index++ {
		name := t.names[t.stored[index]]
		skip := offset + int64(count) - (t.end(index) - int64(len(name)) - 1)
		count += copy(buffer[count:], name[skip:])
		if count < len(buffer) {
			buffer[count] = 0
			count++
		}
	}
	if count < len(buffer) {
		return count, io.EOF
	}
	return count, nil
}

// end returns where a stored name ends, with its NUL.
func (t *stringTable) end(index int) int64 {
	number := t.stored[index]
	return int64(t.offsets[number]) + int64(len(t.names[number])) + 1
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
