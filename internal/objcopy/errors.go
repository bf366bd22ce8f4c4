package objcopy

import (
	"errors"
	"fmt"
)

// ErrLayout is matched by every [LayoutError] with errors.Is.
var ErrLayout = errors.New("layout cannot be rebuilt exactly")

var errAlign = errors.New("larger than any file")

// LayoutError says why an executable is refused: it is malformed, or has a
// layout that this package does not rebuild exactly.
type LayoutError struct {
	Format string `json:"format,omitempty"` // "elf" or "pe", or empty if it is neither
	Offset int64  `json:"offset"`           // of what is at fault, in bytes from the start of the file
	Reason string `json:"reason"`
}

// Error says the format, the offset and the reason.
func (e *LayoutError) Error() string {
	if e.Format == "" {
		return fmt.Sprintf("rebuild executable: offset %d: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("rebuild %s executable: offset %d: %s", e.Format, e.Offset, e.Reason)
}

// Is reports whether target is [ErrLayout].
func (e *LayoutError) Is(target error) bool { return target == ErrLayout }

func refuseELF[number int | int64 | uint64](at number, reason string, args ...any) error {
	return &LayoutError{Format: "elf", Offset: int64(at), Reason: fmt.Sprintf(reason, args...)}
}

func refusePE(at int64, reason string, args ...any) error {
	return &LayoutError{Format: "pe", Offset: at, Reason: fmt.Sprintf(reason, args...)}
}
