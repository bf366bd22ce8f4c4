package multiversion

import (
	"errors"
	"slices"
	"testing"
)

func TestParseRelease(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Release{
		"0.0.1":         1,
		"0.15.3":        ReleaseEpoch,
		"0.15.4":        ReleaseFirst,
		"1.2.3":         1<<16 | 2<<8 | 3,
		"65535.255.255": 1<<32 - 1,
	} {
		got, err := ParseRelease(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %d %s, %v", text, got, got, err)
		}
	}
	for _, text := range []string{
		"", "0.0.0", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.3-1", " 1.2.3", "1.2.3 ", "1.2.3\n", "+1.2.3", "-1.2.3",
		"01.2.3", "1.02.3", "1.2.03", "00.0.1", "65536.0.0", "1.256.0", "1.0.256", "1..3", "..", "1.2.x", "0x1.2.3", "1_0.2.3",
		"99999999999999999999.0.0", "١.٢.٣",
	} {
		if got, err := ParseRelease(text); !errors.Is(err, ErrRelease) || got != 0 {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestReleaseParts(t *testing.T) {
	t.Parallel()
	release := NewRelease(65535, 0, 2)
	if release.Major() != 65535 || release.Minor() != 0 || release.Patch() != 2 || !release.Test() || NewRelease(65534, 255, 255).Test() {
		t.Errorf("%s", release)
	}
	if !(NewRelease(0, 17, 8) > NewRelease(0, 16, 77) && NewRelease(1, 0, 0) > NewRelease(0, 255, 255)) {
		t.Error("order")
	}
}

func FuzzParseRelease(f *testing.F) {
	for _, seed := range []string{"0.17.8", "65535.0.1", "0.0.0", "1.2.3.4", "1.2", "v1.2.3", "256.256.256", "-1.0.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		release, err := ParseRelease(text)
		if err != nil {
			if !errors.Is(err, ErrRelease) || len(err.Error()) > 400 {
				t.Fatal(err)
			}
			return
		}
		if release.String() != text || release == 0 {
			t.Fatalf("%q is %d, which is %q", text, release, release)
		}
	})
}

func TestPublishedAs(t *testing.T) {
	t.Parallel()
	for number, want := range map[Release][]Release{
		NewRelease(0, 16, 4): {NewRelease(0, 16, 4)},
		NewRelease(0, 16, 5): {NewRelease(0, 16, 5), NewRelease(0, 16, 4)},
		NewRelease(0, 16, 7): {NewRelease(0, 16, 7), NewRelease(0, 16, 4)},
		NewRelease(0, 16, 8): {NewRelease(0, 16, 8)},
	} {
		if got := PublishedAs(number); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", number, got, want)
		}
	}
}
