package archive

import (
	"encoding/binary"
	"io/fs"
	"math"
	"strconv"
)

// Signatures and fixed sizes of the records, in bytes.
const (
	signatureLocal        = 0x04034b50
	signatureDescriptor   = 0x08074b50
	signatureDirectory    = 0x02014b50
	signatureEnd64        = 0x06064b50
	signatureEnd64Locator = 0x07064b50
	signatureEnd          = 0x06054b50

	sizeLocal        = 30
	sizeDirectory    = 46
	sizeEnd64        = 56
	sizeEnd64Locator = 20
	sizeEnd          = 22

	// sizeEnd64Max bounds the zip64 end record, which may grow by fields nobody uses.
	sizeEnd64Max = 4 << 10
	// commentSizeMax is the longest comment that the format can express.
	commentSizeMax = math.MaxUint16
)

// Bits of a header's flags.
const (
	flagEncrypted       = 1 << 0
	flagDescriptor      = 1 << 3 // CRC-32 and sizes come after the data
	flagPatch           = 1 << 5
	flagStrong          = 1 << 6
	flagMaskedDirectory = 1 << 13
)

// A record is one entry as a local or a directory header states it.
type record struct {
	name   string
	flags  uint16
	method uint16
	crc    uint32
	// sizes in bytes; in a local header with a descriptor they are not known and -1
	sizeCompressed, size int64
	// offset of the local header, offsetData of the first byte behind it
	offset, offsetData int64

	// of a directory header only
	creator  byte
	external uint32
}

func (r *record) descriptor() bool { return r.flags&flagDescriptor != 0 }

func (r *record) entry() Entry {
	return Entry{
		Name: r.name, Mode: r.mode(), Method: methodName(r.method), Size: r.size, SizeCompressed: r.sizeCompressed,
		CRC32: r.crc, Offset: r.offset, OffsetData: r.offsetData,
	}
}

// readLocal reads the local header that begins at the cursor, whose signature has been seen.
func readLocal(c *cursor) (record, error) {
	offset := c.offset()
	b, err := c.take(sizeLocal, "a local header")
	if err != nil {
		return record{}, err
	}
	r := record{
		flags: le16(b, 6), method: le16(b, 8), crc: le32(b, 14),
		sizeCompressed: int64(le32(b, 18)), size: int64(le32(b, 22)), offset: offset,
	}
	extra, err := r.readVariable(c, int(le16(b, 26)), int(le16(b, 28)), 0)
	if err != nil {
		return record{}, err
	}
	r.offsetData = c.offset()
	if r.descriptor() {
		// Whatever stands here is a hint at best: the descriptor decides, and is checked.
		r.size, r.sizeCompressed = -1, -1
		return r, nil
	}
	next := zip64Field{left: extraZip64(extra)}
	r.size = next.replace(r.size)
	r.sizeCompressed = next.replace(r.sizeCompressed)
	return r, r.checkNumbers(next)
}

// readDirectoryHeader reads the central directory header that begins at the cursor.
func readDirectoryHeader(c *cursor) (record, error) {
	offset := c.offset()
	b, err := c.take(sizeDirectory, "a directory header")
	if err != nil {
		return record{}, err
	}
	r := record{
		creator: b[5], flags: le16(b, 8), method: le16(b, 10), crc: le32(b, 16),
		sizeCompressed: int64(le32(b, 20)), size: int64(le32(b, 24)),
		external: le32(b, 38), offset: offset,
	}
	disk, offsetLocal := le16(b, 34), int64(le32(b, 42))
	extra, err := r.readVariable(c, int(le16(b, 28)), int(le16(b, 30)), int(le16(b, 32)))
	if err != nil {
		return record{}, err
	}
	next := zip64Field{left: extraZip64(extra)}
	r.size = next.replace(r.size)
	r.sizeCompressed = next.replace(r.sizeCompressed)
	offsetLocal = next.replace(offsetLocal)
	if err := r.checkNumbers(next); err != nil {
		return record{}, err
	}
	if disk != 0 && disk != math.MaxUint16 {
		return record{}, broken(RuleSpanned, offset, "%s is on disk %d", quoted(r.name), disk)
	}
	r.offset = offsetLocal
	return r, nil
}

