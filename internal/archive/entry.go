package archive

import (
	"io/fs"
	"strings"
)

// The names that a release's executable has, on UNIX and on Windows.
const (
	nameExecutable        = "tigerbeetle"
	nameExecutableWindows = "tigerbeetle.exe"
)

// What an archive may be.
const (
	// SizeMax is the executable's largest size in bytes: no reader of the format takes more.
	SizeMax = 256 << 20
	// othersMax is the largest size in bytes of all other entries together.
	othersMax = 16 << 20
	// entriesMax is the largest number of entries.
	entriesMax = 64
	// ratioMax is how many bytes one compressed byte may become, on average. Programs stay below 20.
	ratioMax = 300

	ratioFloor   = 4 << 20 // bytes that may be inflated before the ratio counts
	nameSizeMax  = 512
	extraSizeMax = 8 << 10
)

// limits bound what a reader accepts.
type limits struct {
	Size    int64 // bytes of the executable
	Others  int64 // bytes of all other entries together, compressed or not
	Entries int   // number of entries
}

var usual = limits{SizeMax, othersMax, entriesMax}

// An Entry is one file of an archive, as its headers describe it.
type Entry struct {
	Name string `json:"name"`
	// Mode is the UNIX mode that the central directory states, 0 when it states none (an archive made
	// for Windows) and until a stream has reached the directory.
	Mode fs.FileMode `json:"mode"`
	// Method is how the data is kept: "stored" or "deflated".
	Method string `json:"method"`
	// Size and SizeCompressed are in bytes, -1 while a stream has not yet learnt them.
	Size           int64 `json:"size"`
	SizeCompressed int64 `json:"size_compressed"`
	// CRC32 is the IEEE CRC-32 of the uncompressed data.
	CRC32 uint32 `json:"crc32"`
	// Offset and OffsetData are where the local header and the data begin, in bytes from the archive's start.
	Offset     int64 `json:"offset"`
	OffsetData int64 `json:"offset_data"`
}

// The compression methods that are read, by their numbers in a header.
const (
	methodStored   = 0
	methodDeflated = 8
)

func methodName(method uint16) string {
	if method == methodStored {
		return "stored"
	}
	return "deflated"
}

// isExecutableName reports whether name is one that a release's executable has.
func isExecutableName(name string) bool {
	return name == nameExecutable || name == nameExecutableWindows
}

// checkName refuses names that would leave a directory if anyone unpacked the archive there. Names
// are never used as paths here, but an archive with such a name is not a release.
func checkName(name string, offset int64) error {
	shown := name[:min(len(name), 80)]
	switch {
	case name == "":
		return broken(RuleName, offset, "an entry has no name")
	case strings.ContainsAny(name, "\\\x00"):
		return broken(RuleName, offset, "%q contains a backslash or a NUL", shown)
	case strings.HasPrefix(name, "/"), len(name) >= 2 && name[1] == ':':
		return broken(RuleName, offset, "%q is an absolute path", shown)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return broken(RuleName, offset, "%q climbs out of its directory", shown)
		}
	}
	return nil
}

// namesFound lists the names of an archive's entries for the error that says that none is the
// executable. It shows the first few.
func namesFound(records []record) string {
	if len(records) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i, r := range records {
		if i == 4 {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(r.name))
	}
	return b.String()
}
