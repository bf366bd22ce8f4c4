// Package sha reads and writes SHA-256 digests as text: 64 hexadecimal digits of lower case, and sha256:HEX, which names a file by its bytes.
package sha

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/fault"
)

const prefix = "sha256:"

// Name is the name of what has a digest, which is in hexadecimal digits of either case: sha256:HEX.
func Name(digits string) string { return prefix + strings.ToLower(digits) }

// Digits are the digits of a name.
func Digits(name string) string { return strings.TrimPrefix(name, prefix) }

// Is says that a text is 64 hexadecimal digits of lower case.
func Is(text string) bool {
	return len(text) == 2*sha256.Size && strings.Trim(text, "0123456789abcdef") == ""
}

// IsName says that a text is sha256:HEX.
func IsName(text string) bool {
	digits, named := strings.CutPrefix(text, prefix)
	return named && Is(digits)
}

// Check refuses what [Is] says no of. The error is of class usage.
func Check(text string) error {
	if !Is(text) {
		return fault.New(fault.Usage, fmt.Sprintf("%.80q is not a SHA-256 of 64 hexadecimal digits", text))
	}
	return nil
}

// Parse takes digits of either case, with "sha256:" before them or not, and returns them in lower case. The error is that of
// [Check].
func Parse(text string) (string, error) {
	digits := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), prefix)
	if !Is(digits) {
		return "", Check(text)
	}
	return digits, nil
}
