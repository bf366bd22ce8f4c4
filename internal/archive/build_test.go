package archive

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/flate"
)

// A piece is one entry of a test archive. Its zero fields are what a sound archive has; the others
// are written as they are, which is how the tests lie.
type piece struct {
	name     string
	data     []byte
	stored   bool
	flags    uint16
	form     string // of the descriptor: "", "sig32", "sig64", "bare32", "bare64"
	zip64    bool   // sizes stand in the extra field of both headers
	extra    []byte
	external uint32 // 0 is a regular executable file

	crc            *uint32 // stated in the local header and the directory, or in the descriptor and the directory
	size           *uint32
	sizeCompressed *uint32
	central        func(header []byte) // changes the directory header
	local          func(header []byte) // changes the local header
	raw            []byte              // replaces the compressed data
	tail           []byte              // follows the data and the descriptor
	method         uint16
}

// A built archive is described by its pieces and what its end records say.
type built struct {
	pieces  []piece
	comment []byte
	zip64   bool
	end     func(record []byte)
	end64   func(record []byte)
	locator func(record []byte)
	order   []int // of the directory's headers, nil for that of the entries
	after   []byte
}

func (b built) bytes(t testing.TB) []byte {
	t.Helper()
	var out, directory bytes.Buffer
	headers := make([][]byte, len(b.pieces))
	for i, p := range b.pieces {
		headers[i] = p.write(t, &out)
	}
	order := b.order
	if order == nil {
		for i := range b.pieces {
			order = append(order, i)
		}
	}
	for _, i := range order {
		directory.Write(headers[i])
	}
	offset := out.Len()
	out.Write(directory.Bytes())
	count := uint64(len(order))
	if b.zip64 {
		at := out.Len()
		r := u32(signatureEnd64)
		r = append(r, u64(sizeEnd64-12)...)
		r = append(r, u16(45, 45)...)
		r = append(r, u32(0, 0)...)
		r = append(r, u64(count, count, uint64(directory.Len()), uint64(offset))...)
		change(b.end64, r)
		l := u32(signatureEnd64Locator, 0)
		l = append(l, u64(uint64(at))...)
		l = append(l, u32(1)...)
		change(b.locator, l)
		out.Write(r)
		out.Write(l)
	}
	r := u32(signatureEnd)
	r = append(r, u16(0, 0, uint16(count), uint16(count))...)
	r = append(r, u32(uint32(directory.Len()), uint32(offset))...)
	r = append(r, u16(uint16(len(b.comment)))...)
	if b.zip64 {
		copy(r[8:], bytes.Repeat([]byte{0xff}, 12))
	}
	change(b.end, r)
	out.Write(r)
	out.Write(b.comment)
	out.Write(b.after)
	return out.Bytes()
}

// write appends the entry and returns its directory header.
func (p piece) write(t testing.TB, out *bytes.Buffer) []byte {
	t.Helper()
	offset := out.Len()
	raw, method := p.data, uint16(methodStored)
	if !p.stored {
		raw, method = deflated(t, p.data), methodDeflated
	}
	if p.raw != nil {
		raw = p.raw
	}
	if p.method != 0 {
		method = p.method
	}
	flags := p.flags
	if p.form != "" {
		flags |= flagDescriptor
	}
	crc := or(p.crc, crc32.ChecksumIEEE(p.data))
	sizeCompressed, size := or(p.sizeCompressed, uint32(len(raw))), or(p.size, uint32(len(p.data)))

	numbers, extra := u32(crc, sizeCompressed, size), p.extra
	if p.zip64 {
		numbers = u32(crc, 1<<32-1, 1<<32-1)
		extra = append(append(u16(1, 16), u64(uint64(size), uint64(sizeCompressed))...), extra...)
	}
	local := u32(signatureLocal)
	local = append(local, u16(20, flags, method, 0, 0)...)
	if p.form != "" {
		local = append(local, make([]byte, 12)...)
	} else {
		local = append(local, numbers...)
	}
	local = append(local, u16(uint16(len(p.name)), uint16(len(extra)))...)
	local = append(append(local, p.name...), extra...)
	change(p.local, local)
	out.Write(local)
	out.Write(raw)
	switch p.form {
	case "sig32":
		out.Write(u32(signatureDescriptor, crc, sizeCompressed, size))
	case "bare32":
		out.Write(u32(crc, sizeCompressed, size))
	case "sig64":
		out.Write(append(u32(signatureDescriptor, crc), u64(uint64(sizeCompressed), uint64(size))...))
	case "bare64":
		out.Write(append(u32(crc), u64(uint64(sizeCompressed), uint64(size))...))
	}
	out.Write(p.tail)

	external := p.external
	if external == 0 {
		external = 0o100755 << 16
	}
	central := u32(signatureDirectory)
	central = append(central, u16(3<<8|20, 20, flags, method, 0, 0)...)
	central = append(central, numbers...)
	central = append(central, u16(uint16(len(p.name)), uint16(len(extra)), 0, 0, 0)...)
	central = append(central, u32(external, uint32(offset))...)
	central = append(append(central, p.name...), extra...)
	change(p.central, central)
	return central
}

func deflated(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func change(f func([]byte), record []byte) {
	if f != nil {
		f(record)
	}
}

func or(n *uint32, otherwise uint32) uint32 {
	if n != nil {
		return *n
	}
	return otherwise
}

// put16, put32 and put64 return a change of one field.
func put16(at int, n uint16) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint16(b[at:], n) }
}
func put32(at int, n uint32) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint32(b[at:], n) }
}
func put64(at int, n uint64) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint64(b[at:], n) }
}

func u16(n ...uint16) (b []byte) {
	for _, n := range n {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return b
}
func u32(n ...uint32) (b []byte) {
	for _, n := range n {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}
func u64(n ...uint64) (b []byte) {
	for _, n := range n {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}
