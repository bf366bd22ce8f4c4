package pack

import (
	"context"
	"io"

	"github.com/tbctl/tbctl/multiversion"
)

// Result is a multiversion binary that is not written yet. It reads from the
// inputs of its build.
type Result struct {
	binary *multiversion.Binary
	source Source
}

// Size returns the size in bytes.
func (r *Result) Size() int64 { return r.source.Size() }

// Binary returns the parsed result.
func (r *Result) Binary() *multiversion.Binary { return r.binary }

// ReadAt implements [io.ReaderAt].
func (r *Result) ReadAt(buffer []byte, offset int64) (int, error) {
	return r.source.ReadAt(buffer, offset)
}

// WriteTo implements [io.WriterTo] with Copy.
func (r *Result) WriteTo(w io.Writer) (int64, error) { return r.Copy(context.Background(), w) }

// Copy writes the binary to w and returns how many bytes it wrote. On nil, what
// was written has the checksum that its header says. On error w holds a part that
// must be thrown away: the error is the writer's, the context's, or a
// [*RefusalError] with ReasonRead or ReasonChanged.
func (r *Result) Copy(ctx context.Context, w io.Writer) (int64, error) {
	hash := multiversion.NewHash()
	var done int64
	write := func(size int64, writers ...io.Writer) error {
		count, err := copyExtent(ctx, r.source, multiversion.Extent{Offset: done, Size: size}, writers...)
		done += count
		return err
	}
	for _, header := range r.binary.Headers() {
		if err := write(header.Offset-done, w, hash); err != nil {
			return done, err
		}
		if err := write(header.Size, w); err != nil {
			return done, err
		}
		hash.WriteZeros(header.Size)
	}
	if err := write(r.Size()-done, w, hash); err != nil {
		return done, err
	}
	if sum, want := hash.Checksum(), r.binary.Images[0].Header.ChecksumBinary; sum != want {
		return done, refuse(ReasonChanged, nil, "checksum of what was written is %s, want %s", sum, want)
	}
	return done, nil
}
