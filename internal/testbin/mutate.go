package testbin

import (
	"bytes"
	"context"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
)

// Offsets of fields in the header, in bytes, for Mutate. Integers are
// little-endian. Arrays of the past releases have 63 entries.
const (
	OffsetChecksumHeader   = 0
	OffsetChecksumBinary   = 16
	OffsetCurrentChecksum  = 32
	OffsetSchemaVersion    = 48
	OffsetReleasesMax      = 52
	OffsetCurrentRelease   = 56
	OffsetCurrentFlags     = 60
	OffsetPastCount        = 64
	OffsetPastReleases     = 68   // 4 bytes each
	OffsetPastChecksums    = 320  // 16 bytes each
	OffsetPastOffsets      = 1328 // 4 bytes each
	OffsetPastSizes        = 1580 // 4 bytes each
	OffsetPastFlags        = 1832 // 1 byte each
	OffsetPastCommits      = 1896 // 20 bytes each
	OffsetPastClientMins   = 3156 // 4 bytes each
	OffsetCurrentCommit    = 3424
	OffsetCurrentClientMin = 3444
	OffsetReserved         = 3448
)

// Bits of the flags in the header.
const (
	FlagVisit byte = 1 << 0
	FlagDebug byte = 1 << 1
)

// Mutate returns a copy of a multiversion binary with its header changed
// (in a universal file both headers, each by the same function) and both kinds of
// checksum made to match again, so that nothing but the change is wrong.
// The whole-file checksum is set before the change, which may break it, too.
func Mutate(tb testing.TB, data []byte, change func(header []byte)) []byte {
	tb.Helper()
	return reseal(tb, bytes.Clone(data), change)
}

// Reseal returns a copy of a multiversion binary that was changed outside of its
// headers, with the checksums made to match again. The sections must still be found.
func Reseal(tb testing.TB, data []byte) []byte {
	tb.Helper()
	return reseal(tb, bytes.Clone(data), func([]byte) {})
}

// Append returns a multiversion binary with bytes behind its end, resealed.
func Append(tb testing.TB, data, tail []byte) []byte {
	tb.Helper()
	return reseal(tb, append(bytes.Clone(data), tail...), func([]byte) {})
}

// Header returns where the header of the first architecture stands in data.
func Header(tb testing.TB, data []byte) multiversion.Extent {
	tb.Helper()
	return layout(tb, data).Images[0].Header
}

// Body returns where the body of the first architecture stands in data.
func Body(tb testing.TB, data []byte) multiversion.Extent {
	tb.Helper()
	return layout(tb, data).Images[0].Body
}

func layout(tb testing.TB, data []byte) multiversion.Layout {
	tb.Helper()
	found, err := multiversion.Locate(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatalf("locate the sections of a fixture: %v", err)
	}
	return found
}

func reseal(tb testing.TB, data []byte, change func(header []byte)) []byte {
	tb.Helper()
	found := layout(tb, data)
	binary := multiversion.Binary{Format: found.Format, Size: found.Size}
	hash := multiversion.NewHash()
	for _, image := range found.Images {
		binary.Images = append(binary.Images, multiversion.Image{Layout: image})
	}
	var done int64
	for _, header := range binary.Headers() {
		hash.Write(data[done:header.Offset])
		hash.WriteZeros(header.Size)
		done = header.End()
	}
	hash.Write(data[done:])
	sum := hash.Checksum()
	for _, header := range binary.Headers() {
		raw := (*[multiversion.HeaderSize]byte)(data[header.Offset:])
		copy(raw[OffsetChecksumBinary:], sum[:])
		change(raw[:])
		multiversion.SealHeader(raw)
	}
	return data
}

// Load parses data and looks at no checksum but those of the headers.
func Load(tb testing.TB, data []byte) *multiversion.Binary {
	tb.Helper()
	binary, err := multiversion.Parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatalf("parse a fixture: %v", err)
	}
	return binary
}

// Parse parses data and requires that every checksum which can be checked
// without taking the current executable out holds.
func Parse(tb testing.TB, data []byte) *multiversion.Binary {
	tb.Helper()
	binary := Load(tb, data)
	sum, err := binary.ChecksumWithoutHeader(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	for index := range binary.Images {
		image := &binary.Images[index]
		if sum != image.Header.ChecksumBinary {
			tb.Fatalf("%s: whole-file checksum %s, want %s", image.Arch(), sum, image.Header.ChecksumBinary)
		}
		for i, past := range image.Header.Past {
			extent := image.PastExtent(i)
			if got := multiversion.ChecksumOf(data[extent.Offset:extent.End()]); got != past.Checksum {
				tb.Fatalf("%s: checksum of past release %s is %s, want %s", image.Arch(), past.Release, got, past.Checksum)
			}
		}
	}
	return binary
}
