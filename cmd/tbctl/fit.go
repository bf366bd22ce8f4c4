package main

import (
	"context"

	"github.com/tbctl/tbctl/host"
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

// known is what flags, data files and the replicas on this host tell of the cluster. Ahead
// says that nothing is to be changed yet.
func (f *fitFlags) known(a *app, target string, ahead bool) (verify.ReplaceOptions, error) {
	query := host.Query{Target: binaryPath(target), Running: f.Running, DataFiles: f.DataFile, Stopped: f.Stopped, Ahead: ahead}
	report, err := host.Look(a.ctx, query)
	for _, warning := range report.Warnings {
		a.warn("%s", warning)
	}
	return report.Options(query), knownError(err)
}

// again gathers it once more when the new file is there: a download or another holder of the
// lock may have taken an hour.
func (f *fitFlags) again(a *app, target string, ahead bool) func(context.Context) (verify.ReplaceOptions, error) {
	return func(context.Context) (verify.ReplaceOptions, error) { return f.known(a, target, ahead) }
}
