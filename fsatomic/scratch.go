package fsatomic

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Scratch is a temporary file for data that must be read at random but comes
// as a stream. It has no name where the system allows that, and is gone when it
// is closed or the process dies. It must not be used by two goroutines at once.
type Scratch struct {
	file *os.File
	name string // to be removed at Close; empty where that has been done
	size int64
}

// NewScratch makes an empty scratch file in the system's directory for
// temporary files. Nobody else can read it.
func NewScratch() (*Scratch, error) {
	file, err := os.CreateTemp("", "tbctl-scratch-")
	if err != nil {
		return nil, fmt.Errorf("make a scratch file: %w", err)
	}
	scratch := &Scratch{file: file, name: file.Name()}
	if os.Remove(scratch.name) == nil { // an open file cannot be removed on Windows
		scratch.name = ""
	}
	return scratch, nil
}

// Write appends.
func (s *Scratch) Write(data []byte) (int, error) {
	count, err := s.file.Write(data)
	s.size += int64(count)
	if err != nil {
		return count, fmt.Errorf("write a scratch file in %s: %w", os.TempDir(), noSpace(err))
	}
	return count, nil
}

// ReadAt reads what was written.
func (s *Scratch) ReadAt(data []byte, offset int64) (int, error) { return s.file.ReadAt(data, offset) }

// Size returns how many bytes were written.
func (s *Scratch) Size() int64 { return s.size }

// Reset makes the file empty again.
func (s *Scratch) Reset() error {
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("empty a scratch file: %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("empty a scratch file: %w", err)
	}
	s.size = 0
	return nil
}

// Close removes the file. On nil it does nothing.
func (s *Scratch) Close() error {
	if s == nil {
		return nil
	}
	err := s.file.Close()
	if s.name != "" {
		err = errors.Join(err, os.Remove(s.name))
	}
	return err
}
