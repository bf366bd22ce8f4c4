package pack

import (
	"github.com/tbctl/tbctl/multiversion"
)

// Options says what to build. Current, Release and one of Past and Plain are
// required, and Commit and ClientMin for every release after 0.15.4.
type Options struct {
	// Current holds the executables of the current release, as the linker
	// made them: one for Linux and Windows, and for macOS two thin ones,
	// aarch64 and x86_64, in either order.
	Current []Source

	Release   multiversion.Release
	Commit    multiversion.Commit
	ClientMin multiversion.Release

	// Debug marks a debug build. It takes the old current executable alone
	// out of Past, and may be twice as large.
	Debug bool

	// Past is the multiversion binary that the pack is made from.
	Past *multiversion.Binary

	// Plain holds plain past executables, oldest first, for a pack that is
	// made without a past multiversion binary. At most 63.
	Plain []Plain
}

// Plain is a past executable without multiversion sections and what the
// header says of it. [Epoch] describes the first one that there was.
type Plain struct {
	Release   multiversion.Release
	Visit     bool
	Debug     bool
	Commit    multiversion.Commit
	ClientMin multiversion.Release

	// Executables holds one executable, which for macOS is universal, or for
	// macOS two thin ones.
	Executables []Source
}

// Epoch describes release 0.15.3, the last without multiversion sections, as
// upstream's binaries have it.
func Epoch(executables ...Source) Plain {
	return Plain{
		Release: multiversion.ReleaseEpoch,
		Commit: multiversion.Commit{0x03, 0x5c, 0x89, 0x5b, 0xf8, 0x5f, 0x51, 0x06, 0xd9, 0x4f,
			0x08, 0xca, 0xc4, 0x97, 0x19, 0x99, 0x43, 0x44, 0x88, 0x0e},
		ClientMin:   multiversion.ReleaseEpoch,
		Executables: executables,
	}
}

// Early reports whether a release is so old that its header cannot carry a commit or its oldest client. A later one must.
func Early(release multiversion.Release) bool { return release <= multiversion.ReleaseFirst }

// check requires what can be required before anything is read.
func (o *Options) check() error {
	if len(o.Current) == 0 {
		return refuse(ReasonInput, nil, "no current executable")
	}
	if (o.Past != nil) == (len(o.Plain) > 0) {
		return refuse(ReasonInput, nil, "want either a past multiversion binary or plain past executables")
	}
	if len(o.Plain) > multiversion.PastMax {
		return refuse(ReasonCount, nil, "%d past releases, want at most %d", len(o.Plain), multiversion.PastMax)
	}
	if o.Release == 0 {
		return refuse(ReasonRelease, nil, "the current release is 0")
	}
	if Early(o.Release) {
		if o.Commit != (multiversion.Commit{}) {
			return refuse(ReasonCommit, nil, "release %s cannot carry a commit", o.Release)
		}
		if o.ClientMin != 0 {
			return refuse(ReasonClientMin, nil, "release %s cannot carry a client minimum", o.Release)
		}
		return nil
	}
	if o.Commit == (multiversion.Commit{}) {
		return refuse(ReasonCommit, nil, "release %s has no commit", o.Release)
	}
	return checkClientMin(o.Release, o.ClientMin)
}

func checkClientMin(release, clientMin multiversion.Release) error {
	if clientMin == 0 {
		return refuse(ReasonClientMin, nil, "release %s has no client minimum", release)
	}
	if clientMin > release {
		return refuse(ReasonClientMin, nil, "client minimum %s is newer than release %s", clientMin, release)
	}
	return nil
}

// checkOrder requires releases and client minimums that a header can hold,
// and that the next build, in which the current release is a past one, can too.
func (o *Options) checkOrder(past []multiversion.Past) error {
	var before multiversion.Past
	for _, entry := range past {
		if entry.Release == 0 {
			return refuse(ReasonRelease, nil, "a past release is 0")
		}
		if entry.Release <= before.Release {
			return refuse(ReasonOrder, nil, "past release %s stands behind %s, want each newer than the one before it", entry.Release, before.Release)
		}
		if entry.Commit == (multiversion.Commit{}) {
			return refuse(ReasonCommit, nil, "past release %s has no commit", entry.Release)
		}
		if entry.ClientMin == 0 {
			return refuse(ReasonClientMin, nil, "past release %s has no client minimum", entry.Release)
		}
		if entry.ClientMin < before.ClientMin {
			return refuse(ReasonClientMin, nil, "client minimum %s of past release %s is older than %s of %s",
				entry.ClientMin, entry.Release, before.ClientMin, before.Release)
		}
		before = entry
	}
	if before.Release >= o.Release {
		return refuse(ReasonOrder, nil, "past release %s is not older than the current %s", before.Release, o.Release)
	}
	if !Early(o.Release) && o.ClientMin < before.ClientMin {
		return refuse(ReasonClientMin, nil, "client minimum %s is older than %s of past release %s", o.ClientMin, before.ClientMin, before.Release)
	}
	return nil
}
