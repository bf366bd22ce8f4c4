package multiversion

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Sizes of the header (MultiversionHeader in upstream's src/multiversion.zig).
const (
	// HeaderSize is the size of the header in bytes.
	HeaderSize = 8192

	// SchemaVersion is the only schema that there is.
	SchemaVersion = 1

	// ReleasesMax is the number of releases that a header counts with, the
	// current one among them.
	ReleasesMax = 64

	// PastMax is how many past releases a header holds.
	PastMax = ReleasesMax - 1

	reservedSize = 4744
)

// Offsets in bytes of header fields that a report may point at.
const (
	OffsetChecksumBinary  = 16   // of Header.ChecksumBinary
	OffsetCurrentChecksum = 32   // of Header.Current.Checksum
	OffsetReserved        = 3448 // of Header.Reserved
)

// Offsets of the other fields in bytes. All integers are little-endian.
const (
	offsetChecksumHeader        = 0
	offsetSchemaVersion         = 48
	offsetReleasesMax           = 52
	offsetCurrentRelease        = 56
	offsetCurrentFlags          = 60
	offsetCurrentPadding        = 61
	offsetPastCount             = 64
	offsetPastReleases          = 68
	offsetPastChecksums         = 320
	offsetPastOffsets           = 1328
	offsetPastSizes             = 1580
	offsetPastFlags             = 1832
	offsetPastFlagsPadding      = 1895
	offsetPastCommits           = 1896
	offsetPastClientMins        = 3156
	offsetPastPadding           = 3408
	offsetCurrentCommit         = 3424
	offsetCurrentClientMin      = 3444
	flagVisit              byte = 1 << 0
	flagDebug              byte = 1 << 1
	flagsUnknown           byte = 0xff &^ (flagVisit | flagDebug)
)

// Commit is a git commit's hash.
type Commit [20]byte

// String returns the commit as 40 hexadecimal digits.
func (c Commit) String() string { return hex.EncodeToString(c[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (c Commit) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// ErrCommit is matched by every error of [Commit.UnmarshalText].
var ErrCommit = errors.New("not a git commit")

// UnmarshalText implements [encoding.TextUnmarshaler]: 40 hexadecimal digits. On
// error, which matches [ErrCommit], c is unchanged.
func (c *Commit) UnmarshalText(text []byte) error {
	var commit Commit
	if len(text) != hex.EncodedLen(len(commit)) {
		return fmt.Errorf("%w: %q: want 40 hexadecimal digits", ErrCommit, clip(string(text)))
	}
	if _, err := hex.Decode(commit[:], text); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrCommit, clip(string(text)), err)
	}
	*c = commit
	return nil
}

// Header is the decoded header of one architecture.
type Header struct {
	Checksum       Checksum `json:"checksum_header"`                // of the header's bytes behind this field
	ChecksumBinary Checksum `json:"checksum_binary_without_header"` // of the file with each header zeroed

	SchemaVersion uint32 `json:"schema_version"`
	ReleasesMax   uint32 `json:"vsr_releases_max"`

	Current Current `json:"current"`

	// Past holds the past releases, oldest first.
	Past []Past `json:"past"`

	// Reserved is the space for future fields, 4744 bytes that may hold
	// anything. Nil stands for zeros.
	Reserved []byte `json:"-"`
}

// Current describes the current release.
type Current struct {
	Release Release `json:"release"`
	Visit   bool    `json:"visit"` // always set
	Debug   bool    `json:"debug"`

	// Checksum is of the executable before the sections were added.
	Checksum Checksum `json:"checksum"`

	// Commit and ClientMin are zero up to release 0.15.4.
	Commit    Commit  `json:"git_commit,omitzero"`
	ClientMin Release `json:"release_client_min,omitzero"`
}

// Past describes one past release.
type Past struct {
	Release   Release  `json:"release"`
	Visit     bool     `json:"visit"` // an upgrade across this release must stop at it
	Debug     bool     `json:"debug"`
	Offset    uint32   `json:"offset"` // from the start of the body, in bytes
	Size      uint32   `json:"size"`   // in bytes
	Checksum  Checksum `json:"checksum"`
	Commit    Commit   `json:"git_commit"`
	ClientMin Release  `json:"release_client_min"`
}

// Releases returns every release in the file: the past ones, oldest first, and the
// current one.
func (h *Header) Releases() []Release {
	releases := make([]Release, 0, len(h.Past)+1)
	for _, past := range h.Past {
		releases = append(releases, past.Release)
	}
	return append(releases, h.Current.Release)
}

// Contains reports whether the file holds release, past or current.
func (h *Header) Contains(release Release) bool {
	return release == h.Current.Release || h.PastIndex(release) >= 0
}

// PastIndex returns the index of a past release, or -1.
func (h *Header) PastIndex(release Release) int {
	for index, past := range h.Past {
		if past.Release == release {
			return index
		}
	}
	return -1
}

// PackSize returns the sum of the past executables' sizes in bytes.
func (h *Header) PackSize() int64 {
	var size int64
	for _, past := range h.Past {
		size += int64(past.Size)
	}
	return size
}

// Advertisable returns the releases that a replica which runs the given
// release offers when it finds this file: the past ones from the oldest up to and
// including the first that is newer than running and must be visited, and if there
// is none, also the current one.
func (h *Header) Advertisable(running Release) []Release {
	releases := h.Releases()
	if stop, ok := h.VisitStop(running); ok {
		return releases[:h.PastIndex(stop)+1]
	}
	return releases
}

// VisitStop returns the past release that an upgrade from running must stop at
// before it goes on, if there is one.
func (h *Header) VisitStop(running Release) (Release, bool) {
	for _, past := range h.Past {
		if past.Release > running && past.Visit {
			return past.Release, true
		}
	}
	return 0, false
}

// decodeHeader decodes and validates a header that stands at offset at of its
// file (for the errors alone). It looks at the header's checksum first, then at the
// schema, then at the fields. The error is a [*FormatError], the first that
// [CheckHeader] finds.
func decodeHeader(raw *[HeaderSize]byte, at int64) (Header, error) {
	if failures := CheckHeader(raw, at); len(failures) > 0 {
		return Header{}, failures[0]
	}
	return DecodeUnchecked(raw), nil
}

// DecodeUnchecked reads the fields of a header whatever they say, for a report
// on a damaged file: nothing in the result may be trusted. At most [PastMax] past
// releases are read.
func DecodeUnchecked(raw *[HeaderSize]byte) Header {
	flags := raw[offsetCurrentFlags]
	header := Header{
		Checksum:       Checksum(raw[offsetChecksumHeader:][:16]),
		ChecksumBinary: Checksum(raw[OffsetChecksumBinary:][:16]),
		SchemaVersion:  binary.LittleEndian.Uint32(raw[offsetSchemaVersion:]),
		ReleasesMax:    binary.LittleEndian.Uint32(raw[offsetReleasesMax:]),
		Current: Current{
			Release:   Release(binary.LittleEndian.Uint32(raw[offsetCurrentRelease:])),
			Visit:     flags&flagVisit != 0,
			Debug:     flags&flagDebug != 0,
			Checksum:  Checksum(raw[OffsetCurrentChecksum:][:16]),
			Commit:    Commit(raw[offsetCurrentCommit:][:20]),
			ClientMin: Release(binary.LittleEndian.Uint32(raw[offsetCurrentClientMin:])),
		},
		Reserved: append([]byte(nil), raw[OffsetReserved:]...),
	}
	count := min(binary.LittleEndian.Uint32(raw[offsetPastCount:]), PastMax)
	for index := range int(count) {
		header.Past = append(header.Past, decodePast(raw, index))
	}
	return header
}

func decodePast(raw *[HeaderSize]byte, index int) Past {
	flags := raw[offsetPastFlags+index]
	return Past{
		Release:   Release(binary.LittleEndian.Uint32(raw[offsetPastReleases+4*index:])),
		Visit:     flags&flagVisit != 0,
		Debug:     flags&flagDebug != 0,
		Offset:    binary.LittleEndian.Uint32(raw[offsetPastOffsets+4*index:]),
		Size:      binary.LittleEndian.Uint32(raw[offsetPastSizes+4*index:]),
		Checksum:  Checksum(raw[offsetPastChecksums+16*index:][:16]),
		Commit:    Commit(raw[offsetPastCommits+20*index:][:20]),
		ClientMin: Release(binary.LittleEndian.Uint32(raw[offsetPastClientMins+4*index:])),
	}
}

// Encode returns the header's bytes with their checksum, whatever h.Checksum
// says. Zero stands for this schema and this ReleasesMax, and the current release
// is marked to be visited, as it always is. The result has passed every rule:
// the error is the [*FormatError] of the first one broken.
func (h *Header) Encode() ([HeaderSize]byte, error) {
	var raw [HeaderSize]byte
	if len(h.Past) > PastMax {
		return raw, broken(RulePastCount, offsetPastCount, "1 to 63", "%d past releases", len(h.Past))
	}
	if len(h.Reserved) > reservedSize {
		return raw, broken(RuleReserved, OffsetReserved, "at most 4744 bytes", "%d reserved bytes", len(h.Reserved))
	}
	copy(raw[OffsetChecksumBinary:], h.ChecksumBinary[:])
	copy(raw[OffsetCurrentChecksum:], h.Current.Checksum[:])
	binary.LittleEndian.PutUint32(raw[offsetSchemaVersion:], orDefault(h.SchemaVersion, SchemaVersion))
	binary.LittleEndian.PutUint32(raw[offsetReleasesMax:], orDefault(h.ReleasesMax, ReleasesMax))
	binary.LittleEndian.PutUint32(raw[offsetCurrentRelease:], uint32(h.Current.Release))
	raw[offsetCurrentFlags] = encodeFlags(true, h.Current.Debug)
	binary.LittleEndian.PutUint32(raw[offsetPastCount:], uint32(len(h.Past)))
	for index, past := range h.Past {
		encodePast(&raw, index, past)
	}
	copy(raw[offsetCurrentCommit:], h.Current.Commit[:])
	binary.LittleEndian.PutUint32(raw[offsetCurrentClientMin:], uint32(h.Current.ClientMin))
	copy(raw[OffsetReserved:], h.Reserved)
	SealHeader(&raw)
	if _, err := decodeHeader(&raw, 0); err != nil {
		return [HeaderSize]byte{}, err
	}
	return raw, nil
}

func encodePast(raw *[HeaderSize]byte, index int, past Past) {
	binary.LittleEndian.PutUint32(raw[offsetPastReleases+4*index:], uint32(past.Release))
	copy(raw[offsetPastChecksums+16*index:], past.Checksum[:])
	binary.LittleEndian.PutUint32(raw[offsetPastOffsets+4*index:], past.Offset)
	binary.LittleEndian.PutUint32(raw[offsetPastSizes+4*index:], past.Size)
	raw[offsetPastFlags+index] = encodeFlags(past.Visit, past.Debug)
	copy(raw[offsetPastCommits+20*index:], past.Commit[:])
	binary.LittleEndian.PutUint32(raw[offsetPastClientMins+4*index:], uint32(past.ClientMin))
}

// SealHeader writes the header's own checksum into raw.
func SealHeader(raw *[HeaderSize]byte) {
	sum := ChecksumOf(raw[OffsetChecksumBinary:])
	copy(raw[offsetChecksumHeader:], sum[:])
}

func encodeFlags(visit, debug bool) byte {
	var flags byte
	if visit {
		flags |= flagVisit
	}
	if debug {
		flags |= flagDebug
	}
	return flags
}

func orDefault(value, fallback uint32) uint32 {
	if value == 0 {
		return fallback
	}
	return value
}
