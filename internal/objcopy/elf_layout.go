package objcopy

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// readSegments reads the program headers and finds out what moves with what.
func (f *elfFile) readSegments() error {
	offset := binary.LittleEndian.Uint64(f.header[32:])
	entrySize := binary.LittleEndian.Uint16(f.header[54:])
	count := binary.LittleEndian.Uint16(f.header[56:])
	size := uint64(count) * elfSegmentSize
	if count == 0 || count > SegmentsMax {
		return refuseELF(56, "%d program headers, not 1 to %d", count, SegmentsMax)
	}
	if entrySize != elfSegmentSize {
		return refuseELF(54, "program headers of %d bytes, not %d", entrySize, elfSegmentSize)
	}
	if !f.within(offset, size) {
		return refuseELF(32, "%d program headers at offset %d end past the file", count, offset)
	}
	table, err := f.read(int64(offset), int64(size))
	if err != nil {
		return err
	}
	for index := range int(count) {
		decoded := decodeSegment(table[index*elfSegmentSize:][:elfSegmentSize], index)
		at := offset + uint64(index)*elfSegmentSize
		if !f.within(decoded.offset, decoded.fileSize) {
			return refuseELF(at, "segment of %d bytes at offset %d ends past the file", decoded.fileSize, decoded.offset)
		}
		if bits.OnesCount64(decoded.align) > 1 {
			return refuseELF(at, "segment alignment %d is no power of two", decoded.align)
		}
		f.segments = append(f.segments, decoded)
	}
	f.headTable = segment{index: int(count), fileSize: elfHeaderSize}
	f.programTable = segment{index: int(count) + 1, offset: offset, vaddr: offset, fileSize: size, align: 8}
	f.holdSections()
	return nil
}

func decodeSegment(entry []byte, index int) *segment {
	return &segment{
		kind:       binary.LittleEndian.Uint32(entry[0:]),
		flags:      binary.LittleEndian.Uint32(entry[4:]),
		offset:     binary.LittleEndian.Uint64(entry[8:]),
		vaddr:      binary.LittleEndian.Uint64(entry[16:]),
		paddr:      binary.LittleEndian.Uint64(entry[24:]),
		fileSize:   binary.LittleEndian.Uint64(entry[32:]),
		memorySize: binary.LittleEndian.Uint64(entry[40:]),
		align:      binary.LittleEndian.Uint64(entry[48:]),
		index:      index,
	}
}

// encode writes the program header with its new offset.
func (s *segment) encode(entry []byte) {
	binary.LittleEndian.PutUint32(entry[0:], s.kind)
	binary.LittleEndian.PutUint32(entry[4:], s.flags)
	binary.LittleEndian.PutUint64(entry[8:], s.newOffset)
	binary.LittleEndian.PutUint64(entry[16:], s.vaddr)
	binary.LittleEndian.PutUint64(entry[24:], s.paddr)
	binary.LittleEndian.PutUint64(entry[32:], s.fileSize)
	binary.LittleEndian.PutUint64(entry[40:], s.memorySize)
	binary.LittleEndian.PutUint64(entry[48:], s.align)
}

// holdSections gives each section the segment that starts first of those
// that it lies in.
func (f *elfFile) holdSections() {
	for _, outer := range f.segments {
		for _, s := range f.sections {
			if s.within(outer) && (s.parent == nil || s.parent.offset > outer.offset) {
				s.parent = outer
			}
		}
	}
}

// nestSegments gives each segment the first, in layout order, of those that it starts in.
func (f *elfFile) nestSegments(order layoutOrder) {
	for _, child := range f.laidOut() {
		child.parent = nil
		for _, outer := range f.segments {
			if child == outer || outer.offset > child.offset || outer.offset+outer.fileSize <= child.offset {
				continue
			}
			if order(outer, child) < 0 && (child.parent == nil || order(outer, child.parent) < 0) {
				child.parent = outer
			}
		}
	}
}

// laidOut returns everything that is laid out as a segment.
func (f *elfFile) laidOut() []*segment {
	return append(slices.Clone(f.segments), &f.headTable, &f.programTable)
}

// within reports whether the whole section lies in the segment: in memory if it
// has no bytes in the file. An empty section counts as one byte.
func (s *section) within(outer *segment) bool {
	size := max(s.size, 1)
	if s.kind != sectionNoBits {
		return outer.offset <= s.offset && outer.offset+outer.fileSize >= s.offset+size
	}
	if s.flags&flagAlloc == 0 || (s.flags&flagTLS != 0) != (outer.kind == segmentTLS) {
		return false
	}
	return outer.vaddr <= s.addr && outer.vaddr+outer.memorySize >= s.addr+size
}

// layoutOrder compares segments: parents come before what moves with them.
type layoutOrder func(a, b *segment) int

// byOffset is the order of LLVM up to 18.
func byOffset(a, b *segment) int {
	return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.index, b.index))
}

