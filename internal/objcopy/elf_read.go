package objcopy

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// readSections reads the section header table and names and classifies the sections.
func (f *elfFile) readSections(edit change) error {
	offset := binary.LittleEndian.Uint64(f.header[40:])
	entrySize := binary.LittleEndian.Uint16(f.header[58:])
	count := binary.LittleEndian.Uint16(f.header[60:])
	names := binary.LittleEndian.Uint16(f.header[62:])
	if offset == 0 || count == 0 || names == 0 {
		return refuseELF(40, "no section headers or no section names")
	}
	if entrySize != elfSectionSize {
		return refuseELF(58, "section headers of %d bytes, not %d", entrySize, elfSectionSize)
	}
	if count >= indexReserved || names >= indexReserved {
		return refuseELF(60, "%d sections, string table at index %d: more than %d", count, names, SectionsMax)
	}
	if !f.within(offset, uint64(count)*elfSectionSize) {
		return refuseELF(40, "section header table of %d entries at offset %d ends past the file", count, offset)
	}
	table, err := f.read(int64(offset), int64(count)*elfSectionSize)
	if err != nil {
		return err
	}
	for index := 1; index < int(count); index++ {
		decoded := decodeSection(table[index*elfSectionSize:][:elfSectionSize])
		decoded.at = int64(offset) + int64(index)*elfSectionSize
		f.sections = append(f.sections, decoded)
	}
	for _, each := range f.sections {
		if err := f.classify(each); err != nil {
			return err
		}
	}
	if f.names, err = f.section(uint32(names), 62, "string table index"); err != nil {
		return err
	}
	if f.names.class != classStrings {
		return refuseELF(f.names.at, "the section names are in a section of type %d, flags %#x", f.names.kind, f.names.flags)
	}
	return f.nameSections(table, edit)
}

func decodeSection(entry []byte) *section {
	return &section{
		kind:      binary.LittleEndian.Uint32(entry[4:]),
		flags:     binary.LittleEndian.Uint64(entry[8:]),
		addr:      binary.LittleEndian.Uint64(entry[16:]),
		offset:    binary.LittleEndian.Uint64(entry[24:]),
		size:      binary.LittleEndian.Uint64(entry[32:]),
		link:      binary.LittleEndian.Uint32(entry[40:]),
		info:      binary.LittleEndian.Uint32(entry[44:]),
		align:     binary.LittleEndian.Uint64(entry[48:]),
		entrySize: binary.LittleEndian.Uint64(entry[56:]),
	}
}

// classify chooses the class and checks what every section must hold to.
func (f *elfFile) classify(s *section) error {
	compressed := s.flags&flagCompressed != 0
	loaded := s.flags&flagAlloc != 0
	switch s.kind {
	case sectionRelocs, sectionRelocsAddend:
		s.class = classRelocs
		if loaded {
			s.class = classDynamicRelocs
		}
	case sectionStrings:
		if !loaded {
			s.class = classStrings
		}
	case sectionSymbols:
		s.class = classSymbols
	case sectionGroup:
		s.class = classGroup
	case sectionSymbolIndex, sectionRelocsCompact:
		return refuseELF(s.at, "section type %#x", s.kind)
	case sectionHash, sectionGNUHash, sectionDynamic, sectionDynamicSymbol, sectionNoBits:
	default:
		if compressed {
			s.class = classCompressed
		}
	}
	switch {
	case compressed && s.class != classCompressed:
		return refuseELF(s.at, "a compressed section of type %d", s.kind)
	case s.kind == sectionSymbols && loaded:
		return refuseELF(s.at, "a loaded symbol table")
	case s.kind != sectionNoBits && !f.within(s.offset, s.size):
		return refuseELF(s.at, "section of %d bytes at offset %d ends past the file", s.size, s.offset)
	case bits.OnesCount64(s.align) > 1:
		return refuseELF(s.at, "section alignment %d is no power of two", s.align)
	case s.entrySize > math.MaxUint32:
		return refuseELF(s.at, "section entries of %d bytes", s.entrySize)
	case compressed && s.size < 24:
		return refuseELF(s.at, "compressed section of %d bytes", s.size)
	case s.offset == offsetAdded:
		return refuseELF(s.at, "section offset %#x", s.offset)
	}
	return nil
}

// nameSections reads the names and refuses those that stand in the way.
func (f *elfFile) nameSections(table []byte, edit change) error {
	text, err := f.stringsOf(f.names)
	if err != nil {
		return err
	}
	sum := 0
	for index, each := range f.sections {
		start := binary.LittleEndian.Uint32(table[(index+1)*elfSectionSize:])
		if int(start) >= len(text) {
			return refuseELF(each.at, "section name at %d of a string table of %d bytes", start, len(text))
		}
		each.name, err = textAt(text, int(start), namesSizeMax-sum)
		if err != nil {
			return refuseELF(each.at, "section names: %v", err)
		}
		sum += len(each.name)
		if edit.clashes(each.name) {
			return refuseELF(each.at, "a section %s is there already", each.name)
		}
	}
	return nil
}

