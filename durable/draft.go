package durable

import (
	"bytes"
	"errors"
	"io"
)

const draftCompareSize = 256 << 10 // bytes compared at a time

// Draft is where bytes go that may be those of a file which is there already: nowhere for
// as long as they are, and then into a store. So what is there already takes no room, and
// needs no right to write. It must not be used by two goroutines at once, except for ReadAt.
type Draft struct {
	there io.ReaderAt // to compare with; nil: nothing is
	size  int64       // of it
	same  int64       // bytes that came and are in it, while nothing is stored

	open   func() (Store, error)
	store  Store // opened before the first byte comes
	failed error // why it could not be opened
	stored bool  // what came is in the store

	buffer []byte
}

// Store keeps what a [Draft] is given: a [Staged] file, an [Output] or a [Scratch].
type Store interface {
	io.Writer
	io.ReaderAt
	Size() int64
	Abort() error // does nothing to what was committed
}

// NewDraft makes a draft. there, of size bytes, is what it is compared with; it may be nil.
// The store is opened at once, so that what hinders that is known before the first byte;
// with something to compare with, that is an error only when the store is needed.
func NewDraft(there io.ReaderAt, size int64, open func() (Store, error)) (*Draft, error) {
	d := &Draft{there: there, size: size, open: open}
	return d, d.begin()
}

func (d *Draft) begin() error {
	d.same, d.stored = 0, false
	d.store, d.failed = d.open()
	if d.there == nil {
		d.stored = true
		return d.failed
	}
	return nil
}

// Write stores bytes, or finds them in what is there.
func (d *Draft) Write(data []byte) (int, error) {
	if !d.stored {
		same, err := d.goesOn(data)
		if err != nil {
			return 0, err
		}
		if same {
			d.same += int64(len(data))
			return len(data), nil
		}
		if err := d.Keep(); err != nil {
			return 0, err
		}
	}
	return d.store.Write(data)
}

// goesOn reports whether what is there goes on with data.
func (d *Draft) goesOn(data []byte) (bool, error) {
	if int64(len(data)) > d.size-d.same {
		return false, nil
	}
	if d.buffer == nil {
		d.buffer = make([]byte, draftCompareSize)
	}
	for offset := d.same; len(data) > 0; {
		piece := d.buffer[:min(len(data), len(d.buffer))]
		_, err := io.ReadFull(io.NewSectionReader(d.there, offset, int64(len(piece))), piece)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // it has become shorter
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !bytes.Equal(piece, data[:len(piece)]) {
			return false, nil
		}
		data, offset = data[len(piece):], offset+int64(len(piece))
	}
	return true, nil
}

// Keep stores what came, and what comes from then on. The error is that of opening the
// store, or of writing.
func (d *Draft) Keep() error {
	switch {
	case d.stored:
		return nil
	case d.failed != nil:
		return d.failed
	}
	d.stored = true
	_, err := io.Copy(d.store, io.NewSectionReader(d.there, 0, d.same))
	return err
}

// ReadAt reads what came.
func (d *Draft) ReadAt(data []byte, offset int64) (int, error) {
	if d.stored {
		return d.store.ReadAt(data, offset)
	}
	return io.NewSectionReader(d.there, 0, d.same).ReadAt(data, offset)
}

// Size returns how many bytes came.
func (d *Draft) Size() int64 {
	if d.stored {
		return d.store.Size()
	}
	return d.same
}

// Reset forgets what came.
func (d *Draft) Reset() error {
	if err := d.Abort(); err != nil {
		return err
	}
	return d.begin()
}

// Abort removes what was stored, unless it was committed.
func (d *Draft) Abort() error {
	if d.store == nil {
		return nil
	}
	return d.store.Abort()
}

// Take is for what is known to be there without coming: all of it has come.
func (d *Draft) Take() { d.same = d.size }

// Whole reports whether what came is all of what is there, and nothing else.
func (d *Draft) Whole() bool { return !d.stored && d.same == d.size }

// Store is where what came is stored; nil while nothing is.
func (d *Draft) Store() Store {
	if !d.stored {
		return nil
	}
	return d.store
}

// Err says why nothing can be stored; nil if it can.
func (d *Draft) Err() error { return d.failed }
