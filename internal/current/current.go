// Package current takes the current executable out of a multiversion binary:
// the one that the linker made, before header and body were added.
//
// A universal file has it as an entry. From an ELF or PE file the two sections are
// removed, byte for byte as upstream's build does it, so that the result has the
// header's current_checksum.
package current

import (
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/multiversion"
)

// ErrMissing says that a binary has nothing for the architecture asked for: no
// image at all, or a universal file without the executable, or with one that
// is said to stand outside the file.
var ErrMissing = errors.New("no current executable")

// Source is a file of known size that is read in pieces, in any order.
type Source interface {
	io.ReaderAt
	Size() int64 // in bytes
}

// Of returns the current executable for arch. It reads a few KiB and compares
// no checksum. The result reads from the binary's reader. The error matches
// [ErrMissing] or is that of package objcopy.
func Of(binary *multiversion.Binary, arch multiversion.Arch) (Source, error) {
	image := binary.Image(arch)
	if image == nil {
		return nil, fmt.Errorf("%w for %s", ErrMissing, arch)
	}
	if binary.Format != multiversion.FormatMachO {
		executable, err := objcopy.Remove(binary.Reader(), binary.Size)
		if err != nil {
			return nil, fmt.Errorf("remove the multiversion sections: %w", err)
		}
		return executable, nil
	}
	extent := image.Layout.Executable
	if extent.Size == 0 {
		return nil, fmt.Errorf("%w for %s in the universal file", ErrMissing, arch)
	}
	return io.NewSectionReader(binary.Reader(), extent.Offset, extent.Size), nil
}