// stringsOf reads a string table, which ends in a NUL, once.
func (f *elfFile) stringsOf(s *section) (string, error) {
	if s.size == 0 || s.size > StringsSizeMax {
		return "", refuseELF(s.at, "string table of %d bytes, not 1 to %d", s.size, StringsSizeMax)
	}
	if s.text != "" {
		return s.text, nil
	}
	if f.sizeStrings += s.size; f.sizeStrings > StringsSizeMax {
		return "", refuseELF(s.at, "string tables of %d bytes in all, more than %d", f.sizeStrings, StringsSizeMax)
	}
	text, err := f.readText(int64(s.offset), int64(s.size))
	if err != nil {
		return "", err
	}
	if text[len(text)-1] != 0 {
		return "", refuseELF(s.offset+s.size-1, "string table does not end in a NUL")
	}
	s.text = text
	return text, nil
}

// linkSections resolves sh_link and sh_info to sections.
func (f *elfFile) linkSections() error {
	for _, s := range f.sections {
		var err error
		switch s.class {
		case classPlain:
			err = f.linkPlain(s)
		case classRelocs, classDynamicRelocs:
			err = f.linkRelocs(s)
		case classGroup:
			err = f.linkGroup(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *elfFile) linkPlain(s *section) error {
	if s.link == 0 {
		return nil
	}
	linked, err := f.section(s.link, s.at, "link")
	if err != nil {
		return err
	}
	if linked.class == classSymbols { // LLVM 16 drops the link, 19 keeps it
		return refuseELF(s.at, "section %.32q links the symbol table", s.name)
	}
	s.linked = linked
	return nil
}

func (f *elfFile) linkRelocs(s *section) error {
	var err error
	if s.link != 0 {
		if s.linked, err = f.section(s.link, s.at, "link"); err != nil {
			return err
		}
		wanted := uint32(sectionSymbols)
		if s.class == classDynamicRelocs {
			wanted = sectionDynamicSymbol
		}
		if s.linked.kind != wanted {
			return refuseELF(s.at, "relocations link a section of type %d, not %d", s.linked.kind, wanted)
		}
	}
	if s.info != 0 {
		if s.applied, err = f.section(s.info, s.at, "info"); err != nil {
			return err
		}
	}
	if s.class == classRelocs {
		return f.checkRelocs(s)
	}
	return nil
}

// checkRelocs requires that the relocations can be copied as they are: each
// names a symbol of the table, and the symbols keep their numbers.
func (f *elfFile) checkRelocs(s *section) error {
	wanted := uint64(16)
	if s.kind == sectionRelocsAddend {
		wanted = 24
	}
	if s.entrySize != wanted || s.size%wanted != 0 {
		return refuseELF(s.at, "%d bytes of relocations of %d bytes each", s.size, s.entrySize)
	}
	s.align = 8
	count := uint32(0)
	if f.symbols != nil {
		if f.symbols.reordered {
			return refuseELF(s.at, "relocations against symbols in an order that changes")
		}
		count = uint32(f.symbols.count)
	}
	const entriesAtOnce = 4096
	for done := uint64(0); done < s.size; done += entriesAtOnce * wanted {
		buffer, err := f.read(int64(s.offset+done), int64(min(entriesAtOnce*wanted, s.size-done)))
		if err != nil {
			return err
		}
		for at := uint64(0); at < uint64(len(buffer)); at += wanted {
			if symbol := binary.LittleEndian.Uint32(buffer[at+12:]); symbol != 0 && symbol >= count {
				return refuseELF(s.offset+done+at, "relocation against symbol %d of %d", symbol, count)
			}
		}
	}
	return nil
}

// linkGroup reads a group. Its members stand in its contents, which are written anew.
func (f *elfFile) linkGroup(s *section) error {
	const membersMax = 4096
	if s.size%4 != 0 || s.size < 8 || s.size > 4*membersMax || s.align%4 != 0 {
		return refuseELF(s.at, "section group of %d bytes, alignment %d", s.size, s.align)
	}
	linked, err := f.section(s.link, s.at, "link")
	if err != nil {
		return err
	}
	if linked.class != classSymbols || int64(s.info) >= int64(f.symbols.count) {
		return refuseELF(s.at, "section group linked to type %d, symbol %d", linked.kind, s.info)
	}
	if f.symbols.reordered || f.symbols.isLocal(s.info) {
		return refuseELF(s.at, "section group with a local symbol, or one of another number")
	}
	s.linked = linked
	if s.data, err = f.read(int64(s.offset), int64(s.size)); err != nil {
		return err
	}
	for at := 4; at < len(s.data); at += 4 {
		if _, err := f.section(binary.LittleEndian.Uint32(s.data[at:]), s.at, "group member"); err != nil {
			return err
		}
	}
	return nil
}
