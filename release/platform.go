package release

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/tbctl/tbctl/multiversion"
)

// Platforms returns the platforms that upstream releases for.
func Platforms() []multiversion.Platform {
	return []multiversion.Platform{
		multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux, multiversion.PlatformX86_64Windows, multiversion.PlatformUniversalMacOS,
	}
}

// ParsePlatform checks that text names one of [Platforms]. The error matches [ErrPlatform].
func ParsePlatform(text string) (multiversion.Platform, error) {
	if p := multiversion.Platform(text); slices.Contains(Platforms(), p) {
		return p, nil
	}
	return "", fmt.Errorf("%w: %q is none of %v", ErrPlatform, text[:min(len(text), 80)], Platforms())
}

// HostPlatform is the platform of this host. The error matches [ErrPlatform].
func HostPlatform() (multiversion.Platform, error) {
	if p := multiversion.ThisPlatform(); slices.Contains(Platforms(), p) {
		return p, nil
	}
	return "", fmt.Errorf("%w: upstream releases nothing for %s on %s", ErrPlatform, runtime.GOOS, runtime.GOARCH)
}

// AssetName is the file name of a platform's release archive.
func AssetName(p multiversion.Platform, debug bool) string {
	if debug {
		return "tigerbeetle-" + string(p) + "-debug.zip"
	}
	return "tigerbeetle-" + string(p) + ".zip"
}
