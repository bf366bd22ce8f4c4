package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/multiversion"
)

// descriptorsMax is how many descriptors of a process are looked at.
const descriptorsMax = 1 << 20

// headers reads those of the target and the backups, as far as they have any.
func (f *Finder) headers(place *place) []named {
	var headers []named
	for _, path := range place.paths {
		if header, err := readHeader(path); err == nil {
			headers = append(headers, named{name: path, header: header})
		}
	}
	return headers
}

// readHeader reads the header of a file that may have become something else since
// it was found, such as a pipe.
func readHeader(name string) (*multiversion.Header, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", name)
	}
	binary, err := multiversion.Parse(file, info.Size())
	if err != nil {
		return nil, err
	}
	return &binary.Images[0].Header, nil
}

// armed looks for the memory file that the process holds the next binary in,
// and adds its header in front of the headers.
func (f *Finder) armed(process *Process, headers *[]named) {
	directory, err := os.Open(f.path(process.PID, "fd"))
	if err != nil {
		process.unreadable("fd", err)
		return
	}
	defer directory.Close()
	looked := 0
	for {
		names, err := directory.Readdirnames(namesChunk)
		for _, name := range names {
			f.descriptor(process, name, headers)
		}
		if looked += len(names); looked > descriptorsMax {
			process.unreadable("fd", fmt.Errorf("%w: more than %d", ErrTooMany, descriptorsMax))
			return
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			process.unreadable("fd", err)
			return
		}
	}
}

// descriptor looks at one descriptor. A replica has one memory file; should
// there be more, what it would execute is not known, and that is said.
func (f *Finder) descriptor(process *Process, name string, headers *[]named) {
	path := filepath.Join(f.path(process.PID, "fd"), name)
	link, err := os.Readlink(path)
	if err != nil {
		if gone(err) != errGone {
			process.unreadable("fd", err)
		}
		return
	}
	if !strings.HasPrefix(link, memfdLink) {
		return
	}
	header, err := readHeader(path)
	if err != nil {
		// Empty until the first binary is accepted, and plain for the moment
		// before a past release executes.
		if gone(err) != errGone && !multiversion.IsPlain(err) && !errors.Is(err, multiversion.RuleKind) {
			process.unreadable("fd", fmt.Errorf("armed binary in descriptor %s: %w", name, err))
		}
		return
	}
	if process.Armed != nil {
		process.unreadable("fd", fmt.Errorf("descriptors %d and %s both hold a binary to execute", process.Armed.FD, name))
	}
	fd, _ := strconv.Atoi(name)
	process.Armed = &Armed{FD: fd, Current: header.Current.Release, Checksum: header.ChecksumBinary, Releases: header.Releases()}
	*headers = append([]named{{name: "the armed binary", header: header}}, *headers...)
}

// running finds out the release that the process executes. The error is the
// context's or errUnsettled.
func (f *Finder) running(ctx context.Context, process *Process, key executable, headers []named) error {
	file, err := os.Open(f.path(process.PID, "exe"))
	if err != nil {
		if gone(err) == errGone {
			return errUnsettled
		}
		process.unreadable("exe", err)
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		process.unreadable("exe", err)
		return nil
	}
	binary, err := multiversion.Parse(file, info.Size())
	switch {
	case err == nil:
		process.runningFromExecutable(binary.Current())
		return nil
	case !multiversion.IsPlain(err):
		process.unreadable("exe", err)
		return nil
	}
	sum, known := f.plain[key]
	if !known {
		hash := multiversion.NewHash()
		if err := multiversion.HashExtent(ctx, hash, file, multiversion.Extent{Size: info.Size()}); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			process.unreadable("exe", err)
			return nil
		}
		sum = hash.Checksum()
		f.plain[key] = sum
	}
	process.runningFromPack(sum, headers)
	return nil
}
