package host

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// HeldFilesMax is in how many files of a host executables are looked for: the installed one, the one before it, and the
// newest of the store.
const HeldFilesMax = 16

// A HeldKind is what an executable is to the file that it is in.
type HeldKind string

// What an executable is.
const (
	HeldCurrent HeldKind = "current" // the one that the file runs as
	HeldPast    HeldKind = "past"    // one of its pack
)

// HeldExecutable is an executable that a host has.
type HeldExecutable struct {
	Checksum multiversion.Checksum `json:"checksum"`
	Size     int64                 `json:"size"` // in bytes
	Kind     HeldKind              `json:"kind"`
	Release  multiversion.Release  `json:"release"`
	Arch     multiversion.Arch     `json:"arch"`
	Path     string                `json:"path"` // of the file that it is in
}

// LeftOut is a file, or an executable in it, that is not taken for what it may hold, and why.
type LeftOut struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Held are the executables in the binaries of a host. None of them was read yet: whoever reads one compares its checksum.
type Held struct {
	delta.Files

	Executables []HeldExecutable // the newest first, each once
	LeftOut     []LeftOut
}

// OpenHeld opens the binary at a target, the one before it and the newest of the store; nil: there is no store. What is no
// multiversion binary, or cannot be opened, is left out. The caller closes the result.
func OpenHeld(fsys vfs.FS, target string, store *depot.Depot) *Held {
	held := &Held{Executables: []HeldExecutable{}, LeftOut: []LeftOut{}}
	found, err := fsatomic.Lookup(fsys, target)
	if err != nil {
		held.leave(target, err)
	}
	for _, kept := range []bool{false, true} {
		if err == nil {
			held.addFile(fsys, &found, kept)
		}
	}
	if store != nil {
		held.addStore(store, HeldFilesMax-2)
	}
	slices.SortStableFunc(held.Executables, func(x, y HeldExecutable) int { return cmp.Compare(y.Release, x.Release) })
	return held
}

// addFile adds the file at a target, or the one that is kept beside it.
func (h *Held) addFile(fsys vfs.FS, target *fsatomic.Target, kept bool) {
	path := target.Path
	if kept {
		path = target.OldPath
	}
	file, size, err := target.Open(fsys, kept)
	if err != nil {
		h.leave(path, err)
		return
	}
	binary, err := multiversion.Parse(file, size)
	if err != nil {
		file.Close()
		h.leave(path, err)
		return
	}
	h.add(binary, path, file)
}

// addStore adds the newest artifacts of a store, so many at most.
func (h *Held) addStore(store *depot.Depot, most int) {
	artifacts, err := store.List()
	if err != nil {
		h.leave(store.Path(""), err)
		return
	}
	slices.SortStableFunc(artifacts, func(x, y depot.Artifact) int { return y.Stored.Compare(x.Stored) })
	for _, artifact := range artifacts[:min(len(artifacts), most)] {
		path := store.Path(artifact.SHA256)
		file, err := store.Open(artifact.SHA256)
		if err != nil {
			h.leave(path, err)
			continue
		}
		binary, err := multiversion.Parse(file, file.Size())
		if err != nil {
			file.Close()
			h.leave(path, err)
			continue
		}
		h.add(binary, path, file)
	}
}

// leave notes why nothing of a file is taken, and nothing of what is in it: who owns the directory of a target can have put another's there. One
// that is not there needs no note.
func (h *Held) leave(path string, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		h.LeftOut = append(h.LeftOut, LeftOut{path, multiversion.Outline(err)})
	}
}

// add takes over a binary that is open.
func (h *Held) add(binary *multiversion.Binary, path string, file io.Closer) {
	before := make(map[multiversion.Checksum]bool, len(h.Held))
	for checksum := range h.Held {
		before[checksum] = true
	}
	h.Open(binary, path, file)
	note := func(checksum multiversion.Checksum, kind HeldKind, release multiversion.Release, arch multiversion.Arch) {
		source, ok := h.Held[checksum]
		if !ok || before[checksum] {
			return
		}
		before[checksum] = true
		h.Executables = append(h.Executables, HeldExecutable{checksum, source.Size(), kind, release, arch, path})
	}
	for i := range binary.Images {
		image := &binary.Images[i]
		note(image.Header.Current.Checksum, HeldCurrent, image.Header.Current.Release, image.Arch())
		for _, past := range image.Header.Past {
			note(past.Checksum, HeldPast, past.Release, image.Arch())
		}
	}
}
