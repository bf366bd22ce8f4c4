package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// fitFlags say what is known of the cluster, for install, rollback and verify.
type fitFlags struct {
	Running        []multiversion.Release `placeholder:"RELEASE" group:"cluster" help:"A release that a replica runs now; repeatable."`
	DataFile       []string               `placeholder:"FILE" type:"path" group:"cluster" help:"A data file whose release the binary must hold; repeatable. It is read, never locked."`
	Stopped        bool                   `group:"cluster" help:"No replica runs from the installed file: what was offered before does not count."`
	FromPlain      multiversion.Release   `placeholder:"RELEASE" group:"cluster" help:"The release of an installed executable that has no multiversion sections, such as 0.15.3."`
	AllowDowngrade bool                   `group:"cluster" help:"Allow a file whose current release is older than the installed one's."`
}

// given reports whether any of the flags was.
func (f *fitFlags) given() bool {
	return len(f.Running) > 0 || len(f.DataFile) > 0 || f.Stopped || f.FromPlain != 0 || f.AllowDowngrade
}

// known is what is known of the cluster.
type known struct {
	options verify.ReplaceOptions
	ahead   bool // nothing is changed now: it is asked what would be
}

// known gathers what flags, data files and the replicas on this host tell. Ahead says
// that nothing is to be changed yet.
func (f *fitFlags) known(a *app, target string, ahead bool) (known, error) {
	result := known{options: verify.ReplaceOptions{Stopped: f.Stopped}, ahead: ahead}
	for _, release := range f.Running {
		result.options.Needs = append(result.options.Needs, verify.Need{Release: release, Why: verify.NeedRunning, Source: "--running"})
	}
	for _, name := range f.DataFile {
		superblock, err := datafile.ReadFile(a.ctx, name, datafile.Options{})
		if err != nil {
			return known{}, dataFileError(name, err)
		}
		result.options.Needs = append(result.options.Needs, verify.Need{Release: superblock.Release, Why: verify.NeedData, Source: name})
	}
	err := result.observe(a, target, len(f.Running) > 0)
	return result, err
}

// dataFileError is the error of a data file that was named.
func dataFileError(name string, err error) error {
	err = fmt.Errorf("--data-file %s: %w", name, err)
	if errors.Is(err, fs.ErrNotExist) {
		return &commandError{code: exitFailed, hint: "check the name; tbctl status shows the data files of the replicas that run", err: err}
	}
	return err
}

// again gathers it anew when the new file is there: a download or another holder of the
// lock may have taken an hour.
func (f *fitFlags) again(a *app, target string, ahead bool) func(context.Context) (verify.ReplaceOptions, error) {
	return func(context.Context) (verify.ReplaceOptions, error) {
		known, err := f.known(a, target, ahead)
		return known.options, err
	}
}
