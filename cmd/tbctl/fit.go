package main

import (
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
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

// known is what is known of the cluster.
type known struct {
	options  verify.ReplaceOptions
	observed bool // processes could be looked for
	ahead    bool // nothing is changed now: it is asked what would be
	replicas []replica.Process
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
			return known{}, fmt.Errorf("data file %s: %w", name, err)
		}
		result.options.Needs = append(result.options.Needs, verify.Need{Release: superblock.Release, Why: verify.NeedData, Source: name})
	}
	err := result.observe(a, target, len(f.Running) > 0)
	return result, err
}

// hintFit says what to do about a refusal.
func hintFit(report *verify.ReplaceReport, plain bool) string {
	if plain {
		return "say which release the installed executable is: --from-plain RELEASE"
	}
	older := slices.ContainsFunc(report.Findings, func(finding verify.Finding) bool {
		return finding.Name == verify.CheckDowngrade && finding.Status != verify.Held
	})
	for _, finding := range report.Findings {
		if finding.Status == verify.NotChecked && (finding.Name == verify.CheckOverlap || finding.Name == verify.CheckInstalled) {
			return "say which release the cluster runs: --running RELEASE, or --data-file FILE"
		}
		if finding.Status != verify.Failed {
			continue
		}
		switch finding.Name {
		case verify.CheckDowngrade:
			return "if going back is meant, say what the cluster needs and allow it: --data-file FILE (or --running RELEASE) --allow-downgrade, " +
				"with the replicas stopped also --stopped; or go back to TARGET-old: tbctl rollback"
		case verify.CheckOverlap:
			return hintBetween(older) + "; if the cluster runs another release, say which: --running RELEASE, or --data-file FILE"
		case verify.CheckRunning:
			return hintBetween(older)
		case verify.CheckOffered:
			return "a replica that holds a newer release in memory still upgrades to it: stop the replica, say --stopped --data-file FILE, " +
				"and start it again; or go forward, with a file that holds all that was offered"
		case verify.CheckPlatform:
			return "get the file for this platform"
		}
	}
	return ""
}

// hintBetween is about a file that lacks the release that the cluster is at. older says
// that the file is older than the installed one.
func hintBetween(older bool) string {
	if older {
		return "a cluster does not go back: install a release that holds the one that it is at, see tbctl releases"
	}
	return "install a release in between first: tbctl releases shows which"
}
