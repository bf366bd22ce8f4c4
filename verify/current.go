package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/multiversion"
)

// rebuild takes the sections out of an ELF or PE file: the result is a virtual
// file. What cannot be rebuilt exactly is nil with the reason. The error is the reader's.
func (j *judge) rebuild() (executable *objcopy.Image, why string, err error) {
	image, err := objcopy.Remove(j.r, j.size)
	switch {
	case errors.Is(err, objcopy.ErrLayout):
		return nil, err.Error(), nil
	case err != nil:
		return nil, "", err
	case image.Size() > j.size:
		return nil, fmt.Sprintf("without its sections the executable would have %d bytes, more than the file", image.Size()), nil
	}
	return image, "", nil
}

// startCurrent begins to read the rebuilt executable beside the pass over the
// file: its pieces may stand in another order there. The function returned waits for
// the end; the error is the context's or the reader's.
func startCurrent(ctx context.Context, executable *objcopy.Image, hash *multiversion.Hash) func() error {
	done := make(chan error, 1)
	go func() {
		done <- multiversion.HashExtent(ctx, hash, executable, multiversion.Extent{Size: executable.Size()})
	}()
	return func() error { return <-done }
}
