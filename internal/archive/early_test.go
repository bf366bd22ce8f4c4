package archive_test

import (
	"errors"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// TestEndedEarly: whatever the platform, a release's executable that was cut anywhere is told from a whole one, and a file that
// is larger than its headers say, or of which they say nothing, is not.
func TestEndedEarly(t *testing.T) {
	t.Parallel()
	for _, platform := range []multiversion.Platform{multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux, multiversion.PlatformX86_64Windows, multiversion.PlatformUniversalMacOS} {
		whole := testbin.Build(t, testbin.Spec{Platform: platform})
		if err := archive.EndedEarly(whole, int64(len(whole))); err != nil {
			t.Errorf("%s, whole: %v", platform, err)
		}
		if err := archive.EndedEarly(whole, int64(len(whole))+1); err != nil {
			t.Errorf("%s, longer: %v", platform, err)
		}
		for _, size := range []int{0, 4, 7, 63, 64, 100, 300, 1000, archive.HeaderSize, len(whole) / 2, len(whole) - 1} {
			if err := archive.EndedEarly(whole[:size], int64(size)); !errors.Is(err, archive.ErrEndedEarly) || fault.Of(err) != fault.Failed {
				t.Errorf("%s, cut at %d of %d: %v", platform, size, len(whole), err)
			}
		}
	}
	for name, prefix := range map[string]string{
		"a text": "hello", "a zip": "PK\x03\x04", "a script": "#!/bin/sh", "32 bits": "\x7fELF\x01\x01" + string(make([]byte, 100)),
		"a section table beyond every size": "\x7fELF\x02\x01" + string(make([]byte, 34)) + "\xff\xff\xff\xff\xff\xff\xff\xff" + string(make([]byte, 60)),
		"no PE":                             "MZ" + string(make([]byte, 200)), "a PE header beyond every size": "MZ" + string(make([]byte, 58)) + "\xff\xff\xff\xff" + string(make([]byte, 60)),
		"a universal one of more than there can be": "\xca\xfe\xba\xbe\xff\xff\xff\xff" + string(make([]byte, 60)),
	} {
		if err := archive.EndedEarly([]byte(prefix), int64(len(prefix))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
