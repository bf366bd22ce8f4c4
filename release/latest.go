package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ResolveAsking is [Resolve], but that a mirror is asked which release is its newest, where nothing else tells. A pre-release is none.
// Errors are also those of [List]; [ErrNotFound] is for a mirror without a release for the platform.
func ResolveAsking(ctx context.Context, arg string, options Options) (Artifact, error) {
	artifact, err := Resolve(arg, options)
	if !errors.Is(err, ErrNotListable) {
		return artifact, err
	}
	options.Platform = artifact.Platform
	listing, listErr := List(ctx, options)
	switch {
	case errors.Is(listErr, ErrNotListable):
		return artifact, err
	case listErr != nil:
		return artifact, listErr
	}
	at := slices.IndexFunc(listing.Releases, func(listed Listed) bool { return !listed.Prerelease })
	if at < 0 {
		return artifact, fmt.Errorf("%w: %s lists no release for %s", ErrNotFound, listing.Location, artifact.Platform)
	}
	return Resolve(string(listing.Releases[at].Tag), options)
}
