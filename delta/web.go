package delta

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// A server that makes deltas of a file says where in a header of the file's own answer, and is asked there for the one that suits what the
// receiver holds.
const (
	// Header has the reference of a file's deltas, relative to the file's own URL.
	Header = "Tbctl-Delta"
	// QueryHeld is the parameter with what the receiver holds, see [FormatHeld].
	QueryHeld = "held"
	// HeldMax is how many executables a receiver may name.
	HeldMax = 256
)

// FormatHeld is how executables that are held are named in a query.
func FormatHeld(held []multiversion.Checksum) string {
	texts := make([]string, len(held))
	for index, checksum := range held {
		texts[index] = checksum.String()
	}
	return strings.Join(texts, ",")
}

// ParseHeld reads what [FormatHeld] wrote. The error is of class usage.
func ParseHeld(text string) ([]multiversion.Checksum, error) {
	if text == "" {
		return nil, nil
	}
	if strings.Count(text, ",") >= HeldMax {
		return nil, fault.New(fault.Usage, fmt.Sprintf("more than %d executables are named", HeldMax))
	}
	var held []multiversion.Checksum
	for each := range strings.SplitSeq(text, ",") {
		checksum, err := multiversion.ParseChecksum(each)
		if err != nil {
			return nil, fault.New(fault.Usage, err.Error())
		}
		if !slices.Contains(held, checksum) {
			held = append(held, checksum)
		}
	}
	return held, nil
}
