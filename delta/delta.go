// Package delta takes a multiversion binary apart into what its receiver has already and what
// it lacks. The pack of a new release is made of the executables of the releases before it, byte
// for byte: a host that has one of those installed holds most of the new file. What is left,
// the current executable and the tables around it, is much like the newest executable
// that the host holds, which serves as a dictionary for compressing it.
//
// A file that was put together is not to be believed for that: its SHA-256 says whether
// it is the right one.
package delta

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/multiversion"
)

// segmentsMax is the most segments of a recipe: the pasts of two architectures, and what
// is between them.
const segmentsMax = 4*multiversion.PastMax + 8

// ErrRecipe says that a recipe is not well-formed.
var ErrRecipe = errors.New("not a recipe")

// Recipe says what a file consists of: segments in the order of the file.
type Recipe struct {
	Size     int64     `json:"size"` // of the file, in bytes
	Segments []Segment `json:"segments"`
}

// Segment is a stretch of a file: a whole executable, or bytes that must be had.
type Segment struct {
	Size int64 `json:"size"` // in bytes

	// Executable is the checksum of the executable that this is; nil: other bytes.
	Executable *multiversion.Checksum `json:"executable,omitempty"`
}

// Of returns the recipe of a binary, by what its headers say of the pack.
func Of(binary *multiversion.Binary) (Recipe, error) {
	recipe := Recipe{Size: binary.Size}
	at := int64(0)
	other := func(end int64) {
		if end > at {
			recipe.Segments = append(recipe.Segments, Segment{Size: end - at})
		}
	}
	for i := range binary.Images { // in the order of the file, as their bodies are
		image := &binary.Images[i]
		if err := multiversion.CheckBody(image); err != nil {
			return Recipe{}, fmt.Errorf("recipe: %w", err)
		}
		for index, past := range image.Header.Past {
			extent := image.PastExtent(index)
			if extent.Offset < at {
				return Recipe{}, fmt.Errorf("%w: the packs of the file overlap at byte %d", ErrRecipe, extent.Offset)
			}
			other(extent.Offset)
			recipe.Segments = append(recipe.Segments, Segment{extent.Size, new(past.Checksum)})
			at = extent.End()
		}
	}
	other(binary.Size)
	return recipe, nil
}

// Check says what is wrong with a recipe that came from elsewhere; the error wraps [ErrRecipe].
func (r Recipe) Check() error {
	if r.Size <= 0 || r.Size > multiversion.SizeMax || len(r.Segments) > segmentsMax {
		return fmt.Errorf("%w: %d bytes in %d segments", ErrRecipe, r.Size, len(r.Segments))
	}
	left := r.Size
	for _, segment := range r.Segments {
		if segment.Size <= 0 || segment.Size > left {
			return fmt.Errorf("%w: a segment of %d bytes", ErrRecipe, segment.Size)
		}
		left -= segment.Size
	}
	if left != 0 {
		return fmt.Errorf("%w: %d bytes are in no segment", ErrRecipe, left)
	}
	return nil
}

// Held are the executables that a host has, by checksum.
type Held map[multiversion.Checksum]current.Source

// Add adds the executables of a binary: its pack, and for each architecture the current one as
// it was before header and body were added. What cannot be taken out of it is left out. The
// binary's reader must stay open for as long as h is used.
func (h Held) Add(binary *multiversion.Binary) {
	for i := range binary.Images {
		image := &binary.Images[i]
		if source, err := current.Of(binary, image.Arch()); err == nil {
			h[image.Header.Current.Checksum] = source
		}
		if multiversion.CheckBody(image) != nil {
			continue
		}
		for index, past := range image.Header.Past {
			extent := image.PastExtent(index)
			h[past.Checksum] = io.NewSectionReader(binary.Reader(), extent.Offset, extent.Size)
		}
	}
}

// For returns the recipe for a receiver that has these executables, and no others: what it lacks
// are bytes to send. An executable of another size than the recipe's is not the same.
func (r Recipe) For(held Held) Recipe {
	result := Recipe{Size: r.Size}
	for _, segment := range r.Segments {
		if segment.Executable != nil {
			if source, ok := held[*segment.Executable]; !ok || source.Size() != segment.Size {
				segment.Executable = nil
			}
		}
		last := len(result.Segments) - 1
		if last >= 0 && segment.Executable == nil && result.Segments[last].Executable == nil {
			result.Segments[last].Size += segment.Size
			continue
		}
		result.Segments = append(result.Segments, segment)
	}
	return result
}

// Lacking returns the stretches of the file that are no executable, in its order, and
// the number of their bytes.
func (r Recipe) Lacking() (extents []multiversion.Extent, size int64) {
	at := int64(0)
	for _, segment := range r.Segments {
		if segment.Executable == nil {
			extents = append(extents, multiversion.Extent{Offset: at, Size: segment.Size})
			size += segment.Size
		}
		at += segment.Size
	}
	return extents, size
}

// Rest returns the bytes of the stretches that [Recipe.Lacking] has, one after the other.
func (r Recipe) Rest(file io.ReaderAt) io.Reader {
	extents, _ := r.Lacking()
	readers := make([]io.Reader, len(extents))
	for i, extent := range extents {
		readers[i] = io.NewSectionReader(file, extent.Offset, extent.Size)
	}
	return io.MultiReader(readers...)
}

// SeedError says that an executable that a host holds is not what it is said to be, or
// could not be read.
type SeedError struct {
	Checksum multiversion.Checksum
	Err      error
}

// Error says which one and why.
func (e *SeedError) Error() string { return "executable " + e.Checksum.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SeedError) Unwrap() error { return e.Err }

var errMissing = errors.New("it is not here")

// ErrTooLarge says that an executable is too large to be a dictionary.
var ErrTooLarge = fmt.Errorf("it has more than the %d bytes of the largest dictionary", DictionarySizeMax)

// ErrDamaged says that an executable has another checksum than the pack says.
var ErrDamaged = errors.New("its checksum differs: it is damaged")

// Rebuild writes the file to w. Rest yields the bytes that no executable has, in their order, as many
// as they are. The recipe must have passed [Recipe.Check]. The error is a
// [*SeedError], says what rest or w refused, io.ErrUnexpectedEOF when rest ends too early, or the
// context's. What was written then is of no use; what was written without an error is
// the file only if its SHA-256 is right.
func (r Recipe) Rebuild(ctx context.Context, w io.Writer, held Held, rest io.Reader) error {
	buffer := make([]byte, 256<<10)
	for _, segment := range r.Segments {
		from, hash := rest, io.Discard
		var sum *multiversion.Hash
		if segment.Executable != nil {
			source, ok := held[*segment.Executable]
			if !ok || source.Size() != segment.Size {
				return &SeedError{*segment.Executable, errMissing}
			}
			sum = multiversion.NewHash()
			from, hash = io.NewSectionReader(source, 0, segment.Size), sum
		}
		for left := segment.Size; left > 0; {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			part := buffer[:min(left, int64(len(buffer)))]
			if _, err := io.ReadFull(from, part); err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				if sum != nil {
					return &SeedError{*segment.Executable, err}
				}
				return fmt.Errorf("read what is lacking: %w", err)
			}
			hash.Write(part)
			if _, err := w.Write(part); err != nil {
				return err
			}
			left -= int64(len(part))
		}
		if sum != nil && sum.Checksum() != *segment.Executable {
			return &SeedError{*segment.Executable, ErrDamaged}
		}
	}
	return nil
}
