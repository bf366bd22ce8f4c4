package vfs

import (
	"context"
	"errors"
	"io"
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
