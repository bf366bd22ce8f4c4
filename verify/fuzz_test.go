package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// FuzzFile starts from small files that are right by the format, with nothing that could run in them.
// One byte of each header changes and the checksum with it. Then the file replaces itself.
func FuzzFile(f *testing.F) {
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
		f.Add(data, uint16(1580), byte(1))
		f.Add(data[:len(data)/2], uint16(0), byte(0))
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
		report := judge(t, data, verify.Options{SHA256: true})
		binary, err := multiversion.Parse(bytes.NewReader(data), int64(len(data)))
		if (err == nil) != (report.Binary != nil) {
			t.Fatalf("parsed: %v, but the report has %v", err, report.Binary)
		}
		if err != nil {
			if report.Ok {
				t.Fatalf("ok, but %v", err)
			}
			return
		}
		again := verify.Replace(binary, verify.Installed{Binary: binary}, verify.ReplaceOptions{})
		if !again.Identical || !again.Ok && binary.Size < multiversion.SizeLimit(binary.Format, false) {
			t.Fatalf("%+v", again)
		}
	})
}
