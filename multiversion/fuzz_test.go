package multiversion

import (
	"bytes"
	"errors"
	"testing"
)

// sizeFuzzMax keeps fuzzing quick.
const sizeFuzzMax = 64 << 10

func FuzzLocate(f *testing.F) {
	for _, sample := range samples(f) {
		f.Add(sample.data)
		f.Add(sample.data[:len(sample.data)/2])
	}
	for _, breach := range breaches(f) {
		f.Add(breach.edit(breach.base.clone()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > sizeFuzzMax {
			return
		}
		size := int64(len(data))
		layout, err := Locate(bytes.NewReader(data), size)
		if err != nil {
			requireFormatError(t, err)
			return
		}
		if len(layout.Images) == 0 || layout.Size != size {
			t.Fatalf("%+v", layout)
		}
		for _, image := range layout.Images {
			for _, extent := range []Extent{image.Body, image.Header, image.Executable, layout.SectionTable} {
				if extent.Offset < 0 || extent.Size < 0 || extent.End() > size {
					t.Fatalf("%+v is not inside the %d bytes", extent, size)
				}
			}
			if image.Header.Size != HeaderSize || image.Body.End() > image.Header.Offset {
				t.Fatalf("%+v", image)
			}
		}
	})
}

// requireFormatError requires that a refusal says what is wrong, and that the
// cause is not a read outside the file.
func requireFormatError(t *testing.T, err error) {
	t.Helper()
	failure, ok := errors.AsType[*FormatError](err)
	if !ok || failure.Rule == RuleRead || failure.Found == "" || failure.Want == "" || failure.Offset < 0 {
		t.Fatalf("%#v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, sample := range samples(f) {
		f.Add(sample.data, uint16(offsetPastSizes), byte(1))
		f.Add(sample.data, uint16(OffsetReserved), byte(1))
	}
	// One byte of each header changes and the checksum with it, so that the
	// fuzzer comes behind the checksum.
	f.Fuzz(func(t *testing.T, data []byte, offset uint16, value byte) {
		if len(data) > sizeFuzzMax {
			return
		}
		data = bytes.Clone(data)
		layout, err := Locate(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			requireFormatError(t, err)
			return
		}
		for _, image := range layout.Images {
			raw := (*[HeaderSize]byte)(data[image.Header.Offset:])
			raw[int(offset)%HeaderSize] ^= value
			SealHeader(raw)
		}
		binary, err := parse(data)
		if err != nil {
			requireFormatError(t, err)
			return
		}
		if _, err := binary.ChecksumWithoutHeader(t.Context()); err != nil {
			t.Fatal(err)
		}
		for index := range binary.Images {
			image := &binary.Images[index]
			for past := range image.Header.Past {
				if extent := image.PastExtent(past); extent.Offset < image.Layout.Body.Offset || extent.End() > image.Layout.Body.End() {
					t.Fatalf("past executable at %+v is not inside the body %+v", extent, image.Layout.Body)
				}
			}
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	for _, raw := range vectors(f) {
		f.Add(raw[:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var raw [HeaderSize]byte
		copy(raw[:], data)
		if _, err := decodeHeader(&raw, 0); err != nil {
			requireFormatError(t, err)
		}
		SealHeader(&raw)
		failures := CheckHeader(&raw, 0)
		header, err := decodeHeader(&raw, 0)
		if (err == nil) != (len(failures) == 0) {
			t.Fatalf("%v, but %d failures", err, len(failures))
		}
		if err != nil {
			requireFormatError(t, err)
			return
		}
		again, err := header.Encode()
		if err != nil || again != raw {
			t.Fatalf("a header that is accepted is not encoded to the same bytes: %v", err)
		}
	})
}
