package archive

import (
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// A data reads one entry's data at a cursor: it inflates, counts and checks. When it returns io.EOF
// the data is complete, its CRC-32 and sizes are known and equal to what the local header stated, if
// it stated them, and the cursor is after the data.
type data struct {
	c       *cursor
	r       *record
	sizeMax int64 // more inflated bytes than this are refused
	inflate io.ReadCloser
	crc     uint32
	size    int64 // bytes handed out
	err     error // sticky, io.EOF when complete
}

func newData(c *cursor, r *record, sizeMax int64) *data {
	d := &data{c: c, r: r, sizeMax: sizeMax}
	if r.method == methodDeflated {
		d.inflate = flate.NewReader(c.br)
	}
	return d
}

// Read reads uncompressed data.
func (d *data) Read(p []byte) (int, error) {
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	n, err := d.read(p)
	if failed := d.count(p[:n]); failed != nil {
		d.err = failed
		return 0, failed
	}
	if err != nil {
		d.err = d.finish(err)
	}
	return n, d.err
}

func (d *data) read(p []byte) (int, error) {
	if d.inflate != nil {
		return d.inflate.Read(p)
	}
	left := d.r.sizeCompressed - d.size
	if left == 0 {
		return 0, io.EOF
	}
	return d.c.br.Read(p[:min(int64(len(p)), left)])
}

// WriteTo writes the data to w, without a buffer of its own between the inflater and w.
func (d *data) WriteTo(w io.Writer) (int64, error) {
	if d.err == io.EOF {
		return 0, nil
	}
	if d.err != nil {
		return 0, d.err
	}
	before := d.size
	d.err = d.writeTo(w)
	if d.err == io.EOF {
		return d.size - before, nil
	}
	return d.size - before, d.err
}

func (d *data) writeTo(w io.Writer) error {
	out := &counted{d: d, w: w}
	if d.inflate == nil {
		buffer := make([]byte, 64<<10)
		for {
			n, err := d.read(buffer)
			if n > 0 {
				if _, failed := out.Write(buffer[:n]); failed != nil {
					return failed
				}
			}
			if err != nil {
				return d.finish(err)
			}
		}
	}
	_, err := d.inflate.(io.WriterTo).WriteTo(out)
	if out.err != nil {
		return out.err
	}
	if err == nil {
		err = io.EOF
	}
	return d.finish(err)
}

// A counted writer passes data on after counting it, and keeps an error of its own apart from the
// inflater's.
type counted struct {
	d   *data
	w   io.Writer
	err error
}

func (c *counted) Write(p []byte) (int, error) {
	if c.err = c.d.count(p); c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	c.err = err
	return n, err
}

// count adds p to the size and the CRC-32, before anyone sees it.
func (d *data) count(p []byte) error {
	d.size += int64(len(p))
	if d.r.size >= 0 && d.size > d.r.size {
		return broken(RuleSize, d.r.offset, "%s inflates to more than the %d bytes stated", quoted(d.r.name), d.r.size)
	}
	if d.size > d.sizeMax {
		return broken(RuleSizeMax, d.r.offset, "%s inflates to more than %d bytes", quoted(d.r.name), d.sizeMax)
	}
	d.crc = crc32.Update(d.crc, crc32.IEEETable, p)
	return nil
}

// finish turns the end of the data into io.EOF or into what is wrong with it.
func (d *data) finish(err error) error {
	if err != io.EOF {
		return d.failed(err)
	}
	if d.inflate == nil && d.size < d.r.sizeCompressed {
		return d.failed(io.ErrUnexpectedEOF) // the source ended, not the entry
	}
	sizeCompressed := d.c.offset() - d.r.offsetData
	if d.r.descriptor() && d.r.size < 0 {
		d.r.crc, d.r.size, d.r.sizeCompressed = d.crc, d.size, sizeCompressed
		return io.EOF
	}
	switch {
	case d.r.sizeCompressed != sizeCompressed:
		return broken(RuleSize, d.r.offset, "%s has %d bytes of compressed data, %d are stated", quoted(d.r.name), sizeCompressed, d.r.sizeCompressed)
	case d.r.size != d.size:
		return broken(RuleSize, d.r.offset, "%s inflates to %d bytes, %d are stated", quoted(d.r.name), d.size, d.r.size)
	case d.r.crc != d.crc:
		return broken(RuleCRC, d.r.offset, "%s has CRC-32 %08x, %08x is stated", quoted(d.r.name), d.crc, d.r.crc)
	}
	return io.EOF
}

// failed says why data could not be read: the source's error, a cut, or damage.
func (d *data) failed(err error) error {
	overrun := d.r.sizeCompressed >= 0 && d.c.offset() > d.r.offsetData+d.r.sizeCompressed
	if d.c.src.err != nil && !overrun && !errors.As(err, new(flate.CorruptInputError)) {
		return d.c.failed(err, quoted(d.r.name))
	}
	return broken(RuleDeflate, d.c.offset(), "%s cannot be inflated: %v", quoted(d.r.name), err)
}

// readDescriptor reads the descriptor after the data of r, whose numbers are known. Nothing in the
// format says whether it begins with a signature, and whether its sizes have 4 or 8 bytes is told in
// ways that writers disagree on. So the form is found by what fits: the numbers, and the signature of
// the record behind it.
func readDescriptor(c *cursor, r *record) error {
	offset := c.offset()
	b, err := c.peek(4, "a data descriptor")
	if err != nil {
		return err
	}
	signed := le32(b, 0) == signatureDescriptor
	var short error
	for _, form := range [...]struct {
		prefix, sizes int
	}{{4, 4}, {4, 8}, {0, 4}, {0, 8}} {
		length := form.prefix + 4 + 2*form.sizes
		b, err := c.br.Peek(length + 4)
		if err != nil {
			short = err
			continue
		}
		if form.prefix > 0 && !signed || le32(b, form.prefix) != r.crc {
			continue
		}
		sizeCompressed, size := uint64(le32(b, form.prefix+4)), uint64(le32(b, form.prefix+8))
		if form.sizes == 8 {
			sizeCompressed, size = le64(b, form.prefix+4), le64(b, form.prefix+12)
		}
		next := le32(b, length)
		if sizeCompressed == uint64(r.sizeCompressed) && size == uint64(r.size) && (next == signatureLocal || next == signatureDirectory) {
			_, err := c.take(length, "a data descriptor")
			return err
		}
	}
	if short != nil { // a directory always follows, and it is longer than what was looked at
		return c.failed(short, "a data descriptor")
	}
	return broken(RuleMismatch, offset, "%s has CRC-32 %08x and %d bytes (%d compressed), its descriptor says otherwise",
		quoted(r.name), r.crc, r.size, r.sizeCompressed)
}
