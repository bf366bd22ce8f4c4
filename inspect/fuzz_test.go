package inspect_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
)

// FuzzInspect starts from small files that are right by the format, with nothing that could run in
// them. One byte of each header changes and the checksum with it.
func FuzzInspect(f *testing.F) {
	names, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(names) != 3 {
		f.Fatalf("%d seeds, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint16(8191), byte(1))
		f.Add(data[:len(data)/2], uint16(0), byte(0))
	}
	for _, text := range []string{"", "MZ", "\x7fELF", "PK\x03\x04", "PK\x05\x06", "\xca\xfe\xba\xbe\x00\x00\x00\x02", "<html>", "{}"} {
		f.Add([]byte(text), uint16(0), byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, offset uint16, value byte) {
		if len(data) > 64<<10 {
			return
		}
		data = bytes.Clone(data)
		if layout, err := multiversion.Locate(bytes.NewReader(data), int64(len(data))); err == nil {
			for _, image := range layout.Images {
				raw := (*[multiversion.HeaderSize]byte)(data[image.Header.Offset:])
				raw[int(offset)%multiversion.HeaderSize] ^= value
				multiversion.SealHeader(raw)
			}
		}
		kind := inspect.Describe(bytes.NewReader(data), int64(len(data)))
		if kind.Name == "" || kind.Text == "" {
			t.Fatalf("%+v", kind)
		}
		report, err := inspect.Inspect(bytes.NewReader(data), int64(len(data)), inspect.Options{Running: []multiversion.Release{1, 1<<32 - 1}})
		if err != nil {
			if _, ok := errors.AsType[*multiversion.FormatError](err); !ok || err.Error() == "" {
				t.Fatal(err)
			}
			return
		}
		if kind.Name != inspect.NameMultiversion {
			t.Fatalf("%+v", kind)
		}
		requireStretches(t, report.Stretches, int64(len(data)))
	})
}
