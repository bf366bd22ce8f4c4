package vfs

import (
	"context"
	"errors"
	"io"
	"path/filepath"
)

const blockSize = 256 << 10 // bytes read at a time

// ReadBlocks reads size bytes of a file from offset on, through one buffer of 256 KiB, and calls
// each for every block, until ctx ends. Errors: those of [ReadFull], of each, and of ctx.
func ReadBlocks(ctx context.Context, r io.ReaderAt, offset, size int64, each func(block []byte, offset int64) error) error {
	buffer := make([]byte, min(max(size, 0), blockSize))
	for end := offset + size; offset < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		block := buffer[:min(int64(len(buffer)), end-offset)]
		if err := ReadFull(r, block, offset); err != nil {
			return err
		}
		if err := each(block, offset); err != nil {
			return err
		}
		offset += int64(len(block))
	}
	return nil
}

// ReadFull fills a buffer from offset on. Where the file ends before that, since it became
// shorter, the error is io.ErrUnexpectedEOF.
func ReadFull(r io.ReaderAt, buffer []byte, offset int64) error {
	count, err := r.ReadAt(buffer, offset)
	switch {
	case count == len(buffer):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadSmall reads a regular file of at most sizeMax bytes, and says whose it is. A larger one is [ErrTooLarge].
func ReadSmall(fsys FS, name string, sizeMax int64) ([]byte, Info, error) {
	dir, err := fsys.OpenDir(filepath.Dir(name))
	if err != nil {
		return nil, Info{}, err
	}
	defer dir.Close()
	file, err := dir.Open(filepath.Base(name))
	if err != nil {
		return nil, Info{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = Regular(info)
	}
	if err == nil && info.Size > sizeMax {
		err = ErrTooLarge
	}
	if err != nil {
		return nil, info, err
	}
	text, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	return text, info, err
}
