package main

import (
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/multiversion"
)

// fitFlags say what is known of the cluster, for install, rollback and verify.
type fitFlags struct {
	Running        []multiversion.Release `placeholder:"RELEASE" group:"cluster" help:"A release that a replica runs now; repeatable."`
	DataFile       []string               `placeholder:"FILE" type:"path" group:"cluster" help:"A data file whose release the binary must hold; repeatable. It is read, never locked."`
	ForgetDataFile []string               `more:"" placeholder:"FILE" type:"path" group:"cluster" help:"A data file that no longer belongs to a replica of TARGET: it is not asked, and no longer remembered; repeatable."`
	IgnoreProcess  []int                  `more:"" placeholder:"PID" group:"cluster" help:"A process that is no replica of this cluster, whatever it looks like; repeatable."`
	Stopped        bool                   `group:"cluster" help:"No replica runs from the installed file: what was offered before does not count."`
	FromPlain      multiversion.Release   `more:"" placeholder:"RELEASE" group:"cluster" help:"The release of an installed executable that has no multiversion sections, such as 0.15.3."`
	AllowDowngrade bool                   `more:"" group:"cluster" help:"Allow a file whose current release is older than the installed one's."`
}

// given reports whether any of the flags was.
func (f *fitFlags) given() bool {
	return len(f.Running) > 0 || len(f.DataFile) > 0 || len(f.ForgetDataFile) > 0 || len(f.IgnoreProcess) > 0 || f.Stopped || f.FromPlain != 0 || f.AllowDowngrade
}

// said is what the flags say.
func (f *fitFlags) said() host.Said {
	return host.Said{
		Running: f.Running, DataFiles: f.DataFile, Forget: f.ForgetDataFile, Ignore: f.IgnoreProcess, Stopped: f.Stopped,
		FromPlain: f.FromPlain, AllowDowngrade: f.AllowDowngrade,
	}
}

// site is the target on this host, with what the operator says of it.
func (a *app) site(target string, said host.Said) *host.Site {
	return &host.Site{Installer: a.installer(), Target: target, Said: said, Warn: a.warnText}
}
