package release

import (
	"fmt"
	"runtime"
	"slices"
)

// A Platform is what a release is built for, in upstream's words.
type Platform string

// The platforms that upstream releases for.
const (
	LinuxX86_64    Platform = "x86_64-linux"
	LinuxAArch64   Platform = "aarch64-linux"
	WindowsX86_64  Platform = "x86_64-windows"
	MacOSUniversal Platform = "universal-macos"
)

// Platforms returns all of them.
func Platforms() []Platform {
	return []Platform{LinuxX86_64, LinuxAArch64, WindowsX86_64, MacOSUniversal}
}

// ParsePlatform checks that text names a platform. The error matches [ErrPlatform].
func ParsePlatform(text string) (Platform, error) {
	if p := Platform(text); slices.Contains(Platforms(), p) {
		return p, nil
	}
	return "", fmt.Errorf("%w: %q is none of %v", ErrPlatform, text[:min(len(text), 80)], Platforms())
}

// HostPlatform is the platform of this host. The error matches [ErrPlatform].
func HostPlatform() (Platform, error) { return platformOf(runtime.GOOS, runtime.GOARCH) }

func platformOf(system, architecture string) (Platform, error) {
	switch {
	case system == "darwin":
		return MacOSUniversal, nil
	case system == "linux" && architecture == "amd64":
		return LinuxX86_64, nil
	case system == "linux" && architecture == "arm64":
		return LinuxAArch64, nil
	case system == "windows" && architecture == "amd64":
		return WindowsX86_64, nil
	}
	return "", fmt.Errorf("%w: upstream releases nothing for %s on %s", ErrPlatform, system, architecture)
}

// AssetName is the file name of a platform's release archive.
func AssetName(p Platform, debug bool) string {
	if debug {
		return "tigerbeetle-" + string(p) + "-debug.zip"
	}
	return "tigerbeetle-" + string(p) + ".zip"
}
