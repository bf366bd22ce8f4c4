package objcopy

import (
	"encoding/binary"
	"slices"
)

// symbolTable is the one section of type SHT_SYMTAB.
type symbolTable struct {
	section   *section
	names     *section // its string table
	count     int
	locals    int
	reordered bool       // local symbols did not stand first
	rows      []byte     // in the new order, with old names and section indexes
	texts     []string   // a name for each row, whose index is the name's number in the new string table
	sections  []*section // of the file as it was, for the section indexes
}

func (t *symbolTable) row(index int) []byte {
	return t.rows[index*elfSymbolSize:][:elfSymbolSize]
}

// definedIn returns the section that a row with its old index stands in, nil for none.
func (t *symbolTable) definedIn(row []byte) *section {
	switch place := binary.LittleEndian.Uint16(row[6:]); place {
	case 0, indexAbsolute, indexCommon:
		return nil
	default:
		return t.sections[place-1]
	}
}

// isLocal reports whether the symbol of this index, in the new order, is local.
func (t *symbolTable) isLocal(index uint32) bool { return isLocal(t.row(int(index))) }

func isLocal(row []byte) bool { return row[4]>>4 == 0 }

// readSymbols reads the symbol table, if there is one.
func (f *elfFile) readSymbols() error {
	for _, s := range f.sections {
		if s.class != classSymbols {
			continue
		}
		if f.symbols != nil {
			return refuseELF(s.at, "a second symbol table")
		}
		f.symbols = &symbolTable{section: s}
	}
	if f.symbols == nil {
		return nil
	}
	s := f.symbols.section
	if s.entrySize != elfSymbolSize || s.size%elfSymbolSize != 0 || s.size == 0 || s.size > SymbolsSizeMax {
		return refuseELF(s.at, "symbol table of %d bytes, entries of %d bytes", s.size, s.entrySize)
	}
	var err error
	if f.symbols.names, err = f.section(s.link, s.at, "link"); err != nil {
		return err
	}
	if f.symbols.names.class != classStrings {
		return refuseELF(s.at, "symbol names are in a section of type %d", f.symbols.names.kind)
	}
	text, err := f.stringsOf(f.symbols.names)
	if err != nil {
		return err
	}
	if f.symbols.rows, err = f.read(int64(s.offset), int64(s.size)); err != nil {
		return err
	}
	f.symbols.order()
	return f.nameSymbols(text)
}

// order moves the local symbols before all others, and keeps the order
// among both.
func (t *symbolTable) order() {
	t.count = len(t.rows) / elfSymbolSize
	global := false
	for index := range t.count {
		if !isLocal(t.row(index)) {
			global = true
			continue
		}
		t.locals++
		t.reordered = t.reordered || global
	}
	if !t.reordered {
		return
	}
	sorted := make([]byte, 0, len(t.rows))
	for _, local := range []bool{true, false} {
		for row := range slices.Chunk(t.rows, elfSymbolSize) {
			if isLocal(row) == local {
				sorted = append(sorted, row...)
			}
		}
	}
	t.rows = sorted
}

// nameSymbols resolves the names and sections of the rows.
func (f *elfFile) nameSymbols(text string) error {
	t := f.symbols
	t.texts = make([]string, t.count, t.count+len(f.sections)) // section names may follow
	t.sections = f.sections
	sum := 0
	for index := range t.count {
		row := t.row(index)
		start := binary.LittleEndian.Uint32(row)
		if int(start) >= len(text) {
			return refuseELF(t.section.at, "symbol name at %d of a string table of %d bytes", start, len(text))
		}
		name, err := textAt(text, int(start), namesSizeMax-sum)
		if err != nil {
			return refuseELF(t.section.at, "symbol names: %v", err)
		}
		sum += len(name)
		t.texts[index] = name
		place := binary.LittleEndian.Uint16(row[6:])
		if place == 0 || place == indexAbsolute || place == indexCommon {
			continue
		}
		if place >= indexReserved {
			return refuseELF(t.section.at, "symbol in the reserved section %#x", place)
		}
		if _, err = f.section(uint32(place), t.section.at, "symbol's section"); err != nil {
			return err
		}
	}
	return nil
}

// buildTables fills the string tables, and gives tables their new sizes.
// Names of sections come from the table of section names, others from the
// symbols; a string table that is neither becomes empty.
func (f *elfFile) buildTables() error {
	for _, s := range f.sections {
		if s.class == classStrings {
			s.strings = newStringTable(1)
		}
	}
	if t := f.symbols; t != nil {
		if err := t.names.strings.adopt(t.texts); err != nil {
			return refuseELF(t.section.at, "symbol names: %v", err)
		}
		t.section.align, t.section.entrySize = 8, elfSymbolSize
	}
	for _, s := range f.sections {
		var err error
		if s.nameIndex, err = f.names.strings.add(s.name); err != nil {
			return refuseELF(s.at, "section names: %v", err)
		}
	}
	for _, s := range f.sections {
		if s.class == classStrings {
			s.strings.build()
			s.size = uint64(s.strings.size)
		}
	}
	return nil
}

// finish writes the new names and section numbers into the rows.
func (t *symbolTable) finish() {
	for index := range t.count {
		row := t.row(index)
		binary.LittleEndian.PutUint32(row, t.names.strings.offset(index))
		if s := t.definedIn(row); s != nil {
			binary.LittleEndian.PutUint16(row[6:], uint16(s.index))
		}
	}
	t.section.data = t.rows
	t.section.link = t.names.index
	// With no local symbol at all the null symbol counts as one.
	t.section.info = uint32(max(t.locals, 1))
}
