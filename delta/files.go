package delta

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/multiversion"
)

// Files are the executables of binaries that are open until Close.
type Files struct {
	Held

	opened []io.Closer
	names  map[multiversion.Checksum]string
	order  []multiversion.Checksum
}

// Open adds the executables of the binary in a file of this name, which is open, and takes the file over. One that is
// here already stays as it is.
func (f *Files) Open(binary *multiversion.Binary, name string, file io.Closer) {
	f.opened = append(f.opened, file)
	if f.Held == nil {
		f.Held, f.names = Held{}, make(map[multiversion.Checksum]string)
	}
	more := Held{}
	more.Add(binary)
	for checksum, source := range more {
		if _, here := f.Held[checksum]; !here {
			f.Held[checksum], f.names[checksum] = source, name
		}
	}
	for i := range binary.Images {
		header := &binary.Images[i].Header
		f.order = append(f.order, header.Current.Checksum)
		for _, past := range slices.Backward(header.Past) {
			f.order = append(f.order, past.Checksum)
		}
	}
}

// Newest are the checksums of the executables that are held, each once and so many at most: of the file that was opened first before
// those of the next, and of each the newest release first.
func (f *Files) Newest(most int) []multiversion.Checksum {
	var newest []multiversion.Checksum
	told := make(map[multiversion.Checksum]bool)
	for _, checksum := range f.order {
		if f.Held[checksum] != nil && !told[checksum] && len(newest) < most {
			told[checksum] = true
			newest = append(newest, checksum)
		}
	}
	return newest
}

// Name is that of the file that an executable is in.
func (f *Files) Name(checksum multiversion.Checksum) string { return f.names[checksum] }

// Close closes the files. Nothing of them can be read any more.
func (f *Files) Close() error {
	var err error
	for _, file := range f.opened {
		err = errors.Join(err, file.Close())
	}
	f.Held, f.opened = nil, nil // their names can still be told
	return err
}

// Check reads an executable and compares its size and its checksum with what is expected. The error is a
// [*SeedError] or the context's.
func (h Held) Check(ctx context.Context, checksum multiversion.Checksum, size int64) error {
	source, ok := h[checksum]
	if !ok || source.Size() != size {
		return &SeedError{checksum, errMissing}
	}
	hash := multiversion.NewHash()
	err := multiversion.HashExtent(ctx, hash, source, multiversion.Extent{Size: size})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &SeedError{checksum, err}
	case hash.Checksum() != checksum:
		return &SeedError{checksum, ErrDamaged}
	}
	return nil
}

// Dictionary reads the executable of this checksum as dictionary, and compares what was read. The error is a [*SeedError].
func (h Held) Dictionary(checksum multiversion.Checksum) ([]byte, error) {
	source, ok := h[checksum]
	if !ok {
		return nil, &SeedError{checksum, errMissing}
	}
	if source.Size() > DictionarySizeMax {
		return nil, &SeedError{checksum, ErrTooLarge}
	}
	dictionary, err := Dictionary(source)
	if err != nil {
		return nil, &SeedError{checksum, err}
	}
	if multiversion.ChecksumOf(dictionary) != checksum {
		return nil, &SeedError{checksum, ErrDamaged}
	}
	return dictionary, nil
}

// Dictionary reads an executable as dictionary. The error of one of more than [DictionarySizeMax] bytes is [ErrTooLarge].
func Dictionary(executable current.Source) ([]byte, error) {
	if executable.Size() > DictionarySizeMax {
		return nil, ErrTooLarge
	}
	dictionary := make([]byte, executable.Size())
	_, err := io.ReadFull(io.NewSectionReader(executable, 0, int64(len(dictionary))), dictionary)
	return dictionary, err
}
