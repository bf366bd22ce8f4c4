package vfs

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

const listChunk = 1024 // names read at a time

// readNames is [Dir.List] of a directory that was just opened.
func readNames(dir *os.File, prefix string, limit int) ([]string, error) {
	var names []string
	for {
		chunk, err := dir.Readdirnames(listChunk)
		for _, name := range chunk {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) || len(names) >= limit {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names[:min(len(names), limit)], nil
}
