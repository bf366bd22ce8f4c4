package archive

import (
	"bytes"
	"fmt"
	"io"
)

// An Archive is an archive on random access whose headers hold.
type Archive struct {
	// Entry is the executable, Entries are all entries in the order in which they stand.
	Entry   Entry   `json:"entry"`
	Entries []Entry `json:"entries"`

	src        io.ReaderAt
	size       int64
	limits     limits
	executable record
}

// Open reads the headers of an archive of size bytes: the directory, and every local header, but not
// the executable. It reads a few hundred KiB, and companions only in a form that upstream never used.
//
// The error is a [*FormatError], or wraps what src returned. Of the data nothing has been checked when
// it is nil: [Archive.Reader] does that.
func Open(src io.ReaderAt, size int64) (*Archive, error) { return open(src, size, usual) }

func open(src io.ReaderAt, size int64, limits limits) (*Archive, error) {
	if size > limits.sizeMax() {
		return nil, broken(RuleSizeMax, 0, "an archive of %d bytes, at most %d are read", size, limits.sizeMax())
	}
	a := &Archive{src: src, size: size, limits: limits}
	start := a.cursor(0)
	if err := checkStart(start); err != nil {
		return nil, err
	}
	offset, err := findDirectory(src, size)
	if err != nil {
		return nil, err
	}
	directory, err := readDirectory(a.cursor(offset), limits)
	if err != nil {
		return nil, err
	}
	return a, a.walk(start, &directory)
}

// headerStep is how many bytes of headers are read at once: what stands behind them is data, which
// Open has no use for.
const headerStep = 4 << 10

// cursor reads headers from offset on.
func (a *Archive) cursor(offset int64) *cursor {
	c := newCursor(io.NewSectionReader(a.src, offset, a.size-offset), offset, a.limits.sizeMax())
	c.src.step = headerStep
	return c
}

// findDirectory finds the end record from the back and returns where it says the directory begins.
// What it says is checked by reading from there to the end. Most archives have no comment, so that a
// short tail will do.
func findDirectory(src io.ReaderAt, size int64) (int64, error) {
	for _, length := range [...]int64{headerStep, sizeEnd64Max + sizeEnd64Locator + sizeEnd + commentSizeMax} {
		tail := make([]byte, min(size, length))
		base := size - int64(len(tail))
		if n, err := src.ReadAt(tail, base); n < len(tail) {
			if err == io.EOF {
				return 0, broken(RuleTruncated, base+int64(n), "the archive is shorter than the %d bytes said", size)
			}
			return 0, fmt.Errorf("archive: read at offset %d: %w", base+int64(n), err)
		}
		if offset, found, err := directoryOf(tail, base); found || err != nil {
			return offset, err
		}
	}
	return 0, broken(RuleTruncated, size, "the archive has no end record")
}

// directoryOf looks into the tail of an archive that starts at base. It is not found when the end
// record, or what belongs to it, may stand before the tail.
func directoryOf(tail []byte, base int64) (offset int64, found bool, err error) {
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < sizeEnd {
		return 0, false, nil
	}
	offset = int64(le32(tail, at+16))
	// The zip64 record counts when there is one; it stands between the directory and its locator.
	if at < sizeEnd64Locator && base > 0 {
		return 0, false, nil
	}
	if locator := at - sizeEnd64Locator; locator >= 0 && le32(tail, locator) == signatureEnd64Locator {
		record := int64(le64(tail, locator+8)) - base
		if record < 0 && len(tail) <= headerStep && base > 0 {
			return 0, false, nil
		}
		if record >= 0 && record <= int64(locator)-sizeEnd64 && le32(tail, int(record)) == signatureEnd64 {
			offset = int64(le64(tail, int(record)+48))
		}
	}
	if offset < 0 || offset > base+int64(at) {
		return 0, false, broken(RuleMismatch, base+int64(at), "the end record states a directory at offset %d, behind itself", offset)
	}
	return offset, true, nil
}

// walk goes from local header to local header, as a stream would, and compares each with the
// directory.
func (a *Archive) walk(c *cursor, d *directory) error {
	others, found := int64(0), false
	offset := int64(0)
	for offset < d.offset {
		c.reset(a.src, offset, a.size)
		signature, err := c.signature("an entry")
		if err != nil {
			return err
		}
		if signature != signatureLocal {
			return broken(RuleStructure, offset, "%#08x where an entry or the directory belongs", signature)
		}
		local, err := readLocal(c)
		if err != nil {
			return err
		}
		central := d.find(offset)
		if central != nil && local.descriptor() {
			local.crc, local.size, local.sizeCompressed = central.crc, central.size, central.sizeCompressed
		}
		if err := match(&local, central); err != nil {
			return err
		}
		if others, err = a.limits.checkSizes(&local, others); err != nil {
			return err
		}
		if isExecutableName(local.name) {
			if found {
				return broken(RuleTwoExecutables, local.offset, "%s is in it besides %s", quoted(local.name), quoted(a.executable.name))
			}
			local.creator, local.external = central.creator, central.external
			a.executable, found = local, true
			a.Entry = local.entry()
		}
		a.Entries = append(a.Entries, a.entryWithMode(local, central))
		if offset, err = a.behind(c, &local, d.offset); err != nil {
			return err
		}
	}
	if len(a.Entries) != len(d.records) {
		return broken(RuleMismatch, d.offset, "the directory lists %d entries, the archive has %d", len(d.records), len(a.Entries))
	}
	if !found {
		return broken(RuleNoExecutable, d.offset, "it holds %s, neither %q nor %q", namesFound(d.records), nameExecutable, nameExecutableWindows)
	}
	return checkRegular(&a.executable)
}

func (a *Archive) entryWithMode(local record, central *record) Entry {
	local.creator, local.external = central.creator, central.external
	return local.entry()
}

// behind returns the offset behind an entry's data and descriptor.
func (a *Archive) behind(c *cursor, local *record, limit int64) (int64, error) {
	end := local.offsetData + local.sizeCompressed
	if end > limit {
		return 0, broken(RuleStructure, local.offset, "%s reaches into the directory", quoted(local.name))
	}
	if !local.descriptor() {
		return end, nil
	}
	if local.method == methodDeflated && !isExecutableName(local.name) {
		// A stream has to inflate this companion to pass it, and refuses it when it is damaged.
		c.reset(a.src, local.offsetData, a.size)
		if _, err := newData(c, local, a.limits.Others).WriteTo(io.Discard); err != nil {
			return 0, err
		}
	}
	c.reset(a.src, end, a.size)
	if err := readDescriptor(c, local); err != nil {
		return 0, err
	}
	return c.offset(), nil
}

// Section gives the executable in place, which only a stored one is: ok is false for a deflated one.
// Nothing is checked on the way.
func (a *Archive) Section() (section *io.SectionReader, ok bool) {
	if a.executable.method != methodStored {
		return nil, false
	}
	return io.NewSectionReader(a.src, a.executable.offsetData, a.executable.size), true
}

// Reader reads the executable from its beginning. It returns io.EOF only when CRC-32 and sizes hold.
// Each call begins at the start.
func (a *Archive) Reader() io.Reader {
	r := a.executable
	c := a.cursor(r.offsetData)
	c.src.step = 0 // all that follows is wanted
	return newData(c, &r, a.limits.Size)
}
