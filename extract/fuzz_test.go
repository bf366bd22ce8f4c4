package extract_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
)

// FuzzExtract changes eight bytes anywhere in a real binary of a few formats, seals
// it again, and takes everything out: each release is refused, or has the checksum
// that its header says.
func FuzzExtract(f *testing.F) {
	platforms := []multiversion.Platform{multiversion.PlatformX86_64Linux, multiversion.PlatformX86_64Windows, multiversion.PlatformUniversalMacOS}
	var seeds [][]byte
	for _, platform := range platforms {
		spec := testbin.Spec{Platform: platform, Past: testbin.PastOf("0.17.7")}
		if platform == multiversion.PlatformX86_64Linux { // a small one: each input is all of it, changed
			spec = tinyelf.Spec(platform, 0, "0.17.8", "0.17.7")
		}
		seeds = append(seeds, testbin.Build(f, spec))
	}
	for kind := range platforms {
		f.Add(byte(kind), uint32(0), uint64(0))
		f.Add(byte(kind), uint32(24), ^uint64(0))             // ELF: program headers; Mach-O: the second entry
		f.Add(byte(kind), uint32(8+8), uint64(0x7fffffff))    // Mach-O: offset and size of the first entry
		f.Add(byte(kind), uint32(40), uint64(1)<<63)          // ELF: section headers
		f.Add(byte(kind), uint32(0x3c), uint64(0x0000ffff))   // PE: the PE header
		f.Add(byte(kind), ^uint32(0)-700, uint64(0xffff0000)) // ELF: a section header
	}
	f.Fuzz(func(t *testing.T, kind byte, at uint32, value uint64) {
		data := bytes.Clone(seeds[int(kind)%len(seeds)])
		offset := int(at) % (len(data) - 8)
		for index := range 8 {
			data[offset+index] ^= byte(value >> (8 * index))
		}
		layout, err := multiversion.Locate(bytes.NewReader(data), int64(len(data)))
		if err != nil || slices.ContainsFunc(layout.Images, overlaps(layout.Images)) {
			return
		}
		data = testbin.Reseal(t, data)
		parsed, err := multiversion.Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, image := range parsed.Images {
			for _, release := range image.Header.Releases() {
				executable, err := extract.Open(parsed, image.Arch(), release)
				if err != nil {
					continue
				}
				hash := multiversion.NewHash()
				if count, err := executable.Copy(context.Background(), io.MultiWriter(io.Discard, hash)); err == nil &&
					(hash.Checksum() != executable.Checksum || count != executable.Size) {
					t.Errorf("%s: %d bytes with checksum %s were taken for %s", release, count, hash.Checksum(), executable.Checksum)
				}
			}
		}
	})
}

// overlaps finds headers that lie over each other, which cannot be sealed.
func overlaps(images []multiversion.ImageLayout) func(multiversion.ImageLayout) bool {
	return func(image multiversion.ImageLayout) bool {
		return slices.ContainsFunc(images, func(other multiversion.ImageLayout) bool {
			return other.Arch != image.Arch && other.Header.Offset < image.Header.End() && image.Header.Offset < other.Header.End()
		})
	}
}
