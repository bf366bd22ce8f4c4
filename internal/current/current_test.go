package current_test

import (
	"errors"
	"testing"

	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

var platforms = []multiversion.Platform{
	multiversion.PlatformX86_64Linux,
	multiversion.PlatformAArch64Linux,
	multiversion.PlatformX86_64Windows,
	multiversion.PlatformUniversalMacOS,
}

func TestChecksumIsThatOfTheHeader(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		parsed := testbin.Load(t, testbin.Build(t, testbin.Spec{Platform: platform}))
		for _, image := range parsed.Images {
			source, err := current.Of(parsed, image.Arch())
			if err != nil {
				t.Errorf("%s %s: %v", platform, image.Arch(), err)
				continue
			}
			hash := multiversion.NewHash()
			err = multiversion.HashExtent(t.Context(), hash, source, multiversion.Extent{Size: source.Size()})
			if sum := hash.Checksum(); err != nil || sum != image.Header.Current.Checksum {
				t.Errorf("%s %s: %s, want %s: %v", platform, image.Arch(), sum, image.Header.Current.Checksum, err)
			}
		}
		if _, err := current.Of(parsed, "mips"); !errors.Is(err, current.ErrMissing) {
			t.Errorf("mips: %v", err)
		}
	}
}

// TestLayoutThatCannotBeRebuilt breaks what only the rebuilding looks at.
func TestLayoutThatCannotBeRebuilt(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	data[54] = 1 // e_phentsize
	parsed := testbin.Load(t, data)
	if _, err := current.Of(parsed, multiversion.ArchX86_64); !errors.Is(err, objcopy.ErrLayout) {
		t.Errorf("%v, want %v", err, objcopy.ErrLayout)
	}
}