// byOffsetAndAlign is the order of LLVM from 19 on.
func byOffsetAndAlign(a, b *segment) int {
	return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(b.align, a.align), cmp.Compare(a.index, b.index))
}

// layOut gives every segment, section and table its new offset, and every section its number.
// A layout that would change when the result is rebuilt again is refused: what
// Remove gives then would not be what Normalize gave.
func (f *elfFile) layOut() error {
	if err := f.place(); err != nil {
		return err
	}
	again := f.rebuilt()
	again.holdSections()
	if err := again.place(); err != nil {
		return err
	}
	for index, s := range again.sections {
		if s.newOffset != f.sections[index].newOffset {
			return refuseELF(f.sections[index].at, "section %.32q would move each time the file is rebuilt", s.name)
		}
	}
	for index, s := range again.segments {
		if s.newOffset != f.segments[index].newOffset {
			return refuseELF(f.programTable.offset, "segment %d would move each time the file is rebuilt", index)
		}
	}
	if again.offsetTable != f.offsetTable || again.programTable.newOffset != f.programTable.newOffset {
		return refuseELF(0, "the tables would move each time the file is rebuilt")
	}
	return nil
}

// rebuilt returns the file as it is read after it has been rebuilt, as far as its layout goes.
func (f *elfFile) rebuilt() *elfFile {
	again := &elfFile{headTable: f.headTable, programTable: f.programTable}
	again.programTable.offset = f.programTable.newOffset
	again.programTable.vaddr = f.programTable.newOffset
	for _, s := range f.segments {
		moved := *s
		moved.offset = s.newOffset
		again.segments = append(again.segments, &moved)
	}
	for _, s := range f.sections {
		moved := *s
		moved.offset, moved.parent = s.newOffset, nil
		again.sections = append(again.sections, &moved)
	}
	return again
}

// place is LLVM's layout. One that is not the same in all versions is refused.
func (f *elfFile) place() error {
	newer, _, err := f.layOutSegments(byOffsetAndAlign)
	if err != nil {
		return err
	}
	older, end, err := f.layOutSegments(byOffset)
	if err != nil {
		return err
	}
	if !slices.Equal(newer, older) {
		return refuseELF(f.programTable.offset, "segments at one offset with different alignments")
	}
	if f.headTable.newOffset != 0 {
		return refuseELF(0, "the ELF header would move to offset %d", f.headTable.newOffset)
	}
	for index, s := range f.sections {
		s.index = uint32(index + 1)
		if s.parent == nil {
			continue
		}
		if s.data != nil || s.class == classSymbols || s.class == classStrings {
			return refuseELF(s.at, "section %.32q is built anew but lies in a segment", s.name)
		}
		s.newOffset = s.parent.newOffset + (s.offset - s.parent.offset)
	}
	for _, s := range f.outside() {
		if end, err = alignUp(end, s.align, 0); err != nil {
			return refuseELF(s.at, "section alignment %d: %v", s.align, err)
		}
		s.newOffset = end
		if s.kind != sectionNoBits {
			end += s.size
		}
		if end > SizeMax {
			return refuseELF(s.at, "the rebuilt file would have more than %d bytes", SizeMax)
		}
	}
	f.offsetTable, err = alignUp(end, 8, 0)
	return err
}

// layOutSegments puts one segment behind the other. It returns their new offsets in the
// order of the table, and where the last ends.
func (f *elfFile) layOutSegments(order layoutOrder) ([]uint64, uint64, error) {
	f.nestSegments(order)
	all := f.laidOut()
	end := uint64(0)
	for _, s := range slices.SortedFunc(slices.Values(all), order) {
		if s.parent != nil {
			s.newOffset = s.parent.newOffset + (s.offset - s.parent.offset)
		} else {
			var err error
			if s.newOffset, err = alignUp(end, s.align, s.vaddr); err != nil {
				return nil, 0, refuseELF(f.programTable.offset, "segment alignment %d: %v", s.align, err)
			}
		}
		end = max(end, s.newOffset+s.fileSize)
		if end > SizeMax {
			return nil, 0, refuseELF(f.programTable.offset, "the rebuilt segments would have more than %d bytes", SizeMax)
		}
	}
	offsets := make([]uint64, len(all))
	for index, s := range all {
		offsets[index] = s.newOffset
	}
	return offsets, end, nil
}

// outside returns the sections in no segment in the order of their offsets.
func (f *elfFile) outside() []*section {
	var outside []*section
	for _, s := range f.sections {
		if s.parent == nil {
			outside = append(outside, s)
		}
	}
	slices.SortStableFunc(outside, func(a, b *section) int { return cmp.Compare(a.offset, b.offset) })
	return outside
}

// alignUp returns the first offset that is not below from and equals skew modulo
// align, a power of two or 0.
func alignUp(from, align, skew uint64) (uint64, error) {
	if align > SizeMax {
		return 0, errAlign
	}
	align = max(align, 1)
	skew %= align
	return (from+align-1-skew)&^(align-1) + skew, nil
}
