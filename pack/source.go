package pack

import (
	"context"
	"fmt"
	"io"
	"sort"

	"github.com/tbctl/tbctl/multiversion"
)

// Source is a file of known size that is read in pieces, in any order.
// [io.SectionReader] and [bytes.Reader] are Sources.
type Source interface {
	io.ReaderAt
	Size() int64 // in bytes
}

// section returns a stretch of a reader as a Source.
func section(r io.ReaderAt, extent multiversion.Extent) Source {
	return io.NewSectionReader(r, extent.Offset, extent.Size)
}

// checksum reads all of source. The error is a [*RefusalError] or the context's.
func checksum(ctx context.Context, source Source, name string) (multiversion.Checksum, error) {
	hash := multiversion.NewHash()
	err := multiversion.HashExtent(ctx, hash, source, multiversion.Extent{Size: source.Size()})
	if ctx.Err() != nil {
		return multiversion.Checksum{}, ctx.Err()
	}
	if err != nil {
		return multiversion.Checksum{}, refuse(ReasonRead, err, "%s", name)
	}
	return hash.Checksum(), nil
}

// zeros is a Source of that many zero bytes.
type zeros int64

func (z zeros) Size() int64 { return int64(z) }

func (z zeros) ReadAt(buffer []byte, offset int64) (int, error) {
	count := max(0, min(int64(len(buffer)), int64(z)-offset))
	clear(buffer[:count])
	if count < int64(len(buffer)) {
		return int(count), io.EOF
	}
	return int(count), nil
}

// sequence is Sources one after the other. Make one with newSequence.
type sequence struct {
	parts []Source
	ends  []int64 // offset behind each part
}

func newSequence(parts ...Source) *sequence {
	s := &sequence{}
	var end int64
	for _, part := range parts {
		if part.Size() == 0 {
			continue
		}
		end += part.Size()
		s.parts, s.ends = append(s.parts, part), append(s.ends, end)
	}
	return s
}

// Size returns the sum of the parts' sizes.
func (s *sequence) Size() int64 {
	if len(s.ends) == 0 {
		return 0
	}
	return s.ends[len(s.ends)-1]
}

// ReadAt implements [io.ReaderAt]. A part that ends early is io.ErrUnexpectedEOF.
func (s *sequence) ReadAt(buffer []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at offset %d", offset)
	}
	done := 0
	index := sort.Search(len(s.ends), func(i int) bool { return s.ends[i] > offset })
	for ; index < len(s.parts) && done < len(buffer); index++ {
		part := s.parts[index]
		start := offset + int64(done) - (s.ends[index] - part.Size())
		piece := buffer[done:][:min(int64(len(buffer)-done), part.Size()-start)]
		count, err := part.ReadAt(piece, start)
		done += count
		if count < len(piece) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return done, err
		}
	}
	if done < len(buffer) {
		return done, io.EOF
	}
	return done, nil
}

// copyExtent writes a stretch of source to every writer.
func copyExtent(ctx context.Context, source io.ReaderAt, extent multiversion.Extent, writers ...io.Writer) (int64, error) {
	buffer := make([]byte, min(max(extent.Size, 0), 256<<10))
	var done int64
	for done < extent.Size {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		piece := buffer[:min(int64(len(buffer)), extent.Size-done)]
		count, err := source.ReadAt(piece, extent.Offset+done)
		if count < len(piece) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return done, refuse(ReasonRead, err, "input of the build")
		}
		for _, w := range writers {
			if _, err := w.Write(piece); err != nil {
				return done, fmt.Errorf("pack: write the binary: %w", err)
			}
		}
		done += int64(len(piece))
	}
	return done, nil
}
