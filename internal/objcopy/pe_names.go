package objcopy

import (
	"encoding/binary"
	"strconv"
	"strings"
)

const (
	peSymbolSize = 18

	// peNameDecimalMax is the largest offset of a section's name that is
	// written in decimal, behind one slash; larger ones are in base 64, behind two.
	peNameDecimalMax = 9_999_999
	peNameDigits     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	peNameDigitsMax  = 6
)

// readStrings reads the string table, which stands behind the symbol table.
func (f *peFile) readStrings() error {
	at := int64(binary.LittleEndian.Uint32(f.coff[8:]))
	count := int64(binary.LittleEndian.Uint32(f.coff[12:]))
	if at == 0 && count == 0 {
		return nil
	}
	sizeSymbols := count * peSymbolSize
	if at == 0 || sizeSymbols > SymbolsSizeMax || !f.within(uint64(at), uint64(sizeSymbols)+4) {
		return refusePE(f.stubEnd+12, "symbol table of %d entries at offset %d", count, at)
	}
	at += sizeSymbols
	field, err := f.read(at, 4)
	if err != nil {
		return err
	}
	size := max(int64(binary.LittleEndian.Uint32(field)), 4)
	if size > StringsSizeMax || !f.within(uint64(at), uint64(size)) {
		return refusePE(at, "string table of %d bytes", size)
	}
	text, err := f.readText(at, size)
	if err != nil {
		return err
	}
	if size > 4 && text[size-1] != 0 {
		return refusePE(at+size-1, "string table does not end in a NUL")
	}
	f.stringsOld = text
	return nil
}

// text returns a name of the string table, with at most limit bytes. LLVM takes the
// table's own size for a name at its start, and an empty name for one there
// when it reads its result again: both are refused.
func (f *peFile) text(at int64, offset uint64, limit int) (string, error) {
	if offset < 4 || offset >= uint64(len(f.stringsOld)) {
		return "", refusePE(at, "name at %d of a string table of %d bytes", offset, len(f.stringsOld))
	}
	name, err := textAt(f.stringsOld, int(offset), limit)
	if err != nil {
		return "", refusePE(at, "names: %v", err)
	}
	if name == "" {
		return "", refusePE(at, "an empty name at %d of the string table", offset)
	}
	return name, nil
}

// sectionName resolves a name that is a reference into the string table.
func (f *peFile) sectionName(s *peSection) (string, error) {
	name, _, _ := strings.Cut(string(s.header[:peNameSize]), "\x00")
	digits, found := strings.CutPrefix(name, "/")
	if !found {
		return name, nil
	}
	var offset uint64
	if digits == "" || digits == "/" {
		return "", refusePE(s.at, "section name %q", name)
	}
	if digits64, found := strings.CutPrefix(digits, "/"); found {
		for _, digit := range []byte(digits64) {
			value := strings.IndexByte(peNameDigits, digit)
			if value < 0 {
				return "", refusePE(s.at, "section name %q", name)
			}
			offset = offset<<6 | uint64(value)
		}
	} else {
		for _, digit := range []byte(digits) {
			if digit < '0' || digit > '9' {
				return "", refusePE(s.at, "section name %q", name)
			}
			offset = offset*10 + uint64(digit-'0')
		}
	}
	return f.text(s.at, offset, namesSizeMax)
}

// buildStrings builds the string table of all names of more than 8 bytes and
// writes the names' places into sections and symbols.
func (f *peFile) buildStrings() error {
	f.strings = newStringTable(4)
	kept := f.kept()
	var err error
	for _, s := range kept {
		if len(s.name) > peNameSize {
			if s.nameIndex, err = f.strings.add(s.name); err != nil {
				return refusePE(s.at, "section names: %v", err)
			}
		}
	}
	if err := f.symbols.addNames(f.strings); err != nil {
		return refusePE(f.stubEnd+12, "symbol names: %v", err)
	}
	f.strings.build()
	binary.LittleEndian.PutUint32(f.strings.head, uint32(f.strings.size))
	for _, s := range kept {
		name := s.name
		if len(name) > peNameSize {
			name = sectionReference(f.strings.offset(s.nameIndex))
		}
		clear(s.header[:peNameSize])
		copy(s.header[:peNameSize], name)
	}
	f.symbols.putNames(f.strings)
	return nil
}

// sectionReference returns what stands in a section header in place of a name at
// this offset of the string table.
func sectionReference(offset uint32) string {
	if offset <= peNameDecimalMax {
		return "/" + strconv.FormatUint(uint64(offset), 10)
	}
	var digits [peNameDigitsMax]byte
	for index := range digits {
		digits[len(digits)-1-index] = peNameDigits[offset&63]
		offset >>= 6
	}
	return "//" + string(digits[:])
}