// readVariable reads the name, the extra fields and the comment that follow a header's fixed part, and
// applies the rules that both kinds of header share. The returned slice, the extra fields, is valid until
// the next read.
func (r *record) readVariable(c *cursor, nameSize, extraSize, commentSize int) (extra []byte, err error) {
	if nameSize > nameSizeMax {
		return nil, broken(RuleHeader, r.offset, "a name of %d bytes, at most %d are read", nameSize, nameSizeMax)
	}
	if extraSize > extraSizeMax {
		return nil, broken(RuleHeader, r.offset, "extra fields of %d bytes, at most %d are read", extraSize, extraSizeMax)
	}
	b, err := c.take(nameSize+extraSize+commentSize, "a header's name and fields")
	if err != nil {
		return nil, err
	}
	r.name = string(b[:nameSize])
	extra = b[nameSize : nameSize+extraSize]
	if err := checkName(r.name, r.offset); err != nil {
		return nil, err
	}
	if r.flags&(flagEncrypted|flagStrong|flagMaskedDirectory) != 0 {
		return nil, broken(RuleEncrypted, r.offset, "%s is encrypted", quoted(r.name))
	}
	if r.flags&flagPatch != 0 {
		return nil, broken(RuleMethod, r.offset, "%s is patch data", quoted(r.name))
	}
	if r.method != methodStored && r.method != methodDeflated {
		return nil, broken(RuleMethod, r.offset, "%s has method %d, only stored (0) and deflated (8) are read", quoted(r.name), r.method)
	}
	return extra, nil
}

// checkNumbers refuses sizes that the header could not express, and a stored entry of two sizes.
func (r *record) checkNumbers(f zip64Field) error {
	if f.failed {
		return broken(RuleStructure, r.offset, "%s lacks the field for large sizes that its header refers to", quoted(r.name))
	}
	if r.size < 0 || r.sizeCompressed < 0 {
		return broken(RuleSizeMax, r.offset, "%s states a size beyond 2^63", quoted(r.name))
	}
	if r.method == methodStored && r.size != r.sizeCompressed {
		return broken(RuleSize, r.offset, "%s is stored, but states %d bytes for %d", quoted(r.name), r.sizeCompressed, r.size)
	}
	return nil
}

// mode is the UNIX mode in the external attributes, 0 when the archive was made elsewhere.
func (r *record) mode() fs.FileMode {
	const creatorUnix, creatorMacOS = 3, 19
	if r.creator != creatorUnix && r.creator != creatorMacOS {
		return 0
	}
	unix := r.external >> 16
	mode := fs.FileMode(unix & 0o777)
	if unix&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if unix&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if unix&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	switch unix & 0o170000 {
	case 0, 0o100000:
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

// extraZip64 returns the content of the field for large sizes, nil when there is none. Fields that
// nobody needs here may be of any kind, and the list may end in padding.
func extraZip64(extra []byte) []byte {
	const id = 1
	for len(extra) >= 4 {
		size := int(le16(extra, 2))
		if size > len(extra)-4 {
			return nil
		}
		if le16(extra, 0) == id {
			return extra[4 : 4+size : 4+size]
		}
		extra = extra[4+size:]
	}
	return nil
}

// A zip64Field hands out the 8-byte numbers that stand for saturated 4-byte ones, in their order.
type zip64Field struct {
	left   []byte
	failed bool // a number was wanted that is not there
}

// replace returns n, or the next large number when n says that it stands elsewhere. A number beyond
// 2^63 becomes negative; the caller refuses it.
func (f *zip64Field) replace(n int64) int64 {
	if n != math.MaxUint32 {
		return n
	}
	if len(f.left) < 8 {
		f.failed = true
		return 0
	}
	large := int64(le64(f.left, 0))
	f.left = f.left[8:]
	return large
}

func quoted(name string) string { return strconv.Quote(name[:min(len(name), 80)]) }

func le16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
func le32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func le64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
