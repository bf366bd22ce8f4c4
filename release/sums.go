package release

import (
	"errors"
	"fmt"
	"strings"
)

const (
	sumsName    = "SHA256SUMS"
	sumsSizeMax = 1 << 20 // bytes
)

// errNoSums says that a text is no list of checksums.
var errNoSums = errors.New(sumsName + " is there, but it is no list of SHA-256 checksums")

// findSum finds a file's SHA-256 in the output of sha256sum, in its own form ("HEX  NAME", "HEX *NAME")
// or BSD's ("SHA256 (NAME) = HEX"). Lines that are neither are passed over.
//
// The error matches [ErrNotFound] when the file is not listed, and errNoSums when not one line is a
// checksum: an error page or a login form that was served in the list's place. It says so when the file is
// listed twice with different sums.
func findSum(sums []byte, name string) (string, error) {
	found, isList := "", false
	for line := range strings.Lines(string(sums)) {
		digits, listed, ok := parseSum(strings.TrimRight(line, "\r\n"))
		if !ok {
			continue
		}
		sum, err := ParseSHA256(digits)
		isList = isList || err == nil
		if listed != name {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("%s lists %s with a sum that is none: %w", sumsName, name, err)
		}
		if found != "" && found != sum {
			return "", fmt.Errorf("%s lists %s twice, with different sums", sumsName, name)
		}
		found = sum
	}
	if !isList {
		return "", errNoSums
	}
	if found == "" {
		return "", fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return found, nil
}

func parseSum(line string) (digits, name string, ok bool) {
	if rest, isBSD := strings.CutPrefix(line, "SHA256 ("); isBSD {
		i := strings.LastIndex(rest, ") = ")
		if i < 0 {
			return "", "", false
		}
		return rest[i+len(") = "):], strings.TrimPrefix(rest[:i], "./"), true
	}
	digits, name, ok = strings.Cut(line, " ")
	if !ok || len(name) < 2 || name[0] != ' ' && name[0] != '*' {
		return "", "", false
	}
	return digits, strings.TrimPrefix(name[1:], "./"), true
}
