package objcopy

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// Image is a rebuilt executable: a virtual file. Its methods may be called at
// the same time. It never changes.
type Image struct {
	pieces []piece // in order, without gaps
	size   int64
}

// Content is what a section is filled with: the first Size bytes of R.
type Content struct {
	R    io.ReaderAt
	Size int64 // in bytes
}

// piece is a stretch of an image: bytes of r from offset, or data, or fill repeated.
type piece struct {
	start  int64 // in the image
	size   int64
	r      io.ReaderAt
	offset int64
	data   []byte
	fill   byte
}

func (p piece) end() int64 { return p.start + p.size }

// cut returns the part of the piece between two offsets of the image, which lie in it.
func (p piece) cut(start, end int64) piece {
	skip := start - p.start
	part := piece{start: start, size: end - start, r: p.r, fill: p.fill}
	if p.r != nil {
		part.offset = p.offset + skip
	}
	if p.data != nil {
		part.data = p.data[skip:][:part.size]
	}
	return part
}

// Size returns the size of the file in bytes.
func (m *Image) Size() int64 { return m.size }

// ReadAt reads as an [io.ReaderAt] does. A reader that the image was built from and that
// has become shorter makes it return [io.ErrUnexpectedEOF].
func (m *Image) ReadAt(buffer []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("read image: negative offset")
	}
	count := 0
	index := sort.Search(len(m.pieces), func(i int) bool { return m.pieces[i].end() > offset })
	for ; index < len(m.pieces) && count < len(buffer); index++ {
		at := m.pieces[index]
		part := at.cut(offset, min(at.end(), offset+int64(len(buffer)-count)))
		n, err := part.read(buffer[count:][:part.size])
		count, offset = count+n, offset+int64(n)
		if err != nil {
			return count, fmt.Errorf("read image at offset %d: %w", offset, err)
		}
	}
	if count < len(buffer) {
		return count, io.EOF
	}
	return count, nil
}

// read fills a buffer of the piece's size.
func (p piece) read(buffer []byte) (int, error) {
	switch {
	case p.r != nil:
		n, err := p.r.ReadAt(buffer, p.offset)
		if n == len(buffer) {
			return n, nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	case p.data != nil:
		return copy(buffer, p.data), nil
	}
	for i := range buffer {
		buffer[i] = p.fill
	}
	return len(buffer), nil
}

// WriteTo writes the whole file, through one buffer of 256 KiB.
func (m *Image) WriteTo(w io.Writer) (int64, error) {
	buffer := make([]byte, min(m.size, 256<<10))
	var done int64
	for done < m.size {
		part := buffer[:min(int64(len(buffer)), m.size-done)]
		if _, err := m.ReadAt(part, done); err != nil {
			return done, err
		}
		n, err := w.Write(part)
		done += int64(n)
		if err == nil && n < len(part) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, fmt.Errorf("write image at offset %d: %w", done, err)
		}
	}
	return done, nil
}

// canvas collects pieces, of which a later one hides the earlier ones under it.
type canvas struct {
	pieces []piece // in order, with gaps where nothing was put
}

func (c *canvas) put(top piece) {
	if top.size <= 0 {
		return
	}
	first := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].end() > top.start })
	last := first
	parts := []piece{top}
	for ; last < len(c.pieces) && c.pieces[last].start < top.end(); last++ {
		under := c.pieces[last]
		if under.start < top.start {
			parts = slices.Insert(parts, 0, under.cut(under.start, top.start))
		}
		if under.end() > top.end() {
			parts = append(parts, under.cut(top.end(), under.end()))
		}
	}
	c.pieces = slices.Replace(c.pieces, first, last, parts...)
}

// image returns the finished file of size bytes: gaps are zeros.
func (c *canvas) image(size int64) *Image {
	image := &Image{size: size}
	var done int64
	for _, at := range c.pieces {
		if at.start > done {
			image.pieces = append(image.pieces, piece{start: done, size: at.start - done})
		}
		image.pieces = append(image.pieces, at)
		done = at.end()
	}
	if done < size {
		image.pieces = append(image.pieces, piece{start: done, size: size - done})
	}
	return image
}
