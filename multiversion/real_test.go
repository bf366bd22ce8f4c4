package multiversion_test

import (
	"bytes"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// Files of real executables, for every platform of a release.
func TestParseReal(t *testing.T) {
	t.Parallel()
	for _, platform := range []multiversion.Platform{
		multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux, multiversion.PlatformX86_64Windows,
		multiversion.PlatformAArch64Windows, multiversion.PlatformUniversalMacOS,
	} {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, testbin.Spec{Platform: platform, Past: testbin.PastOf("0.17.5", "0.17.6v", "0.17.7")})
			r, size := bytes.NewReader(data), int64(len(data))
			binary, err := multiversion.Parse(r, size)
			if err != nil {
				t.Fatal(err)
			}
			if binary.Platform() != platform || binary.Current() != testbin.Release("0.17.8") {
				t.Errorf("%s of %s", binary.Current(), binary.Platform())
			}
			sum, err := binary.ChecksumWithoutHeader(t.Context())
			if err != nil || sum != binary.Images[0].Header.ChecksumBinary {
				t.Errorf("checksum %s, %v", sum, err)
			}
			for index := range binary.Images {
				image := &binary.Images[index]
				if binary.Image(image.Arch()) != image {
					t.Errorf("no image for %s", image.Arch())
				}
				for past := range image.Header.Past {
					extent := image.PastExtent(past)
					member := data[extent.Offset:extent.End()]
					format, arch, err := multiversion.Identify(bytes.NewReader(member), extent.Size)
					if err != nil || format != binary.Format || arch != image.Arch() {
						t.Errorf("past executable %d is %s %s: %v", past, format, arch, err)
					}
					if _, err := multiversion.Parse(bytes.NewReader(member), extent.Size); !multiversion.IsPlain(err) {
						t.Errorf("past executable %d: %v", past, err)
					}
				}
			}
			if binary.Image("machine-1") != nil {
				t.Error("an image for another processor")
			}
			headers := binary.Headers()
			for index, header := range headers {
				if header.Size != multiversion.HeaderSize || index > 0 && header.Offset < headers[index-1].End() {
					t.Errorf("headers %v", headers)
				}
			}
		})
	}
}
