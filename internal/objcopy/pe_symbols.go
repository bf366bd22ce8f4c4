package objcopy

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
)

const (
	peClassExternal     = 2
	peClassStatic       = 3
	peClassFile         = 103
	peClassWeak         = 105
	peSelectAssociative = 5
	peSectionAbsolute   = 0xffff
	peSectionNumbersMax = 0xfeff // above are special ones, negative
)

// peSymbols is the symbol table. Each symbol has one row of 18 bytes and up
// to 255 auxiliary rows behind it.
type peSymbols struct {
	rows  []byte // with auxiliary rows
	marks []peSymbol
}

// peSymbol is one symbol of the table.
type peSymbol struct {
	old   uint32 // number of its row in the file
	row   uint32 // number of its row in rows
	name  string
	index int // of its name in the string table, of more than 8 bytes
}

// readSymbols reads the symbol table, renumbers its sections, and drops the
// empty rows at the end of file names.
func (f *peFile) readSymbols() error {
	f.symbols = &peSymbols{}
	at := int64(binary.LittleEndian.Uint32(f.coff[8:]))
	count := binary.LittleEndian.Uint32(f.coff[12:])
	if count == 0 {
		return nil
	}
	table, err := f.read(at, int64(count)*peSymbolSize)
	if err != nil {
		return err
	}
	f.symbols.rows = table[:0] // rows are only dropped: what is kept never overtakes what is read
	f.symbols.marks = make([]peSymbol, 0, count)
	sum := 0
	for number := uint32(0); number < count; {
		rows := table[number*peSymbolSize:]
		auxiliary := uint32(rows[17])
		if auxiliary >= count-number {
			return refusePE(at, "symbol %d with %d auxiliary rows is past the table's end", number, auxiliary)
		}
		rows = rows[:(auxiliary+1)*peSymbolSize]
		mark := peSymbol{old: number, row: uint32(len(f.symbols.rows) / peSymbolSize)}
		if mark.name, err = f.symbolName(at, rows, namesSizeMax-sum); err != nil {
			return err
		}
		sum += len(mark.name)
		if rows, err = f.renumber(at, rows); err != nil {
			return err
		}
		f.symbols.rows = append(f.symbols.rows, rows...)
		f.symbols.marks = append(f.symbols.marks, mark)
		number += auxiliary + 1
	}
	return f.symbols.retarget(at)
}

// symbolName returns a name from the row or from the string table.
func (f *peFile) symbolName(at int64, row []byte, limit int) (string, error) {
	if binary.LittleEndian.Uint32(row) == 0 {
		return f.text(at, uint64(binary.LittleEndian.Uint32(row[4:])), limit)
	}
	name, _, _ := strings.Cut(string(row[:peNameSize]), "\x00")
	if name == "" { // it would become a reference
		return "", refusePE(at, "symbol name % x", row[:peNameSize])
	}
	return name, nil
}

// renumber gives a symbol its section's new number and returns its rows.
func (f *peFile) renumber(at int64, rows []byte) ([]byte, error) {
	class, auxiliary := rows[16], rows[17]
	if class == peClassFile && auxiliary > 0 {
		text := bytes.TrimRight(rows[peSymbolSize:], "\x00")
		if len(text) == 0 {
			return nil, refusePE(at, "an empty file name in %d auxiliary rows", auxiliary)
		}
		auxiliary = byte((len(text) + peSymbolSize - 1) / peSymbolSize)
		rows[17] = auxiliary
		rows = rows[:(int(auxiliary)+1)*peSymbolSize]
	}
	number := binary.LittleEndian.Uint16(rows[12:])
	definition := auxiliary > 0 && (class == peClassStatic || class == peClassExternal && number == peSectionAbsolute)
	if number != 0 && number <= peSectionNumbersMax {
		index, err := f.newNumber(at, number)
		if err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint16(rows[12:], index)
	}
	if !definition {
		return rows, nil
	}
	// The number in a section's definition is the section's own, or that of the section
	// that it is associated with, which means nothing in an image. LLVM 22 writes its own number then too.
	numbered := number
	if rows[peSymbolSize+14] == peSelectAssociative {
		numbered = binary.LittleEndian.Uint16(rows[peSymbolSize+12:])
		if numbered == 0 {
			return nil, refusePE(at, "a section associated with no section")
		}
	}
	if numbered == 0 || numbered > peSectionNumbersMax {
		return rows, nil
	}
	index, err := f.newNumber(at, numbered)
	if err == nil && number != 0 && number <= peSectionNumbersMax && class == peClassStatic && auxiliary == 1 {
		binary.LittleEndian.PutUint16(rows[peSymbolSize+12:], index)
		binary.LittleEndian.PutUint16(rows[peSymbolSize+16:], 0)
	}
	return rows, err
}

// newNumber returns the new number of the section of this number.
func (f *peFile) newNumber(at int64, number uint16) (uint16, error) {
	if int(number) > len(f.sections) {
		return 0, refusePE(at, "symbol in section %d of %d", number, len(f.sections))
	}
	index := f.sections[number-1].index
	if index == 0 {
		return 0, refusePE(at, "a symbol stands in section %d, which is to be removed", number)
	}
	return uint16(index), nil
}

// retarget gives weak symbols the new numbers of the symbols that stand in for them.
func (t *peSymbols) retarget(at int64) error {
	for _, mark := range t.marks {
		row := t.rows[mark.row*peSymbolSize:]
		if row[16] != peClassWeak || row[17] == 0 {
			continue
		}
		target := binary.LittleEndian.Uint32(row[peSymbolSize:])
		found := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].old >= target })
		if found == len(t.marks) || t.marks[found].old != target {
			return refusePE(at, "weak symbol %d stands for %d, which is none", mark.old, target)
		}
		if row[17] == 1 {
			binary.LittleEndian.PutUint32(row[peSymbolSize:], t.marks[found].row)
		}
	}
	return nil
}

// addNames adds the names that do not fit into a row.
func (t *peSymbols) addNames(table *stringTable) error {
	long := 0
	for _, mark := range t.marks {
		if len(mark.name) > peNameSize {
			long++
		}
	}
	table.names = slices.Grow(table.names, long)
	for i := range t.marks {
		mark := &t.marks[i]
		if len(mark.name) <= peNameSize {
			continue
		}
		var err error
		if mark.index, err = table.add(mark.name); err != nil {
			return err
		}
	}
	return nil
}

// putNames writes all names, or where they stand in the table.
func (t *peSymbols) putNames(table *stringTable) {
	for _, mark := range t.marks {
		field := t.rows[mark.row*peSymbolSize:][:peNameSize]
		clear(field)
		if len(mark.name) <= peNameSize {
			copy(field, mark.name)
		} else {
			binary.LittleEndian.PutUint32(field[4:], table.offset(mark.index))
		}
	}
}
