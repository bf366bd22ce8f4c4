//go:build linux

package program

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/tbctl/tbctl/multiversion"
	"golang.org/x/sys/unix"
)

// look reads the binary again if anything but its access time has changed. The
// order of the checks is a replica's: the mode comes before the comparison and
// leaves what was seen before alone.
func (r *replica) look() {
	var stat unix.Stat_t
	if err := unix.Stat(r.exe, &stat); err != nil {
		r.refuse(err)
		r.seen = previousError
		return
	}
	if stat.Mode&unix.S_IXUSR == 0 {
		r.refuse(errors.New("BinaryNotMarkedExecutable"))
		return
	}
	stat.Atim = unix.Timespec{}
	before := r.seen
	if before == previousStat && stat == r.stat {
		return
	}
	if before != previousNone {
		r.log.Printf("binary change detected: %s", r.exe)
	}
	r.stat, r.seen = stat, previousStat
	r.refused = ""
	old := r.bundled
	if err := r.read(); err != nil {
		r.refuse(err)
		return
	}
	if before != previousNone {
		r.log.Printf("releases_bundled old: %v", old)
		r.log.Printf("releases_bundled new: %v", r.bundled)
		r.step("armed")
	}
}

// refuse says why a binary is not taken, once where a replica says it every second.
func (r *replica) refuse(err error) {
	if err.Error() != r.refused {
		r.log.Printf("binary does not contain valid multiversion data: error.%v", err)
	}
	r.refused = err.Error()
}

// read reads, verifies and judges the binary, and puts it into memory.
func (r *replica) read() error {
	file, err := os.Open(r.exe)
	if err != nil {
		return err
	}
	defer file.Close()
	source := bytes.NewBuffer(make([]byte, 0, min(r.stat.Size, sizeMax)+bytes.MinRead)) // at once: it grows no more
	if _, err := source.ReadFrom(io.LimitReader(file, sizeMax)); err != nil {
		return err
	}
	if source.Len() >= sizeMax {
		r.log.Printf("panic: reached unreachable code: the binary is too large")
		os.Exit(134)
	}
	binary, err := multiversion.Parse(bytes.NewReader(source.Bytes()), int64(source.Len()))
	if err != nil {
		return err
	}
	sum, err := binary.ChecksumWithoutHeader(context.Background())
	if err != nil {
		return err
	}
	header := binary.Images[0].Header
	if sum != header.ChecksumBinary {
		return errors.New("ChecksumMismatch")
	}
	offers := offers(&header, r.release)
	if !slices.Contains(offers, r.release) {
		return errors.New("RunningVersionNotIncluded")
	}
	for _, offered := range r.bundled {
		if offered >= r.release && !slices.Contains(offers, offered) {
			return errors.New("NotSuperset")
		}
	}
	if _, err := unix.Pwrite(r.memory, source.Bytes(), 0); err != nil {
		return err
	}
	r.bundled, r.header, r.body = offers, &header, binary.Images[0].Layout.Body.Offset
	return nil
}

// offers is written down here once more, so that the stand-in does not judge
// with the code that it is there to judge.
func offers(header *multiversion.Header, running multiversion.Release) []multiversion.Release {
	var releases []multiversion.Release
	for _, past := range header.Past {
		releases = append(releases, past.Release)
		if past.Visit && past.Release > running {
			return releases
		}
	}
	return append(releases, header.Current.Release)
}
