package objcopy

import "encoding/binary"

// removeSections takes out the sections that edit names, and the symbol table if it
// is empty. What is referred to by a section that stays is refused.
func (f *elfFile) removeSections(edit change) error {
	removed := map[*section]bool{}
	for _, s := range f.sections {
		if edit.removes(s.name) {
			if s.parent != nil {
				return refuseELF(s.at, "section %s lies in a segment", s.name)
			}
			removed[s] = true
		}
	}
	f.removeEmptySymbols(removed)
	if len(removed) == 0 {
		return nil
	}
	var kept []*section
	for _, s := range f.sections {
		if removed[s] {
			continue
		}
		if removed[s.linked] || removed[s.applied] {
			return refuseELF(s.at, "section %.32q refers to a section to be removed", s.name)
		}
		if s.class == classGroup {
			return refuseELF(s.at, "a section group among sections to be removed")
		}
		kept = append(kept, s)
	}
	if removed[f.names] {
		return refuseELF(f.names.at, "the section names are to be removed")
	}
	if f.symbols != nil && (removed[f.symbols.section] || removed[f.symbols.names]) {
		return refuseELF(f.symbols.section.at, "the symbol table is to be removed")
	}
	if f.symbols != nil {
		for index := range f.symbols.count {
			if removed[f.symbols.definedIn(f.symbols.row(index))] {
				return refuseELF(f.symbols.section.at, "symbol %d stands in a section to be removed", index)
			}
		}
	}
	f.sections = kept
	return nil
}

// removeEmptySymbols marks a symbol table that holds only the null symbol, and its names.
func (f *elfFile) removeEmptySymbols(removed map[*section]bool) {
	if f.symbols == nil || f.symbols.count != 1 || removed[f.symbols.section] {
		return
	}
	for _, s := range f.sections {
		if s.class == classRelocs {
			return
		}
	}
	removed[f.symbols.section] = true
	if f.symbols.names != f.names {
		removed[f.symbols.names] = true
	}
	f.symbols = nil
}

// finishSections fills in what depends on the new numbers of sections.
func (f *elfFile) finishSections() {
	if f.symbols != nil {
		f.symbols.finish()
	}
	for _, s := range f.sections {
		switch s.class {
		case classPlain, classRelocs, classDynamicRelocs, classGroup:
			s.link = 0
			if s.linked != nil {
				s.link = s.linked.index
			}
			if s.applied != nil {
				s.info = s.applied.index
			}
		}
	}
}

// write puts the rebuilt file together: segments, which the ELF header and the program
// headers overwrite, then the sections in no segment, then the section headers.
func (f *elfFile) write() *Image {
	f.finishSections()
	var layers canvas
	for _, s := range f.segments {
		layers.put(piece{start: int64(s.newOffset), size: int64(s.fileSize), r: f.r, offset: int64(s.offset)})
	}
	header := f.encodeHeader()
	layers.put(piece{start: 0, size: int64(len(header)), data: header})
	programs := make([]byte, len(f.segments)*elfSegmentSize)
	for index, s := range f.segments {
		s.encode(programs[index*elfSegmentSize:])
	}
	layers.put(piece{start: int64(f.programTable.newOffset), size: int64(len(programs)), data: programs})
	for _, s := range f.outside() {
		at := piece{start: int64(s.newOffset), size: int64(s.size)}
		switch {
		case s.kind == sectionNoBits:
			continue
		case s.class == classAdded:
			at.r = s.content.R
		case s.strings != nil:
			at.r = s.strings
		case s.data != nil:
			at.data = s.data
		default:
			at.r, at.offset = f.r, int64(s.offset)
		}
		layers.put(at)
	}
	sections := make([]byte, (len(f.sections)+1)*elfSectionSize)
	for index, s := range f.sections {
		s.encode(sections[(index+1)*elfSectionSize:], f.names.strings.offset(s.nameIndex))
	}
	layers.put(piece{start: int64(f.offsetTable), size: int64(len(sections)), data: sections})
	return layers.image(int64(f.offsetTable) + int64(len(sections)))
}

// encodeHeader returns the ELF header with what has moved.
func (f *elfFile) encodeHeader() []byte {
	header := make([]byte, elfHeaderSize)
	copy(header, f.header)
	clear(header[9:16])
	binary.LittleEndian.PutUint64(header[32:], f.programTable.newOffset)
	binary.LittleEndian.PutUint64(header[40:], f.offsetTable)
	binary.LittleEndian.PutUint16(header[52:], elfHeaderSize)
	binary.LittleEndian.PutUint16(header[60:], uint16(len(f.sections)+1))
	binary.LittleEndian.PutUint16(header[62:], uint16(f.names.index))
	return header
}

// encode writes the section header with its new place.
func (s *section) encode(entry []byte, name uint32) {
	binary.LittleEndian.PutUint32(entry[0:], name)
	binary.LittleEndian.PutUint32(entry[4:], s.kind)
	binary.LittleEndian.PutUint64(entry[8:], s.flags)
	binary.LittleEndian.PutUint64(entry[16:], s.addr)
	binary.LittleEndian.PutUint64(entry[24:], s.newOffset)
	binary.LittleEndian.PutUint64(entry[32:], s.size)
	binary.LittleEndian.PutUint32(entry[40:], s.link)
	binary.LittleEndian.PutUint32(entry[44:], s.info)
	binary.LittleEndian.PutUint64(entry[48:], s.align)
	binary.LittleEndian.PutUint64(entry[56:], s.entrySize)
}
