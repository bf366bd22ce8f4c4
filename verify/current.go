package verify

import (
	"errors"
	"io"

	"github.com/tbctl/tbctl/multiversion"
)

// currentPieces returns what the current executable was before the sections were
// added to it. An error says why that is not known.
func currentPieces(r io.ReaderAt, layout multiversion.Layout, found *image) ([]piece, error) {
	if layout.Format == multiversion.FormatMachO {
		if found.Layout.Executable.Size == 0 {
			return nil, errors.New("the fat header gives no executable inside the file")
		}
		return []piece{{extent: found.Layout.Executable}}, nil
	}
	return nil, errors.New("the executable without its sections cannot be rebuilt here")
}
