package release

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
)

// A Tag names a release as upstream tags it: "0.17.8", or "0.17.5-1" for a re-release of the same
// number with other bytes. [Latest] stands for the newest.
type Tag string

// Latest is the newest release of a source.
const Latest Tag = "latest"

// ParseTag checks that text is a tag or "latest". The error matches [ErrTag] and says what is wrong.
func ParseTag(text string) (Tag, error) {
	if text == string(Latest) {
		return Latest, nil
	}
	if _, _, ok := splitTag(text); !ok {
		if strings.HasPrefix(text, "v") {
			if _, _, ok := splitTag(text[1:]); ok {
				return "", fmt.Errorf("%w: %q: upstream's tags have no leading v", ErrTag, text)
			}
		}
		return "", fmt.Errorf("%w: %q is not like 0.17.8, 0.17.5-1 or latest", ErrTag, text[:min(len(text), 80)])
	}
	return Tag(text), nil
}

// IsTag reports whether text is a tag or "latest".
func IsTag(text string) bool {
	_, err := ParseTag(text)
	return err == nil
}

// Release is the release number in the tag, without that of a re-release: "0.17.5" for "0.17.5-1". It
// is empty for Latest.
func (t Tag) Release() string {
	if t == Latest {
		return ""
	}
	release, _, _ := strings.Cut(string(t), "-")
	return release
}

// Releases are those that a binary of this tag may say it is; none where the tag does not tell.
func (t Tag) Releases() ([]multiversion.Release, error) {
	if t == "" || t == Latest {
		return nil, nil
	}
	number, err := multiversion.ParseRelease(t.Release())
	if err != nil {
		return nil, err
	}
	return multiversion.PublishedAs(number), nil
}

// Compare orders tags by release number, a re-release after what it replaces. Latest, and then what
// is no tag at all, come last and first.
func (t Tag) Compare(u Tag) int {
	a, reA, _ := splitTag(string(t))
	b, reB, _ := splitTag(string(u))
	return cmp.Or(
		cmp.Compare(btoi(t == Latest), btoi(u == Latest)),
		cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]),
		cmp.Compare(reA, reB))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// splitTag returns the numbers of a tag. The first ones are bounded by the 16, 8 and 8 bits that a
// release number has.
func splitTag(text string) (numbers [3]int, rerelease int, ok bool) {
	release, suffix, hasSuffix := strings.Cut(text, "-")
	parts := strings.Split(release, ".")
	if len(text) > 32 || len(parts) != len(numbers) {
		return numbers, 0, false
	}
	for i, limit := range [...]int{65535, 255, 255} {
		if numbers[i], ok = number(parts[i], 0, limit); !ok {
			return numbers, 0, false
		}
	}
	if hasSuffix {
		if rerelease, ok = number(suffix, 1, 9999); !ok {
			return numbers, 0, false
		}
	}
	return numbers, rerelease, true
}

// number reads a decimal number without sign or leading zeros.
func number(text string, least, most int) (int, bool) {
	if text == "" || len(text) > 5 || len(text) > 1 && text[0] == '0' || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= least && n <= most
}
