package main

import (
	"strings"

	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/sha"
)

// openInput opens an executable, a data file, or the executable inside a
// release archive. "-" is standard input.
func openInput(a *app, name string) (*input.File, error) {
	if name == "-" {
		if err := cmdline.CheckStdin(a.line, a.in); err != nil {
			return nil, err
		}
		return input.OpenExecutable(a.ctx, name, a.in)
	}
	return input.OpenExecutable(a.ctx, name, nil)
}

// openStored opens what openInput does, or the artifact of the store that is named by its digest, which is returned then.
func openStored(a *app, name, store string) (file *input.File, digest string, err error) {
	if !strings.HasPrefix(name, shelf.PrefixDigest) {
		file, err = openInput(a, name)
		return file, "", err
	}
	if digest, err = sha.Parse(name); err != nil {
		return nil, "", err
	}
	from, err := a.depot(store)
	if err != nil {
		return nil, "", err
	}
	if file, err = openInput(a, from.Path(digest)); err != nil {
		return nil, "", failed("see what there is: tbctl store list", err)
	}
	file.Mode = nil // no artifact of a store is executable
	return file, digest, nil
}
