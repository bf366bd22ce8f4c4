package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

// Copies that do not agree are read so often in all, with so long a pause in between, because a
// replica may be writing them.
const (
	attemptsMax = 5
	pause       = 20 * time.Millisecond
)

// Read returns the superblock that a replica would open the data file with. It
// reads 32 KiB, several times if need be, and nothing else of the file.
//
// The error is a [*QuorumError], a [*VersionError], ErrNoRelease, the reader's
// or the context's. With a VersionError and ErrNoRelease the fields that every
// version has are set: Version, Sequence, Cluster, ReleaseFormat and Copies.
func Read(ctx context.Context, r io.ReaderAt) (Superblock, error) {
	for attempt := 1; ; attempt++ {
		superblock, err := readOnce(r)
		failure, torn := errors.AsType[*QuorumError](err)
		// A file without any valid copy is not in the middle of being written.
		if !torn || failure.Reason == ErrNoCopy || attempt >= attemptsMax {
			return superblock, err
		}
		if err := sleep(ctx); err != nil {
			return Superblock{}, fmt.Errorf("%w, while waiting to read again: %w", err, failure)
		}
	}
}

func sleep(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func readOnce(r io.ReaderAt) (Superblock, error) {
	var headers [CopiesCount]header
	var copies [CopiesCount]CopyState
	for place := range CopiesCount {
		count, err := r.ReadAt(headers[place][:], int64(place)*CopyStride)
		switch {
		case count == HeaderSize:
			copies[place] = headers[place].check(place)
		case err == nil || errors.Is(err, io.EOF):
			copies[place].Problem = "past the end of the file"
		case errors.Is(err, syscall.EIO):
			copies[place].Problem = err.Error() // a replica would go on with the others
		default:
			return Superblock{}, fmt.Errorf("read copy %d of the superblock: %w", place, err)
		}
	}
	place, reason := working(&headers, &copies)
	if reason != nil {
		return Superblock{}, &QuorumError{Reason: reason, Copies: copies}
	}
	superblock, err := headers[place].decode()
	for index := range copies {
		copies[index].Agrees = copies[index].Valid && copies[index].Checksum == superblock.Checksum
	}
	superblock.Copies = copies
	return superblock, err
}

// Looks reports whether the start of a file holds a valid copy of a superblock.
// A prefix of [HeaderSize] bytes will do unless the first copy is damaged;
// [ZoneSize] shows them all.
func Looks(prefix []byte) bool {
	for place := range CopiesCount {
		offset := place * CopyStride
		if len(prefix) < offset+HeaderSize {
			return false
		}
		copied := header(prefix[offset:][:HeaderSize])
		if copied.check(place).Valid {
			return true
		}
	}
	return false
}

// Open opens a data file for reading. It takes no lock, because a replica
// that finds its file locked gives up, and does not wait on a pipe. Nothing but
// regular files and block devices is opened: for some devices that does something. The error says
// what the system refused, or matches ErrFileKind.
func Open(name string) (*os.File, error) {
	file, _, err := vfs.OpenFile(name, checkKind)
	return file, err
}

// OpenNow is [Open] that waits for no lease, see [vfs.OpenNow].
func OpenNow(name string) (*os.File, error) {
	file, _, err := vfs.OpenNow(name, checkKind)
	return file, err
}

func checkKind(mode fs.FileMode) error {
	kind := mode.Type()
	if kind == 0 || kind&fs.ModeDevice != 0 && kind&fs.ModeCharDevice == 0 {
		return nil
	}
	return ErrFileKind
}

// ReadFile opens the named data file and reads its superblock. Errors are
// those of [Open] and [Read].
func ReadFile(ctx context.Context, name string) (Superblock, error) {
	file, err := Open(name)
	if err != nil {
		return Superblock{}, err
	}
	return readFile(ctx, name, file)
}

// ReadForeign is [ReadFile] for a name that another user may have written, see [vfs.OpenForeign].
func ReadForeign(ctx context.Context, name string) (Superblock, error) {
	file, _, err := vfs.OpenForeign(name, checkKind)
	if err != nil {
		return Superblock{}, err
	}
	return readFile(ctx, name, file)
}

func readFile(ctx context.Context, name string, file *os.File) (Superblock, error) {
	defer file.Close()
	superblock, err := Read(ctx, file)
	if err != nil {
		return superblock, fmt.Errorf("%s: %w", name, err)
	}
	return superblock, nil
}
