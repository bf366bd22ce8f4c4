package main

import (
	"io"
	"path/filepath"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// importTUF imports a release of a TUF repository.
func (s *sourceFlags) importTUF(a *app, store *depot.Depot, source string, from registryFlags) (release.Artifact, shelf.Imports, error) {
	none := func(err error) (release.Artifact, shelf.Imports, error) {
		return release.Artifact{}, shelf.Imports{}, err
	}
	options, err := s.options(a)
	if err != nil {
		return none(err)
	}
	if options.Platform == "" {
		if options.Platform, err = release.HostPlatform(); err != nil {
			return none(err)
		}
	}
	tag, err := release.ParseTag(source)
	if err != nil || tag == release.Latest {
		return none(usage("tbctl store import 0.17.8 --from "+from.From, "from a TUF repository a release is taken by its number, not %q", source))
	}
	wanted := engine.Wanted{Names: engine.TargetNames(tag, options.Platform, options.Debug)}
	if wanted.URL, err = engine.ParseTUF(from.From, from.PlainHTTP); err != nil {
		return none(err)
	}
	if wanted.Dir, err = filepath.Abs(filepath.Join(a.stateDir(), "tuf")); err != nil {
		return none(err)
	}
	if options.CAFile != "" {
		if wanted.CAFile, err = filepath.Abs(options.CAFile); err != nil {
			return none(err)
		}
	}
	if from.Root != "" {
		if wanted.Root, err = readRoot(from.Root); err != nil {
			return none(err)
		}
	}
	program, err := engine.Open(a.ctx)
	if err != nil {
		return none(err)
	}
	defer program.Close()
	found, err := program.Find(a.ctx, wanted)
	if err != nil {
		return none(err)
	}
	artifact, err := found.Artifact(tag, options)
	if err != nil {
		return artifact, shelf.Imports{}, err
	}
	imported, err := s.importArtifact(a, store, artifact, &found.Signed)
	return artifact, imported, err
}

// readRoot reads a root.json; what it says is judged where it is used.
func readRoot(name string) ([]byte, error) {
	file, _, err := vfs.OpenFile(name, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return nil, input.OfFile(name, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, engine.RootSizeMax+1))
	if err == nil && len(text) > engine.RootSizeMax {
		err = engine.ErrTUFLong
	}
	return text, err
}
