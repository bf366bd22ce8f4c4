package objcopy

import "encoding/binary"

// layOut gives sections and headers their new places and patches the headers.
func (f *peFile) layOut() error {
	kept := f.kept()
	headers := f.stubEnd + int64(len(peSignature)+peCOFFHeaderSize+len(f.optional)+len(kept)*peSectionSize)
	f.sizeHeaders = f.alignFile(headers)
	f.end = f.sizeHeaders
	initialized := uint32(0)
	for _, s := range kept {
		if s.virtualAddress != 0 && int64(s.virtualAddress) < f.sizeHeaders {
			return refusePE(s.at, "headers of %d bytes reach the section at address %#x", f.sizeHeaders, s.virtualAddress)
		}
		s.newOffset = 0
		if s.rawSize > 0 {
			s.newOffset = f.end
		}
		f.end = f.alignFile(f.end + int64(s.rawSize))
		if f.end > SizeMax {
			return refusePE(s.at, "the rebuilt file would have more than %d bytes", SizeMax)
		}
		if s.flags&peFlagInitialized != 0 {
			initialized += s.rawSize
		}
		s.patch()
	}
	last := kept[len(kept)-1]
	size, err := alignUp(uint64(last.virtualAddress)+uint64(last.virtualSize), f.imageAlignment, 0)
	if err != nil || size > 1<<32-1 {
		return refusePE(last.at, "the image ends at address %#x", size)
	}
	binary.LittleEndian.PutUint16(f.coff[2:], uint16(len(kept)))
	binary.LittleEndian.PutUint16(f.coff[16:], uint16(len(f.optional)))
	binary.LittleEndian.PutUint32(f.optional[8:], initialized)
	binary.LittleEndian.PutUint32(f.optional[56:], uint32(size))
	binary.LittleEndian.PutUint32(f.optional[60:], uint32(f.sizeHeaders))
	binary.LittleEndian.PutUint32(f.optional[64:], 0) // the checksum, which no longer holds
	return nil
}

// patch writes what may have changed, all but the name, into the header.
func (s *peSection) patch() {
	binary.LittleEndian.PutUint32(s.header[8:], s.virtualSize)
	binary.LittleEndian.PutUint32(s.header[12:], s.virtualAddress)
	binary.LittleEndian.PutUint32(s.header[16:], s.rawSize)
	binary.LittleEndian.PutUint32(s.header[20:], uint32(s.newOffset))
	binary.LittleEndian.PutUint32(s.header[24:], 0)
	binary.LittleEndian.PutUint32(s.header[36:], s.flags)
}

// directory returns the data directory of this index, or nil.
func (f *peFile) directory(index int) []byte {
	start := peOptionalSize + index*peDirectorySize
	if start >= len(f.optional) {
		return nil
	}
	return f.optional[start:][:peDirectorySize]
}

// write puts the rebuilt file together: headers, raw data, symbols, strings.
func (f *peFile) write() (*Image, error) {
	end := f.end
	symbols, sizeNames := f.symbols.rows, f.strings.size
	pointer := end
	if len(symbols) == 0 && sizeNames <= 4 {
		pointer, sizeNames = 0, 0
	}
	binary.LittleEndian.PutUint32(f.coff[8:], uint32(pointer))
	binary.LittleEndian.PutUint32(f.coff[12:], uint32(len(symbols)/peSymbolSize))

	var layers canvas
	f.putHeaders(&layers)
	for _, s := range f.kept() {
		if s.flags&peFlagCode != 0 {
			layers.put(piece{start: s.newOffset, size: int64(s.rawSize), fill: peFillCode})
		}
		contents := piece{start: s.newOffset, size: s.size, r: f.r, offset: s.offset}
		if s.content.R != nil {
			contents.r, contents.offset = s.content.R, 0
		}
		layers.put(contents)
	}
	if err := f.putDebug(&layers); err != nil {
		return nil, err
	}
	layers.put(piece{start: end, size: int64(len(symbols)), data: symbols})
	end += int64(len(symbols))
	if sizeNames > 4 {
		layers.put(piece{start: end, size: sizeNames, r: f.strings})
	}
	end = f.alignFile(end + sizeNames)
	if end > SizeMax {
		return nil, refusePE(0, "the rebuilt file would have more than %d bytes", SizeMax)
	}
	return layers.image(end), nil
}

// putHeaders puts everything before the raw data. The DOS header and stub stay as they are.
func (f *peFile) putHeaders(layers *canvas) {
	layers.put(piece{start: 0, size: f.stubEnd, r: f.r})
	headers := []byte(peSignature)
	headers = append(headers, f.coff...)
	headers = append(headers, f.optional...)
	for _, s := range f.kept() {
		headers = append(headers, s.header...)
	}
	layers.put(piece{start: f.stubEnd, size: int64(len(headers)), data: headers})
}

// putDebug puts the debug directory, whose entries point into the file, with
// new offsets.
func (f *peFile) putDebug(layers *canvas) error {
	directory := f.directory(peDirectoryDebug)
	if directory == nil || binary.LittleEndian.Uint32(directory[4:]) == 0 {
		return nil
	}
	address := binary.LittleEndian.Uint32(directory)
	size := int64(binary.LittleEndian.Uint32(directory[4:]))
	if size%peDebugEntrySize != 0 || size > peDebugEntriesMax*peDebugEntrySize {
		return refusePE(f.stubEnd, "debug directory of %d bytes", size)
	}
	holder := f.sectionAt(address)
	if holder == nil {
		return refusePE(f.stubEnd, "debug directory at address %#x is in no section", address)
	}
	skip := int64(address - holder.virtualAddress)
	if skip+size > holder.size || holder.content.R != nil {
		return refusePE(f.stubEnd, "debug directory at address %#x is past the end of its section", address)
	}
	entries, err := f.read(holder.offset+skip, size)
	if err != nil {
		return err
	}
	for at := 0; at < len(entries); at += peDebugEntrySize {
		if binary.LittleEndian.Uint32(entries[at+24:]) == 0 {
			continue
		}
		target := binary.LittleEndian.Uint32(entries[at+20:])
		s := f.sectionAt(target)
		if s == nil {
			return refusePE(holder.offset+skip+int64(at), "debug data at address %#x is in no section", target)
		}
		binary.LittleEndian.PutUint32(entries[at+24:], uint32(s.newOffset)+target-s.virtualAddress)
	}
	layers.put(piece{start: holder.newOffset + skip, size: size, data: entries})
	return nil
}

// sectionAt returns the first section with raw data at this address, or nil.
func (f *peFile) sectionAt(address uint32) *peSection {
	for _, s := range f.sections {
		if s.index != 0 && address >= s.virtualAddress && int64(address) < int64(s.virtualAddress)+int64(s.rawSize) {
			return s
		}
	}
	return nil
}
