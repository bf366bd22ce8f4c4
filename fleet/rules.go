package fleet

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// releaseQuorumAll is the first release whose primary waits for the offers of all replicas before the cluster
// upgrades. What ran before went on without some.
const releaseQuorumAll multiversion.Release = 16<<8 | 16

// UpgradeQuorum is how many of a cluster's replicas, standbys not counted, must offer a newer release before a
// primary that runs the release upgrades the cluster.
func UpgradeQuorum(running multiversion.Release, replicas int) int {
	if running >= releaseQuorumAll {
		return replicas
	}
	majority := replicas/2 + 1
	return max(majority, replicas-1)
}

// Holdback is how many replicas of a cluster must not offer a newer release, so that it does not upgrade: they are
// swapped last, by promote alone. At least 1.
func Holdback(running multiversion.Release, replicas int) int {
	return replicas - UpgradeQuorum(running, replicas) + 1
}

// Hops are the releases that a cluster runs on its way from one to the artifact's, in their order. The last one is the
// artifact's; there are none if that runs already, or is older.
func (a *Artifact) Hops(running multiversion.Release) []multiversion.Release {
	hops := []multiversion.Release{}
	for running < a.Release {
		stop := a.Release
		for _, visit := range a.Visits {
			if visit > running && visit < stop {
				stop = visit
			}
		}
		hops = append(hops, stop)
		running = stop
	}
	return hops
}

// Offers are the releases that a replica offers its cluster when it finds the artifact: all up to the next that it must
// stop at.
func (a *Artifact) Offers(running multiversion.Release) []multiversion.Release {
	next := a.Release
	if hops := a.Hops(running); len(hops) > 0 {
		next = hops[0]
	}
	offers := []multiversion.Release{}
	for _, release := range a.Releases {
		if release <= next {
			offers = append(offers, release)
		}
	}
	return offers
}

// clientMin is the oldest client that a release of the artifact serves; 0: not known.
func (a *Artifact) clientMin(release multiversion.Release) multiversion.Release {
	if release == a.Release {
		return a.ClientMin
	}
	return a.ClientMins[release]
}

// holds says that the artifact has a release in it.
func (a *Artifact) holds(release multiversion.Release) bool {
	return slices.Contains(a.Releases, release)
}

// ErrArtifact says that a plan says of its artifact what the file does not.
var ErrArtifact = fault.New(fault.Rejected, "the plan says of its artifact what the file does not")

// Matches compares what a plan says of its artifact with what the file says of itself. The error is [ErrArtifact], and names the field. Where the
// file came from and who vouches for it no file says.
func (a *Artifact) Matches(file *Artifact) error {
	for _, field := range []struct {
		name       string
		same       bool
		said, seen any
	}{
		{"sha256", a.SHA256 == file.SHA256, a.SHA256, file.SHA256},
		{"size", a.Size == file.Size, a.Size, file.Size},
		{"platform", a.Platform == file.Platform, a.Platform, file.Platform},
		{"release", a.Release == file.Release, a.Release, file.Release},
		{"releases", slices.Equal(a.Releases, file.Releases), releaseList(a.Releases), releaseList(file.Releases)},
		{"visits", slices.Equal(a.Visits, file.Visits), releaseList(a.Visits), releaseList(file.Visits)},
		{"checksum", a.Checksum == file.Checksum, a.Checksum, file.Checksum},
		{"client_min", a.ClientMin == file.ClientMin, a.ClientMin, file.ClientMin},
		{"client_mins", maps.Equal(a.ClientMins, file.ClientMins), a.ClientMins, file.ClientMins},
	} {
		if !field.same {
			return fmt.Errorf("%w: %s is %s in the plan, and %s in the file", ErrArtifact, field.name, clip(fmt.Sprint(field.said)), clip(fmt.Sprint(field.seen)))
		}
	}
	return nil
}

// NewArtifact describes a multiversion binary by the header that it has for a platform. What the header does not
// say is the caller's to add.
func NewArtifact(sha256 string, size int64, platform multiversion.Platform, header *multiversion.Header) Artifact {
	a := Artifact{
		SHA256: sha256, Size: size, Platform: platform, Release: header.Current.Release, Releases: header.Releases(), Visits: []multiversion.Release{},
		Checksum: header.ChecksumBinary, ClientMin: header.Current.ClientMin, ClientMins: map[multiversion.Release]multiversion.Release{}, Vouched: []string{},
	}
	for _, past := range header.Past {
		if past.Visit {
			a.Visits = append(a.Visits, past.Release)
		}
		if past.ClientMin != 0 {
			a.ClientMins[past.Release] = past.ClientMin
		}
	}
	return a
}
