package testbin

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"hash/crc32"
	"io/fs"
	"testing"
)

// ZipOptions varies an archive. The zero value is what upstream's release
// step writes today.
type ZipOptions struct {
	// Store leaves the entry uncompressed.
	Store bool

	// Descriptor puts CRC-32 and sizes behind the data, not in the local header.
	Descriptor bool

	// Mode of the entry; zero stands for 0755.
	Mode fs.FileMode

	// Level is the level of compress/flate; zero stands for the quickest that compresses.
	// Upstream's is the best, which takes ten times as long and is of the same format.
	Level int
}

// Zip returns an archive with one entry, deflated, with CRC-32 and both
// sizes in the local header, UNIX attributes and no extra fields.
func Zip(tb testing.TB, name string, data []byte, options ZipOptions) []byte {
	tb.Helper()
	header := &zip.FileHeader{
		Name:               name,
		Method:             zip.Deflate,
		CRC32:              crc32.ChecksumIEEE(data),
		UncompressedSize64: uint64(len(data)),
	}
	if options.Mode == 0 {
		options.Mode = 0o755
	}
	header.SetMode(options.Mode)
	content := data
	if options.Store {
		header.Method = zip.Store
	} else {
		content = deflate(tb, data, options.Level)
	}
	header.CompressedSize64 = uint64(len(content))
	if options.Descriptor {
		header.Flags |= 0x8
	}
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	entry, err := writer.CreateRaw(header)
	if err == nil {
		_, err = entry.Write(content)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		tb.Fatalf("zip a fixture: %v", err)
	}
	return archive.Bytes()
}

func deflate(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	if level == 0 {
		level = flate.BestSpeed
	}
	var out bytes.Buffer
	writer, err := flate.NewWriter(&out, level)
	if err == nil {
		_, err = writer.Write(data)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		tb.Fatalf("deflate a fixture: %v", err)
	}
	return out.Bytes()
}
