package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// present is a binary as it is on the disk.
type present struct {
	file      File
	installed verify.Installed
}

// describe reads a whole file: what it is, whether it is whole, and its SHA-256, but for
// one that is larger than any binary. A file that is no multiversion binary, or a damaged
// one, is no error.
func describe(ctx context.Context, r io.ReaderAt, size int64, path string) (present, error) {
	report, err := verify.File(ctx, r, size, verify.Options{SHA256: true})
	if err != nil {
		return present{}, fmt.Errorf("read %s: %w", path, err)
	}
	found := present{file: File{Path: path, Size: size, SHA256: report.SHA256}, installed: verify.InstalledFrom(r, size, 0)}
	if err := found.installed.Err; !report.Ok && found.installed.Plain == nil && !errors.Is(err, multiversion.RuleKind) {
		found.file.Damaged = report.Diagnosis
	}
	if errors.Is(found.installed.Err, multiversion.RuleRead) { // the disk's fault, not the file's
		return present{}, fmt.Errorf("read %s: %w", path, found.installed.Err)
	}
	if found.installed.Binary == nil {
		found.file.Kind = inspect.Describe(r, size).Text
		return found, nil
	}
	found.file.fill(found.installed.Binary)
	return found, nil
}

// A Described file is one that was opened once: all of this is of that very file.
type Described struct {
	File

	Binary  *multiversion.Binary // nil: it is no multiversion binary, and Problem says why
	Problem error
}

// DescribeSeen reads the whole of the file that was seen at the path before, by what was seen of it, and says what it is. A file that is no
// multiversion binary is no error. The error of another one that is there now, or of one that changes while it is read
// is [fsatomic.ErrChanged]: nothing that was concluded from the first is true of it.
func DescribeSeen(ctx context.Context, fsys vfs.FS, path string, seen vfs.Info) (*Described, error) {
	file, err := openPath(fsys, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Unchanged(seen) {
		err = fsatomic.ErrChanged
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	found, err := describe(ctx, file, info.Size, path)
	if err != nil {
		return nil, err
	}
	described := &Described{File: found.file}
	described.Binary, described.Problem = multiversion.Parse(file, info.Size)
	if described.Damaged != "" || described.Problem != nil { // or it was written to meanwhile
		after, err := file.Stat()
		if err == nil && !after.Unchanged(info) {
			err = fsatomic.ErrChanged
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return described, nil
}

// fill sets what a parsed binary says.
func (f *File) fill(binary *multiversion.Binary) {
	header := &binary.HostImage().Header
	f.Platform = binary.Platform()
	f.Release = header.Current.Release
	f.Releases = header.Releases()
	f.Debug = header.Current.Debug
}

// hashBufferSize is the size in bytes of each of the two buffers that a file is
// read through: one is filled while the other is hashed.
const hashBufferSize = 512 << 10

// hashFile returns the SHA-256 of a file in hexadecimal digits.
func hashFile(ctx context.Context, r io.ReaderAt, size int64) (string, error) {
	free, filled := make(chan []byte, 2), make(chan []byte)
	free <- make([]byte, min(max(size, 1), hashBufferSize))
	free <- make([]byte, min(max(size, 1), hashBufferSize))
	var failed error // of the reader, to be looked at when filled is closed
	go func() {
		defer close(filled)
		for done := int64(0); done < size && failed == nil; {
			buffer := <-free
			piece := buffer[:min(int64(len(buffer)), size-done)]
			if failed = ctx.Err(); failed == nil {
				failed = vfs.ReadFull(r, piece, done)
			}
			if failed == nil {
				filled <- piece
			}
			done += int64(len(piece))
		}
	}()
	hash := sha256.New()
	for piece := range filled {
		hash.Write(piece)
		free <- piece[:cap(piece)]
	}
	if failed != nil {
		return "", failed
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// describeFile describes an open file.
func describeFile(ctx context.Context, file vfs.File, path string) (present, error) {
	info, err := file.Stat()
	if err != nil {
		return present{}, fmt.Errorf("read %s: %w", path, err)
	}
	return describe(ctx, file, info.Size, path)
}

// openPath opens a file by its path, not following a symbolic link.
func openPath(fsys vfs.FS, path string) (vfs.File, error) {
	dir, err := fsys.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	file, err := dir.Open(filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return file, nil
}

// isTarget returns an error unless an open file is the one that the plan saw at the target.
func (r *run) isTarget(file vfs.File) error {
	same, err := r.target.Is(file)
	if err == nil && !same {
		err = fsatomic.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.target.Path, err)
	}
	return nil
}

// openOld opens the file kept beside the target, and reads its attributes.
func (r *run) openOld() (vfs.File, fsatomic.Attributes, error) {
	old, err := fsatomic.Lookup(r.FS, r.target.OldAt())
	if err != nil {
		return nil, fsatomic.Attributes{}, fmt.Errorf("previous file: %w", err)
	}
	if !old.File.Unchanged(r.target.Old) {
		return nil, fsatomic.Attributes{}, fmt.Errorf("previous file %s: %w", r.target.OldPath, fsatomic.ErrChanged)
	}
	dir, err := r.FS.OpenDir(filepath.Dir(old.Path))
	if err != nil {
		return nil, fsatomic.Attributes{}, fmt.Errorf("previous file: %w", err)
	}
	defer dir.Close()
	file, err := dir.Open(filepath.Base(old.Path))
	if err != nil {
		return nil, fsatomic.Attributes{}, fmt.Errorf("previous file %s: %w", r.target.OldPath, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Unchanged(r.target.Old) {
		err = fsatomic.ErrChanged
	}
	if err != nil {
		file.Close()
		return nil, fsatomic.Attributes{}, fmt.Errorf("previous file %s: %w", r.target.OldPath, err)
	}
	return file, old.Attributes, nil
}
