package delta

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// A reader keeps this many bytes beside the dictionary: as many as are needed to reach all of it from wherever
	// two executables of its size have come to.
	windowSizeMin = 8 << 20
	windowSizeMax = 64 << 20

	// DictionarySizeMax is the most bytes of a dictionary.
	DictionarySizeMax = windowSizeMax / 2

	dictionaryID = 1 // of zstd: any number but 0 serves, both ends name the executable themselves
)

// windowSize is the least power of two that is more than two dictionaries.
func windowSize(dictionary []byte) int {
	size := windowSizeMin
	for size < windowSizeMax && size < 2*len(dictionary) {
		size *= 2
	}
	return size
}

// NewWriter returns a writer that compresses with an executable that the reader holds as
// dictionary; nil is none. It is made for size, not for speed: its result is kept and sent
// many times. Close ends the stream and leaves w open.
func NewWriter(w io.Writer, dictionary []byte) (io.WriteCloser, error) {
	options := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(windowSize(dictionary)), zstd.WithEncoderConcurrency(1)}
	if len(dictionary) > 0 {
		options = append(options, zstd.WithEncoderDictRaw(dictionaryID, dictionary))
	}
	return zstd.NewWriter(w, options...)
}

// NewReader returns what [NewWriter] compressed with the same dictionary. Close frees its memory
// and leaves r open.
func NewReader(r io.Reader, dictionary []byte) (io.ReadCloser, error) {
	options := []zstd.DOption{
		zstd.WithDecoderMaxWindow(uint64(windowSize(dictionary))), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(windowSizeMax + DictionarySizeMax),
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
