package multiversion

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/fault"
)

// Release is a TigerBeetle release number: major << 16 | minor << 8 | patch,
// with 16 bits for the major number and 8 bits for each of the others. Its text
// form is MAJOR.MINOR.PATCH in decimal. Zero is not a release.
//
// A release does not identify a file: a hot fix may carry the number of the
// release that it replaces.
type Release uint32

// ErrRelease is matched by every error of [ParseRelease].
var ErrRelease = errors.New("not a release")

// ReleaseEpoch is the last release without multiversion sections.
const ReleaseEpoch Release = 15<<8 | 3

// ReleaseFirst is the first release with multiversion sections. Headers of
// this release and before carry no commit and no client minimum of the current
// release.
const ReleaseFirst Release = 15<<8 | 4

// NewRelease returns the release major.minor.patch.
func NewRelease(major uint16, minor, patch uint8) Release {
	return Release(major)<<16 | Release(minor)<<8 | Release(patch)
}

// ParseRelease parses MAJOR.MINOR.PATCH: three decimal numbers without sign,
// leading zeros or anything around them, that fit in 16, 8 and 8 bits. The
// error matches [ErrRelease].
func ParseRelease(text string) (Release, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return 0, fmt.Errorf("%w: %q: want MAJOR.MINOR.PATCH", ErrRelease, clip(text))
	}
	var numbers [3]uint64
	for i, bits := range [3]int{16, 8, 8} {
		part := parts[i]
		if part == "" || strings.TrimLeft(part, "0123456789") != "" || (len(part) > 1 && part[0] == '0') {
			return 0, fmt.Errorf("%w: %q: want three plain decimal numbers", ErrRelease, clip(text))
		}
		number, err := strconv.ParseUint(part, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("%w: %q: %q does not fit in %d bits", ErrRelease, clip(text), clip(part), bits)
		}
		numbers[i] = number
	}
	release := NewRelease(uint16(numbers[0]), uint8(numbers[1]), uint8(numbers[2]))
	if release == 0 {
		return 0, fmt.Errorf("%w: %q: zero is reserved", ErrRelease, text)
	}
	return release, nil
}

// clip bounds what an error repeats of a hostile text.
func clip(text string) string {
	const textMax = 40
	if len(text) > textMax {
		return text[:textMax] + "…"
	}
	return text
}

// Major, Minor and Patch are the three numbers of the release.
func (r Release) Major() uint16 { return uint16(r >> 16) }

// Minor is the second number.
func (r Release) Minor() uint8 { return uint8(r >> 8) }

// Patch is the third number.
func (r Release) Patch() uint8 { return uint8(r) }

// Test reports whether this is a test release (65535.x.x), which runs on
// cluster 0 alone.
func (r Release) Test() bool { return r.Major() == 1<<16-1 }

// String returns MAJOR.MINOR.PATCH.
func (r Release) String() string {
	return fmt.Sprintf("%d.%d.%d", r.Major(), r.Minor(), r.Patch())
}

// MarshalText implements [encoding.TextMarshaler].
func (r Release) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseRelease].
// On error r is unchanged.
func (r *Release) UnmarshalText(text []byte) error {
	release, err := ParseRelease(string(text))
	if err != nil {
		return err
	}
	*r = release
	return nil
}

// OtherReleaseError says that a binary is of another release than was asked for.
type OtherReleaseError struct {
	Found Release
	Asked []Release
}

func (e *OtherReleaseError) Error() string {
	asked := make([]string, len(e.Asked))
	for i, release := range e.Asked {
		asked[i] = release.String()
	}
	return fmt.Sprintf("it is release %s, not %s as asked for", e.Found, strings.Join(asked, " or "))
}

// Class is [fault.Rejected].
func (e *OtherReleaseError) Class() fault.Class { return fault.Rejected }

// OneOf refuses a release that is none of those that were asked for, with an [*OtherReleaseError]. Where none was asked for,
// any will do.
func (r Release) OneOf(asked []Release) error {
	if len(asked) == 0 || slices.Contains(asked, r) {
		return nil
	}
	return &OtherReleaseError{r, asked}
}

// PublishedAs returns the releases that a binary may say it is which upstream published under
// this number: the number itself, and for 0.16.5 to 0.16.7 also 0.16.4.
func PublishedAs(number Release) []Release {
	if number >= NewRelease(0, 16, 5) && number <= NewRelease(0, 16, 7) {
		return []Release{number, NewRelease(0, 16, 4)}
	}
	return []Release{number}
}
