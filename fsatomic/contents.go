package fsatomic

import (
	"bytes"
	"errors"
	"io"
)

const compareSize = 256 << 10 // bytes compared at a time

// sameEntry reports whether the entry called name has the same contents as a file of
// size bytes. It is for file systems that number names instead of files, or number
// them anew when they are looked up again, where two links seem to be two files.
func sameEntry(dir Dir, name string, file io.ReaderAt, size int64) (bool, error) {
	info, exists, err := lstatMaybe(dir, name)
	if err != nil || !exists || info.Kind != KindFile || info.Size != size {
		return false, err
	}
	other, err := dir.Open(name)
	if err != nil {
		return false, err
	}
	defer other.Close()
	return sameBytes(file, other, size)
}

// sameBytes compares the first size bytes of two files.
func sameBytes(a, b io.ReaderAt, size int64) (bool, error) {
	one, two := make([]byte, min(size, compareSize)), make([]byte, min(size, compareSize))
	for done := int64(0); done < size; {
		count := min(size-done, compareSize)
		if err := readWhole(a, one[:count], done); err != nil {
			return false, err
		}
		if err := readWhole(b, two[:count], done); err != nil {
			return false, err
		}
		if !bytes.Equal(one[:count], two[:count]) {
			return false, nil
		}
		done += count
	}
	return true, nil
}

// readWhole fills data, or says why not.
func readWhole(r io.ReaderAt, data []byte, offset int64) error {
	count, err := r.ReadAt(data, offset)
	switch {
	case count == len(data):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
