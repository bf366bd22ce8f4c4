package archive

import (
	"bytes"
	"io/fs"
	"math"
)

// A directory is what comes after the entries: their list and the end records.
type directory struct {
	records []record
	offset  int64 // of the first directory header
}

// readDirectory reads from the first directory header to the archive's last byte. The cursor must
// stand where the entries end, and the end records must say that the directory stands there.
func readDirectory(c *cursor, limits limits) (directory, error) {
	d := directory{offset: c.offset()}
	for {
		signature, err := c.signature("the central directory")
		if err != nil {
			return d, err
		}
		if signature != signatureDirectory {
			break
		}
		if len(d.records) == limits.Entries {
			return d, broken(RuleEntries, c.offset(), "more than %d entries", limits.Entries)
		}
		r, err := readDirectoryHeader(c)
		if err != nil {
			return d, err
		}
		d.records = append(d.records, r)
	}
	return d, d.readEnd(c)
}

// An end is what the end records say of the directory.
type end struct {
	disk, diskDirectory         uint32
	entriesHere, entries        uint64
	size, offset                uint64
	saturated16, saturated32    bool // a number may be all ones and stand in the zip64 record instead
	recordOffset, commentLength int64
}

// readEnd reads the end records, zip64 or not, and the comment.
func (d *directory) readEnd(c *cursor) error {
	sizeDirectory := c.offset() - d.offset
	signature, err := c.signature("the end record")
	if err != nil {
		return err
	}
	zip64 := signature == signatureEnd64
	if zip64 {
		if err := d.readEnd64(c, sizeDirectory); err != nil {
			return err
		}
		if signature, err = c.signature("the end record"); err != nil {
			return err
		}
	}
	offset := c.offset()
	if signature != signatureEnd {
		return broken(RuleStructure, offset, "%#08x where the end record belongs", signature)
	}
	b, err := c.take(sizeEnd, "the end record")
	if err != nil {
		return err
	}
	e := end{
		disk: uint32(le16(b, 4)), diskDirectory: uint32(le16(b, 6)),
		entriesHere: uint64(le16(b, 8)), entries: uint64(le16(b, 10)),
		size: uint64(le32(b, 12)), offset: uint64(le32(b, 16)),
		saturated16: zip64, saturated32: zip64, recordOffset: offset, commentLength: int64(le16(b, 20)),
	}
	if err := d.checkEnd(e, sizeDirectory); err != nil {
		return err
	}
	comment, err := c.take(int(e.commentLength), "the comment")
	if err != nil {
		return err
	}
	// A second end record in there would make a reader that searches from the back see another archive.
	if bytes.Contains(comment, []byte("PK\x05\x06")) {
		return broken(RuleStructure, offset, "the comment contains an end record")
	}
	last, err := c.atEnd()
	if err != nil {
		return err
	}
	if !last {
		return broken(RuleTrailing, c.offset(), "bytes follow the end record")
	}
	return nil
}

// readEnd64 reads the zip64 end record and its locator.
func (d *directory) readEnd64(c *cursor, sizeDirectory int64) error {
	offset := c.offset()
	b, err := c.take(sizeEnd64, "the zip64 end record")
	if err != nil {
		return err
	}
	e := end{
		disk: le32(b, 16), diskDirectory: le32(b, 20), entriesHere: le64(b, 24), entries: le64(b, 32),
		size: le64(b, 40), offset: le64(b, 48), recordOffset: offset,
	}
	size := le64(b, 4)
	if size < sizeEnd64-12 || size > sizeEnd64Max {
		return broken(RuleHeader, offset, "a zip64 end record of %d bytes", size)
	}
	if err := d.checkEnd(e, sizeDirectory); err != nil {
		return err
	}
	if _, err := c.take(int(size)-(sizeEnd64-12), "the zip64 end record"); err != nil {
		return err
	}
	offsetLocator := c.offset()
	if b, err = c.take(sizeEnd64Locator, "the zip64 locator"); err != nil {
		return err
	}
	if le32(b, 0) != signatureEnd64Locator {
		return broken(RuleStructure, offsetLocator, "%#08x where the zip64 locator belongs", le32(b, 0))
	}
	if le32(b, 4) != 0 || le32(b, 16) > 1 {
		return broken(RuleSpanned, offsetLocator, "the zip64 locator speaks of %d disks", le32(b, 16))
	}
	if le64(b, 8) != uint64(offset) {
		return broken(RuleMismatch, offsetLocator, "the zip64 locator points to offset %d, the record is at %d", le64(b, 8), offset)
	}
	return nil
}

