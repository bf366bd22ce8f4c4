package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// Errors of files that a command is to read.
var (
	errIsDirectory = errors.New("is a directory")
	errNotRegular  = errors.New("not a regular file")
)

// input is a file to look at: an executable by name, one inside a zip, or
// standard input.
type input struct {
	io.ReaderAt
	name    string
	size    int64
	mode    *fs.FileMode    // nil where there is none, as for standard input
	archive *report.Archive // nil unless the executable came out of a zip
	outer   *input          // the zip itself, or nil
	close   func() error
}

// Size is the size of the executable in bytes.
func (i *input) Size() int64 { return i.size }

// Close closes the file and removes a scratch copy.
func (i *input) Close() error { return i.close() }

// inputSizeMax bounds what is read from standard input: the largest binary,
// which a zip does not make larger.
const inputSizeMax = multiversion.SizeMax

// openInput opens an executable, a data file, or the executable inside a
// release archive. "-" is standard input, kept in a scratch file.
func openInput(a *app, name string) (*input, error) {
	var file *input
	var err error
	if name == "-" {
		file, err = openStream(a, a.in)
	} else {
		file, err = openFile(name)
	}
	if err != nil {
		return nil, err
	}
	opened, err := openZip(a, file)
	if err != nil {
		file.Close()
		return nil, ofFile(name, fmt.Errorf("%s: %w", name, err))
	}
	return opened, nil
}

// openFile opens a regular file, or a data file's block device. Its errors are about that file.
func openFile(name string) (*input, error) {
	file, info, err := vfs.OpenFile(name, func(mode fs.FileMode) error {
		switch {
		case mode.IsDir():
			return errIsDirectory
		case mode.IsRegular(), mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
			return nil
		}
		return errNotRegular
	})
	if err != nil {
		return nil, ofFile(name, err)
	}
	size := info.Size()
	if info.Mode()&fs.ModeDevice != 0 { // a data file may be a block device
		if size, err = file.Seek(0, io.SeekEnd); err != nil {
			file.Close()
			return nil, ofFile(name, err)
		}
	}
	mode := info.Mode()
	return &input{ReaderAt: file, name: name, size: size, mode: &mode, close: file.Close}, nil
}

// checkOutput refuses to write over a binary that tbctl has installed: without the checks,
// the lock and the way back of an installation.
func checkOutput(name string) error {
	if _, err := os.Stat(name); err != nil || !fsatomic.HasLock(vfs.OS(), name) {
		return nil
	}
	return refused("write it elsewhere, and then: tbctl install FILE "+shellWord(name), fmt.Errorf("%s is where tbctl installs", name))
}

// checkStdin refuses a terminal as standard input: nobody types a binary.
func (a *app) checkStdin() error {
	if term.IsTerminal(a.in) {
		return usage("send a file: "+a.retyped("-", "-")+" < FILE", "standard input is a terminal")
	}
	return nil
}

// openStream keeps a stream in a scratch file.
func openStream(a *app, stream io.Reader) (*input, error) {
	if err := a.checkStdin(); err != nil {
		return nil, err
	}
	scratch, err := durable.NewScratch()
	if err != nil {
		return nil, err
	}
	count, err := io.Copy(scratch, io.LimitReader(vfs.Interruptible(a.ctx, stream), inputSizeMax+1))
	if err == nil && count > inputSizeMax {
		err = rejected("", fmt.Errorf("more than %d bytes: no multiversion binary is that large", int64(inputSizeMax)))
	}
	if err != nil {
		scratch.Close()
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return &input{ReaderAt: scratch, name: "-", size: scratch.Size(), close: scratch.Close}, nil
}

// openZip returns file itself unless it is a zip archive, and then the
// executable in it: in place if it is stored, otherwise in a scratch file. It
// takes over file, but not on error.
func openZip(a *app, file *input) (*input, error) {
	if zipped, err := file.isZip(); err != nil || !zipped {
		return file, err
	}
	zip, err := archive.Open(file, file.size, archive.Limits{})
	if err != nil {
		return nil, err
	}
	facts := &report.Archive{Entry: zip.Entry.Name, Method: zip.Entry.Method, Size: file.size}
	mode := zip.Entry.Mode
	inside := &input{name: file.name, archive: facts, outer: file, close: file.Close}
	if mode != 0 {
		inside.mode = &mode
	}
	if section, ok := zip.Section(); ok {
		inside.ReaderAt, inside.size = section, section.Size()
		return inside, nil
	}
	scratch, err := durable.NewScratch()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(scratch, vfs.Interruptible(a.ctx, zip.Reader())); err != nil {
		scratch.Close()
		return nil, err
	}
	inside.ReaderAt, inside.size = scratch, scratch.Size()
	inside.close = func() error { return errors.Join(scratch.Close(), file.Close()) }
	return inside, nil
}

// isZip reports whether the file begins as an archive does.
func (i *input) isZip() (bool, error) {
	kind, err := i.kind()
	return kind == archive.KindZip, err
}

// kind is what the file begins like.
func (i *input) kind() (archive.Kind, error) {
	prefix := make([]byte, min(i.size, archive.SniffSize))
	if _, err := i.ReadAt(prefix, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return archive.Sniff(prefix), nil
}

// executableSize is the size in bytes of an executable, or of the one that a
// zip archive promises; 0 for anything else, and where that cannot be told.
func executableSize(file *input) int64 {
	kind, err := file.kind()
	switch {
	case err != nil:
		return 0
	case kind.Executable():
		return file.size
	case kind != archive.KindZip:
		return 0
	}
	zip, err := archive.Open(file, file.size, archive.Limits{})
	if err != nil {
		return 0
	}
	return zip.Entry.Size
}
