package multiversion

import "runtime"

// Format is the container format of an executable.
type Format string

// The formats of TigerBeetle's binaries.
const (
	FormatELF   Format = "elf"
	FormatPE    Format = "pe"
	FormatMachO Format = "macho"
)

// String returns the format's usual spelling.
func (f Format) String() string {
	switch f {
	case FormatELF:
		return "ELF"
	case FormatPE:
		return "PE"
	case FormatMachO:
		return "Mach-O"
	}
	return "unknown format"
}

// Arch is a processor architecture, in upstream's spelling.
type Arch string

// The architectures of TigerBeetle's binaries. ArchUniversal stands for a
// Mach-O universal file, which holds several.
const (
	ArchX86_64    Arch = "x86_64"
	ArchAArch64   Arch = "aarch64"
	ArchUniversal Arch = "universal"
)

// Platform is what a binary was built for. As text it is upstream's name in
// the release assets, such as x86_64-linux.
type Platform string

// The platforms of the release assets. PlatformAArch64Windows has no asset,
// but upstream's reader accepts such a file.
const (
	PlatformX86_64Linux    Platform = "x86_64-linux"
	PlatformAArch64Linux   Platform = "aarch64-linux"
	PlatformX86_64Windows  Platform = "x86_64-windows"
	PlatformAArch64Windows Platform = "aarch64-windows"
	PlatformUniversalMacOS Platform = "universal-macos"
)

// PlatformOf returns the platform of a multiversion binary of this format
// and architecture. A Mach-O file is universal whatever arch says.
func PlatformOf(format Format, arch Arch) Platform {
	switch format {
	case FormatELF:
		return Platform(string(arch) + "-linux")
	case FormatPE:
		return Platform(string(arch) + "-windows")
	default:
		return PlatformUniversalMacOS
	}
}

// ThisPlatform returns the platform whose binaries run on this host, "" if there are none.
func ThisPlatform() Platform { return HostPlatform(runtime.GOOS, runtime.GOARCH) }

// HostPlatform returns the platform whose binaries run on the given GOOS and
// GOARCH, or "" if there is none.
func HostPlatform(goos, goarch string) Platform {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return PlatformX86_64Linux
	case "linux/arm64":
		return PlatformAArch64Linux
	case "windows/amd64":
		return PlatformX86_64Windows
	case "darwin/amd64", "darwin/arm64":
		return PlatformUniversalMacOS
	}
	return ""
}

const (
	mebibyte = 1 << 20

	// SizeMax is the size in bytes that no multiversion binary reaches, the
	// largest of upstream's reader (a macOS debug build).
	SizeMax = 256 * mebibyte

	sizeMaxRelease = 64 * mebibyte
)

// SizeLimit returns the size in bytes that a file of this format must stay
// below: 64 MiB, twice that for macOS, and twice again for a debug build. A replica
// that finds a file of its limit or more at its path crashes.
func SizeLimit(format Format, debug bool) int64 {
	limit := int64(sizeMaxRelease)
	if format == FormatMachO {
		limit *= 2
	}
	if debug {
		limit *= 2
	}
	return limit
}
