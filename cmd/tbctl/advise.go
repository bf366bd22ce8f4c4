package main

import (
	"errors"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/advisory/kept"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// advisories are what is known of releases: the signed list that is kept here, or else what is built in.
func (a *app) advisories() *advisory.List {
	if !a.listRead {
		var err error
		if a.list, err = kept.Read(vfs.OS(), a.stateDir()); err != nil {
			a.warn("of releases only what is built in is known: %v", err)
		}
		a.listRead = true
	}
	return a.list
}

// allAdvisories are advisories, and what the list that came with a rollout's plan says besides while that holds a target here: it adds a warning, and
// decides nothing.
func (a *app) allAdvisories() *advisory.List {
	if a.warnsBy == nil {
		list, err := kept.AddRollout(vfs.OS(), a.stateDir(), a.advisories(), func(plan string) bool {
			return (&install.Installer{FS: vfs.OS()}).Held(plan, a.settings().Targets())
		})
		if err != nil {
			a.warn("what the last rollout's plan says of releases is not used: %v", err)
		}
		a.warnsBy = &list
	}
	return *a.warnsBy
}

// keepAdvisories keeps the list that came with a release's signed metadata, and uses it from now on.
func (a *app) keepAdvisories(signed *engine.SignedList) error {
	if signed == nil {
		return nil
	}
	before, err := kept.Keep(vfs.OS(), a.stateDir(), signed.Text, signed.Signed)
	switch {
	case errors.Is(err, kept.ErrOlder):
		a.warn("%v", err)
		return nil
	case err != nil:
		return err
	}
	if was := before.Edition().Repository; was != "" && was != signed.Signed.Repository {
		a.warn("the list of advisories of %s takes the place of that of %s", signed.Signed.Repository, was)
	}
	a.listRead, a.warnsBy = false, nil
	return nil
}

// adviseTag says what is known of a release that is asked for by its tag, before it is fetched.
func (a *app) adviseTag(artifact release.Artifact) {
	number, err := multiversion.ParseRelease(artifact.Tag.Release())
	if err == nil {
		a.advise(a.allAdvisories().Of(advisory.Subject{About: advisory.AboutFile, Release: number, Tag: string(artifact.Tag)}))
	}
}

// advise warns of a release that is to be skipped. What happens when one is left the plan's remarks say, and the
// rest is in lists and documents.
func (a *app) advise(notices []advisory.Notice) {
	for _, notice := range notices {
		if notice.Skip {
			a.warn("%s", notice.Message)
		}
	}
}
