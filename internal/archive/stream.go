package archive

import (
	"bytes"
	"errors"
	"io"
)

// A Reader hands out the executable of an archive that is read from front to back, once.
//
// Its data is not to be trusted before WriteTo has returned nil: only then has the
// whole archive been read to its last byte, and everything in it agrees. Any other error is final.
// A Reader uses less than 256 KiB of memory, whatever the archive says.
type Reader struct {
	c      *cursor
	limits limits
	locals []record
	index  int // of the executable in locals
	others int64
	data   *data
	err    error
}

// NewReader reads src up to the first byte of the executable's data: past the entries in front of
// it, if there are any. It reads ahead, so src must not be used by others until the Reader is done.
//
// The error is a [*FormatError], or wraps what src returned.
func NewReader(src io.Reader) (*Reader, error) { return newReader(src, usual) }

func newReader(src io.Reader, limits limits) (*Reader, error) {
	c := newCursor(src, 0, limits.sizeMax())
	r := &Reader{c: c, limits: limits, index: -1}
	if err := checkStart(c); err != nil {
		return nil, err
	}
	if err := r.readLocals(); err != nil {
		return nil, err
	}
	if r.index < 0 {
		return nil, broken(RuleNoExecutable, c.offset(), "it holds %s, neither %q nor %q", namesFound(r.locals), nameExecutable, nameExecutableWindows)
	}
	return r, nil
}

// checkStart refuses what does not begin as a zip, and says what it looks like instead.
func checkStart(c *cursor) error {
	prefix, err := c.br.Peek(SniffSize)
	if len(prefix) == 0 {
		if end, err := c.atEnd(); err != nil || !end {
			return err
		}
		return broken(RuleTruncated, 0, "there is not a single byte")
	}
	if len(prefix) < 4 && bytes.HasPrefix([]byte("PK\x03\x04"), prefix) {
		return c.failed(err, "the first signature")
	}
	if bytes.HasPrefix(prefix, []byte("PK\x07\x08")) {
		return broken(RuleSpanned, 0, "it is one disk of several")
	}
	if kind := Sniff(prefix); kind != KindZip {
		if err != nil && err != io.EOF {
			return c.failed(err, "the first bytes")
		}
		return broken(RuleNotZip, 0, "it looks like %s", kind)
	}
	return nil
}

// Entry describes the executable. Its mode is 0, and its sizes and CRC-32 may be unknown, before the
// Reader is at its end.
func (r *Reader) Entry() Entry { return r.locals[r.index].entry() }

// WriteTo writes what is left of the executable to w, in pieces of 32 to 64 KiB.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	if r.err == io.EOF {
		return 0, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.data.WriteTo(w)
	if err == nil {
		err = io.EOF
	}
	r.end(err)
	if r.err == io.EOF {
		return n, nil
	}
	return n, r.err
}

// end reads the rest of the archive when the executable is complete, and sets r.err to io.EOF when
// all of it holds.
func (r *Reader) end(err error) {
	if err == io.EOF {
		err = r.readRest()
	}
	if err == nil {
		err = io.EOF
	}
	r.err = err
}

// readLocals reads local headers, passing over other entries, until it stands at the executable's data
// for the first time or at the directory.
func (r *Reader) readLocals() error {
	for {
		signature, err := r.c.signature("an entry or the central directory")
		if err != nil {
			return err
		}
		switch signature {
		case signatureLocal:
		case signatureDirectory, signatureEnd64, signatureEnd:
			return nil
		default:
			return broken(RuleStructure, r.c.offset(), "%#08x where an entry or the directory belongs", signature)
		}
		if len(r.locals) == r.limits.Entries {
			return broken(RuleEntries, r.c.offset(), "more than %d entries", r.limits.Entries)
		}
		local, err := readLocal(r.c)
		if err != nil {
			return err
		}
		if local.method == methodStored && local.descriptor() {
			return broken(RuleStoredDescriptor, local.offset, "the end of %s cannot be found while the archive arrives; unpack it with another tool and use the executable", quoted(local.name))
		}
		r.locals = append(r.locals, local)
		last := &r.locals[len(r.locals)-1]
		if isExecutableName(local.name) {
			if r.index >= 0 {
				return broken(RuleTwoExecutables, local.offset, "%s is in it besides %s", quoted(local.name), quoted(r.locals[r.index].name))
			}
			r.index = len(r.locals) - 1
			return r.openExecutable(last)
		}
		if err := r.skip(last); err != nil {
			return err
		}
	}
}

func (r *Reader) openExecutable(local *record) error {
	if local.size >= 0 {
		if _, err := r.limits.checkSizes(local, 0); err != nil {
			return err
		}
	}
	r.data = newData(r.c, local, r.limits.Size)
	return nil
}

// skip passes over the data of an entry that nobody wants.
func (r *Reader) skip(local *record) (err error) {
	if local.size >= 0 {
		if r.others, err = r.limits.checkSizes(local, r.others); err != nil {
			return err
		}
		if n, err := r.c.br.Discard(int(local.sizeCompressed)); err != nil || int64(n) < local.sizeCompressed {
			return r.c.failed(err, quoted(local.name))
		}
		return nil
	}
	d := newData(r.c, local, r.limits.Others)
	if _, err := d.WriteTo(io.Discard); err != nil {
		return err
	}
	if r.others, err = r.limits.checkSizes(local, r.others); err != nil {
		return err
	}
	return readDescriptor(r.c, local)
}

// readRest reads what follows the executable's data, to the last byte, and compares all of it.
func (r *Reader) readRest() error {
	executable := &r.locals[r.index]
	if executable.descriptor() {
		if _, err := r.limits.checkSizes(executable, 0); err != nil {
			return err
		}
		if err := readDescriptor(r.c, executable); err != nil {
			return err
		}
	}
	if err := r.readLocals(); err != nil {
		return err
	}
	directory, err := readDirectory(r.c, r.limits)
	if err != nil {
		return err
	}
	if len(directory.records) != len(r.locals) {
		return broken(RuleMismatch, directory.offset, "the directory lists %d entries, the archive has %d", len(directory.records), len(r.locals))
	}
	for i := range r.locals {
		if err := match(&r.locals[i], directory.find(r.locals[i].offset)); err != nil {
			return err
		}
	}
	executable = &r.locals[r.index] // the slice may have grown
	central := directory.find(executable.offset)
	executable.creator, executable.external = central.creator, central.external
	return checkRegular(executable)
}

// Truncated reports whether err says that an archive, or the transfer of it, ended too soon.
func Truncated(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
