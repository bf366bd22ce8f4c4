// Package input opens the files that a command looks at: an executable, a data file, the executable inside
// a release archive, or what comes on a stream. Nothing of it is changed.
package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

var (
	// ErrTooLarge says that a stream has more than the largest binary, which a zip does not make larger.
	ErrTooLarge = fault.New(fault.Rejected, fmt.Sprintf("more than %d bytes: no multiversion binary is that large", int64(multiversion.SizeMax)))
)

// File is an open file, or the executable in an archive.
type File struct {
	io.ReaderAt
	Mode    *fs.FileMode    // nil where there is none, as for a stream
	Archive *report.Archive // nil unless the executable came out of a zip
	Outer   *File           // the zip itself, or nil

	size  int64
	close func() error
}

// Size is the size in bytes.
func (f *File) Size() int64 { return f.size }

// Close closes the file and removes a scratch copy.
func (f *File) Close() error { return f.close() }

// FileError is an error about the file of this name, which its text has already.
type FileError struct {
	Name string
	Err  error
}

func (e *FileError) Error() string { return e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// OfFile makes an error one about a file; of nil nil.
func OfFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return &FileError{name, err}
}

// Open opens a regular file, or the block device of a data file. The error is a [*FileError], and for anything else matches
// [vfs.ErrDirectory] or [vfs.ErrNotRegular].
func Open(name string) (*File, error) {
	file, err := open(name)
	return file, OfFile(name, err)
}

func open(name string) (*File, error) {
	file, info, err := vfs.OpenFile(name, func(mode fs.FileMode) error {
		switch {
		case mode.IsDir():
			return vfs.ErrDirectory
		case mode.IsRegular(), mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
			return nil
		}
		return vfs.ErrNotRegular
	})
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if info.Mode()&fs.ModeDevice != 0 { // a data file may be a block device
		if size, err = file.Seek(0, io.SeekEnd); err != nil {
			file.Close()
			return nil, err
		}
	}
	mode := info.Mode()
	return &File{ReaderAt: file, size: size, Mode: &mode, close: file.Close}, nil
}

// OpenExecutable opens an executable, a data file, or the executable inside a release archive. "-" is
// the stream, which is kept in a scratch file. An error about a file is a [*FileError]. A stream that was cut, as far as that shows, matches [archive.ErrEndedEarly].
func OpenExecutable(ctx context.Context, name string, stream io.Reader) (*File, error) {
	var file *File
	var err error
	if name == "-" {
		file, err = keep(ctx, stream)
	} else {
		file, err = Open(name)
	}
	if err != nil {
		return nil, err
	}
	opened, err := unpack(ctx, file)
	if name == "-" && errors.Is(err, archive.RuleTruncated) {
		err = fmt.Errorf("%w: %w", archive.ErrEndedEarly, err)
	} else if err != nil {
		err = OfFile(name, fmt.Errorf("%s: %w", name, err))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return opened, nil
}

// keep keeps a stream in a scratch file.
func keep(ctx context.Context, stream io.Reader) (*File, error) {
	scratch, err := durable.NewScratch()
	if err != nil {
		return nil, err
	}
	count, err := io.Copy(scratch, io.LimitReader(vfs.Interruptible(ctx, stream), multiversion.SizeMax+1))
	if err == nil && count > multiversion.SizeMax {
		err = ErrTooLarge
	}
	if err != nil {
		scratch.Close()
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	file := &File{ReaderAt: scratch, size: scratch.Size(), close: scratch.Close}
	prefix, err := file.prefix(archive.HeaderSize)
	if err == nil {
		err = archive.EndedEarly(prefix, file.size)
	}
	if err != nil {
		scratch.Close()
		return nil, err
	}
	return file, nil
}

// unpack returns file itself unless it is a zip archive, and then the
// executable in it: in place if it is stored, otherwise in a scratch file. It
// takes over file, but not on error.
func unpack(ctx context.Context, file *File) (*File, error) {
	if zipped, err := file.IsZip(); err != nil || !zipped {
		return file, err
	}
	zip, err := archive.Open(file, file.size)
	if err != nil {
		return nil, err
	}
	facts := &report.Archive{Entry: zip.Entry.Name, Method: zip.Entry.Method, Size: file.size}
	mode := zip.Entry.Mode
	inside := &File{Archive: facts, Outer: file, close: file.Close}
	if mode != 0 {
		inside.Mode = &mode
	}
	if section, ok := zip.Section(); ok {
		inside.ReaderAt, inside.size = section, section.Size()
		return inside, nil
	}
	scratch, err := durable.NewScratch()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(scratch, vfs.Interruptible(ctx, zip.Reader())); err != nil {
		scratch.Close()
		return nil, err
	}
	inside.ReaderAt, inside.size = scratch, scratch.Size()
	inside.close = func() error { return errors.Join(scratch.Close(), file.Close()) }
	return inside, nil
}

// IsZip reports whether the file begins as an archive does.
func (f *File) IsZip() (bool, error) {
	kind, err := f.kind()
	return kind == archive.KindZip, err
}

// kind is what the file begins like.
func (f *File) kind() (archive.Kind, error) {
	prefix, err := f.prefix(archive.SniffSize)
	if err != nil {
		return "", err
	}
	return archive.Sniff(prefix), nil
}

// prefix are the first bytes, at most so many.
func (f *File) prefix(most int64) ([]byte, error) {
	prefix := make([]byte, min(f.size, most))
	if _, err := f.ReadAt(prefix, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return prefix, nil
}

// ExecutableSize is the size in bytes of an executable, or of the one that a
// zip archive promises; 0 for anything else, and where that cannot be told.
func (f *File) ExecutableSize() int64 {
	kind, err := f.kind()
	switch {
	case err != nil:
		return 0
	case kind.Executable():
		return f.size
	case kind != archive.KindZip:
		return 0
	}
	zip, err := archive.Open(f, f.size)
	if err != nil {
		return 0
	}
	return zip.Entry.Size
}
