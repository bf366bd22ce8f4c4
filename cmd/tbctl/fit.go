package main

import (
	"context"
	"slices"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
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
func (f *fitFlags) known(a *app, target string, ahead, back bool) (verify.ReplaceOptions, install.Seen, error) {
	query := host.Query{
		Target: binaryPath(target), Running: f.Running, DataFiles: f.DataFile, Remembered: f.remembered(a, target), Ignore: f.IgnoreProcess,
		Stopped: f.Stopped, Ahead: ahead, Back: back,
	}
	report, err := host.Look(a.ctx, query)
	for _, warning := range report.Warnings {
		a.warn("%s", warning)
	}
	a.host = report
	return report.Options(query), seenBy(&report), knownError(err)
}

func seenBy(report *host.Report) install.Seen {
	return install.Seen{DataFiles: report.DataFiles, Reached: report.Reached, Named: report.Named}
}

// remember notes what was seen of the replicas before the installer came to it, or after it was
// done. What cannot be noted is a warning, unless it is quiet.
func (a *app) remember(target string, seen install.Seen, quiet bool) {
	if err := a.installer().Remember(context.WithoutCancel(a.ctx), target, seen); err != nil && !quiet {
		a.warn("what was seen of the replicas is not remembered: %v", err)
	}
}

// remembered are the data files that were seen with the target before. That its state
// cannot be believed is the installer's to say.
func (f *fitFlags) remembered(a *app, target string) []string {
	return slices.DeleteFunc(remembered(a, target).DataFiles, func(name string) bool { return slices.Contains(f.ForgetDataFile, name) })
}

// remembered is what is known of a target; empty where nothing is.
func remembered(a *app, target string) *install.State {
	found, err := fsatomic.Lookup(vfs.OS(), target)
	if err != nil {
		return &install.State{}
	}
	state, _ := a.installer().ReadState(found, nil)
	return state
}

// again gathers it once more when the new file is there: a download or another holder of the
// lock may have taken an hour.
func (f *fitFlags) again(a *app, target string, ahead, back bool) func(context.Context) (verify.ReplaceOptions, install.Seen, error) {
	return func(context.Context) (verify.ReplaceOptions, install.Seen, error) {
		return f.known(a, target, ahead, back)
	}
}
