package main

import (
	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// adviseTag says what is known of a release that is asked for by its tag, before it is fetched.
func (a *app) adviseTag(artifact release.Artifact) {
	number, err := multiversion.ParseRelease(artifact.Tag.Release())
	if err == nil {
		a.advise(advisory.Of(advisory.Subject{About: advisory.AboutFile, Release: number, Tag: string(artifact.Tag)}))
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
