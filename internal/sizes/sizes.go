// Package sizes says sizes and what room there is in an operator's words.
package sizes

import (
	"fmt"
	"strings"
)

// Text is a size, such as 30 MiB.
func Text(size int64) string {
	if size < 10<<10 {
		return fmt.Sprintf("%d B", size)
	}
	value, unit := float64(size)/(1<<10), "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	return strings.Replace(fmt.Sprintf("%.1f %s", value, unit), ".0 ", " ", 1)
}

// Lacking says that a place has less room than is needed: have bytes are free there, of which so many are kept free. Nothing is needed where others
// have taken what is kept.
func Lacking(place string, have, kept, need int64) string {
	text := Text
	if Text(have) == Text(kept+need) { // and are not the same
		text = func(size int64) string { return fmt.Sprintf("%d bytes", size) }
	}
	switch {
	case kept > 0 && need == 0:
		return fmt.Sprintf("%s has %s free, and %s are kept free", place, text(have), text(kept))
	case kept > 0:
		return fmt.Sprintf("%s has %s free, %s of which are kept free, and %s are needed", place, text(have), text(min(have, kept)), text(need))
	}
	return fmt.Sprintf("%s has %s free, and %s are needed", place, text(have), text(need))
}
