package main

import (
	"context"
	"slices"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// fitFlags say what is known of the cluster, for install, rollback and verify.
type fitFlags struct {
	Running        []multiversion.Release `placeholder:"RELEASE" group:"cluster" help:"A release that a replica runs now; repeatable."`
	DataFile       []string               `placeholder:"FILE" type:"path" group:"cluster" help:"A data file whose release the binary must hold; repeatable. It is read, never locked."`
	ForgetDataFile []string               `placeholder:"FILE" type:"path" group:"cluster" help:"A data file that no longer belongs to a replica of TARGET: it is not asked, and no longer remembered; repeatable."`
	IgnoreProcess  []int                  `placeholder:"PID" group:"cluster" help:"A process that is no replica of this cluster, whatever it looks like; repeatable."`
	Stopped        bool                   `group:"cluster" help:"No replica runs from the installed file: what was offered before does not count."`
	FromPlain      multiversion.Release   `placeholder:"RELEASE" group:"cluster" help:"The release of an installed executable that has no multiversion sections, such as 0.15.3."`
	AllowDowngrade bool                   `group:"cluster" help:"Allow a file whose current release is older than the installed one's."`
}

// given reports whether any of the flags was.
func (f *fitFlags) given() bool {
	return len(f.Running) > 0 || len(f.DataFile) > 0 || len(f.ForgetDataFile) > 0 || len(f.IgnoreProcess) > 0 || f.Stopped || f.FromPlain != 0 || f.AllowDowngrade
}

// known is what flags, data files and the replicas on this host tell of the cluster, and which
// data files those are. Ahead says that nothing is to be changed yet, back that the
// previous file is to be put back.
func (f *fitFlags) known(a *app, target string, ahead, back bool) (verify.ReplaceOptions, []string, error) {
	query := host.Query{
		Target: binaryPath(target), Running: f.Running, DataFiles: f.DataFile, Remembered: f.remembered(a, target), Ignore: f.IgnoreProcess,
		Stopped: f.Stopped, Ahead: ahead, Back: back,
	}
	report, err := host.Look(a.ctx, query)
	for _, warning := range report.Warnings {
		a.warn("%s", warning)
	}
	a.host = report
	return report.Options(query), report.DataFiles, knownError(err)
}

// remembered are the data files that were seen with the target before. That its state
// cannot be believed is the installer's to say.
func (f *fitFlags) remembered(a *app, target string) []string {
	found, err := fsatomic.Lookup(fsatomic.OS(), target)
	if err != nil {
		return nil
	}
	state, _ := a.installer().ReadState(found, nil)
	return slices.DeleteFunc(state.DataFiles, func(name string) bool { return slices.Contains(f.ForgetDataFile, name) })
}

// again gathers it once more when the new file is there: a download or another holder of the
// lock may have taken an hour.
func (f *fitFlags) again(a *app, target string, ahead, back bool) func(context.Context) (verify.ReplaceOptions, []string, error) {
	return func(context.Context) (verify.ReplaceOptions, []string, error) { return f.known(a, target, ahead, back) }
}