// checkEnd compares what an end record says of the directory with the directory itself.
func (d *directory) checkEnd(e end, sizeDirectory int64) error {
	same16 := func(n, want uint64) bool { return n == want || e.saturated16 && n == math.MaxUint16 }
	same32 := func(n, want uint64) bool { return n == want || e.saturated32 && n == math.MaxUint32 }
	if !same16(uint64(e.disk), 0) || !same16(uint64(e.diskDirectory), 0) {
		return broken(RuleSpanned, e.recordOffset, "the end record is on disk %d, the directory on disk %d", e.disk, e.diskDirectory)
	}
	count := uint64(len(d.records))
	if !same16(e.entries, count) || !same16(e.entriesHere, count) {
		return broken(RuleMismatch, e.recordOffset, "the end record states %d entries (%d on this disk), the directory has %d", e.entries, e.entriesHere, count)
	}
	if !same32(e.size, uint64(sizeDirectory)) {
		return broken(RuleMismatch, e.recordOffset, "the end record states a directory of %d bytes, it has %d", e.size, sizeDirectory)
	}
	if !same32(e.offset, uint64(d.offset)) {
		return broken(RuleMismatch, e.recordOffset, "the end record states a directory at offset %d, it is at %d", e.offset, d.offset)
	}
	return nil
}

// find returns the directory's record of the local header at offset.
func (d *directory) find(offset int64) *record {
	for i := range d.records {
		if d.records[i].offset == offset {
			return &d.records[i]
		}
	}
	return nil
}

// match compares a local header, completed by its descriptor, with the directory's record of it.
func match(local, central *record) error {
	const flagsCompared = flagEncrypted | flagDescriptor
	offset := local.offset
	switch {
	case central == nil:
		return broken(RuleMismatch, offset, "the directory does not list %s", quoted(local.name))
	case local.name != central.name:
		return broken(RuleMismatch, offset, "%s is %s in the directory", quoted(local.name), quoted(central.name))
	case local.method != central.method:
		return broken(RuleMismatch, offset, "%s has method %d, %d in the directory", quoted(local.name), local.method, central.method)
	case local.flags&flagsCompared != central.flags&flagsCompared:
		return broken(RuleMismatch, offset, "%s has flags %#x, %#x in the directory", quoted(local.name), local.flags, central.flags)
	case local.crc != central.crc:
		return broken(RuleMismatch, offset, "%s has CRC-32 %08x, %08x in the directory", quoted(local.name), local.crc, central.crc)
	case local.size != central.size || local.sizeCompressed != central.sizeCompressed:
		return broken(RuleMismatch, offset, "%s has %d bytes (%d compressed), %d (%d) in the directory", quoted(local.name),
			local.size, local.sizeCompressed, central.size, central.sizeCompressed)
	}
	return nil
}

// checkRegular refuses an executable that the directory says is something else than a file.
func checkRegular(central *record) error {
	const attributeDirectory = 1 << 4
	mode := central.mode()
	if mode&fs.ModeType != 0 || central.external&attributeDirectory != 0 {
		return broken(RuleNotRegular, central.offset, "%s has mode %v", quoted(central.name), mode)
	}
	return nil
}

// checkSizes applies the limits to one entry's sizes; others is what the entries before it have used
// of the limit for companions, and the new sum is returned.
func (l limits) checkSizes(r *record, others int64) (int64, error) {
	large := max(r.size, r.sizeCompressed)
	if !isExecutableName(r.name) {
		if large > l.Others-others {
			return others, broken(RuleSizeMax, r.offset, "the entries beside the executable have more than %d bytes", l.Others)
		}
		return others + large, nil
	}
	if large > l.Size {
		return others, broken(RuleSizeMax, r.offset, "%s has %d bytes, at most %d are read", quoted(r.name), large, l.Size)
	}
	if r.size > ratioFloor && r.size/ratioMax > r.sizeCompressed {
		return others, broken(RuleRatio, r.offset, "%s expands from %d to %d bytes, more than %d-fold", quoted(r.name), r.sizeCompressed, r.size, ratioMax)
	}
	return others, nil
}

// sizeMax is the largest archive in bytes that can be within the limits.
func (l limits) sizeMax() int64 {
	const headers = 4 << 20 // names, fields and comments of all entries, twice
	return l.Size + l.Others + headers
}
