package objcopy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// strictReader fails the test when something behind the end is read.
type strictReader struct {
	t    *testing.T
	data []byte
}

func (r strictReader) ReadAt(buffer []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(buffer)) > int64(len(r.data)) {
		r.t.Errorf("%d bytes read at %d of a file of %d", len(buffer), offset, len(r.data))
	}
	return bytes.NewReader(r.data).ReadAt(buffer, offset)
}

// FuzzRebuild requires of any bytes: a LayoutError or a result, reads only inside
// the file, and that Remove undoes Add.
func FuzzRebuild(f *testing.F) {
	for _, data := range fixtures(f) {
		f.Add(data)
		image, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), section([]byte("body")), section([]byte("header")))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytesOf(f, image))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := strictReader{t, data}
		size := int64(len(data))
		removed, err := objcopy.Remove(file, size)
		checkFuzzed(t, removed, err)
		normalized, err := objcopy.Normalize(file, size)
		checkFuzzed(t, normalized, err)
		if err != nil {
			return
		}
		// An image is a file like any other.
		again, err := objcopy.Normalize(normalized, normalized.Size())
		if err != nil {
			t.Fatalf("normalize again: %v", err)
		}
		if err := equalImages(again, normalized); err != nil {
			t.Errorf("normalize again: %v", err)
		}
		packed, err := objcopy.Add(normalized, normalized.Size(), section([]byte("body")), section([]byte("header")))
		checkFuzzed(t, packed, err)
		if err != nil {
			return
		}
		back, err := objcopy.Remove(packed, packed.Size())
		if err != nil {
			t.Fatalf("remove what was added: %v", err)
		}
		if err := equalImages(back, normalized); err != nil {
			t.Errorf("remove what was added: %v", err)
		}
	})
}

const sizeFuzzed = 1 << 20

func checkFuzzed(t *testing.T, image *objcopy.Image, err error) {
	t.Helper()
	switch {
	case err != nil:
		if image != nil || !errors.Is(err, objcopy.ErrLayout) {
			t.Errorf("an image or another error than ErrLayout: %v", err)
		}
	case image.Size() > objcopy.SizeMax:
		t.Errorf("a result of %d bytes", image.Size())
	case image.Size() <= sizeFuzzed:
		if n, err := image.WriteTo(io.Discard); err != nil || n != image.Size() {
			t.Errorf("%d of %d bytes written: %v", n, image.Size(), err)
		}
	}
}

func equalImages(a, b *objcopy.Image) error {
	if a.Size() != b.Size() {
		return fmt.Errorf("%d and %d bytes", a.Size(), b.Size())
	}
	if a.Size() > sizeFuzzed {
		return nil
	}
	var first, second bytes.Buffer
	if _, err := a.WriteTo(&first); err != nil {
		return err
	}
	if _, err := b.WriteTo(&second); err != nil {
		return err
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		return fmt.Errorf("they differ at offset %#x", firstDifference(first.Bytes(), second.Bytes()))
	}
	return nil
}
