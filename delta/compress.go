package delta

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/tbctl/tbctl/internal/current"
)

const (
	windowSize = 8 << 20 // bytes that a reader keeps beside the dictionary

	// DictionarySizeMax is the most bytes of a dictionary.
	DictionarySizeMax = 64 << 20

	dictionaryID = 1 // of zstd: any number but 0 serves, both ends name the executable themselves
)

// NewWriter returns a writer that compresses with an executable that the reader holds as
// dictionary; nil is none. It is made for size, not for speed: its result is kept and sent
// many times. Close ends the stream and leaves w open.
func NewWriter(w io.Writer, dictionary []byte) (io.WriteCloser, error) {
	options := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(windowSize), zstd.WithEncoderConcurrency(1)}
	if len(dictionary) > 0 {
		options = append(options, zstd.WithEncoderDictRaw(dictionaryID, dictionary))
	}
	return zstd.NewWriter(w, options...)
}

// NewReader returns what [NewWriter] compressed with the same dictionary. Close frees its memory
// and leaves r open.
func NewReader(r io.Reader, dictionary []byte) (io.ReadCloser, error) {
	options := []zstd.DOption{
		zstd.WithDecoderMaxWindow(windowSize), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(windowSize + DictionarySizeMax),
	}
	if len(dictionary) > 0 {
		options = append(options, zstd.WithDecoderDictRaw(dictionaryID, dictionary))
	}
	decoder, err := zstd.NewReader(r, options...)
	if err != nil {
		return nil, err
	}
	return decoder.IOReadCloser(), nil
}

// Dictionary reads an executable as dictionary. One of more than [DictionarySizeMax] bytes is cut there.
func Dictionary(executable current.Source) ([]byte, error) {
	dictionary := make([]byte, min(executable.Size(), DictionarySizeMax))
	_, err := io.ReadFull(io.NewSectionReader(executable, 0, int64(len(dictionary))), dictionary)
	return dictionary, err
}
