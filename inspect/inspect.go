// Package inspect says what a multiversion binary says of itself.
//
// It reads the few KiB that describe the file, writes nothing, and judges
// nothing: that is package verify's work. Of a multiversion binary no byte of the
// executables is read, so nothing here proves that they are whole. To say whether
// there is an executable in a zip archive, its directory and the headers of its entries
// are read, a few hundred KiB at most.
package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tbctl/tbctl/multiversion"
)

// Options say what to report beyond the file itself. The zero value is useful.
type Options struct {
	// Running are releases that replicas may run: for each the report says what such
	// a replica would offer if it found this file.
	Running []multiversion.Release
}

// Report is what a multiversion binary says of itself.
type Report struct {
	Format       multiversion.Format   `json:"format"`
	Platform     multiversion.Platform `json:"platform"`
	Size         int64                 `json:"size"` // in bytes
	SectionTable multiversion.Extent   `json:"section_table"`

	// Images has one entry for ELF and PE, and for Mach-O two: aarch64, then x86_64.
	Images []Image `json:"images"`

	// Stretches are the file's map: every byte from 0 to Size once, in order.
	Stretches []Stretch `json:"stretches"`

	// Running has an entry for each release asked for and each image.
	Running []Running `json:"running,omitempty"`

	// Remarks are what TigerBeetle accepts but an operator should know.
	Remarks []Remark `json:"remarks,omitempty"`

	// Binary is the parsed file, for further questions.
	Binary *multiversion.Binary `json:"-"`
}

// Image is what the file holds for one architecture.
type Image struct {
	Arch           multiversion.Arch     `json:"arch"`
	SchemaVersion  uint32                `json:"schema_version"`
	ReleasesMax    uint32                `json:"vsr_releases_max"`
	Header         multiversion.Extent   `json:"header"`
	Body           multiversion.Extent   `json:"body"`
	PackSize       int64                 `json:"pack_size"` // in bytes, at most the body's
	ChecksumHeader multiversion.Checksum `json:"checksum_header"`
	ChecksumBinary multiversion.Checksum `json:"checksum_binary_without_header"`
	Current        Current               `json:"current"`

	// Releases is the table of what the image holds: the past releases, oldest
	// first, and the current one last.
	Releases []Release `json:"releases"`
}

// Current is the release that starts when the file is executed.
type Current struct {
	Release   multiversion.Release  `json:"release"`
	GitCommit multiversion.Commit   `json:"git_commit,omitzero"`         // absent up to 0.15.4
	ClientMin multiversion.Release  `json:"release_client_min,omitzero"` // absent up to 0.15.4
	Visit     bool                  `json:"visit"`
	Debug     bool                  `json:"debug"`
	Checksum  multiversion.Checksum `json:"checksum"` // of the executable before the sections were added
}

// Release is one row of the table of embedded releases.
type Release struct {
	Release multiversion.Release `json:"release"`
	Current bool                 `json:"current"`
	Visit   bool                 `json:"visit"` // an upgrade across this release stops at it
	Debug   bool                 `json:"debug"`

	// Offset is where the executable starts in the file and Size is its size,
	// both in bytes. The current one of an ELF or PE file starts at 0, and its size
	// is that of all that is neither body nor header: a little more than it
	// had before the sections were added.
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`

	GitCommit multiversion.Commit   `json:"git_commit,omitzero"`
	ClientMin multiversion.Release  `json:"release_client_min,omitzero"`
	Checksum  multiversion.Checksum `json:"checksum"`
}

// Running is what a replica that runs Release offers when it finds the file.
type Running struct {
	Release   multiversion.Release `json:"release"`
	Arch      multiversion.Arch    `json:"arch"`
	Contained bool                 `json:"contained"` // a replica refuses a file without the release that it runs

	// Offered are the releases that such a replica would offer to the cluster.
	Offered []multiversion.Release `json:"offered"`

	// Stop is the past release that the upgrade must stop at first, 0 if none.
	Stop multiversion.Release `json:"stop,omitzero"`
}

// Inspect reports what the file of size bytes says of itself, from a few KiB of it.
//
// The error is a [*NotMultiversionError] for a file of another kind, a
// [*multiversion.FormatError], wrapped, for a multiversion binary that breaks a rule of
// the format, and what r returned, wrapped, if it could not be read.
func Inspect(r io.ReaderAt, size int64, options Options) (*Report, error) {
	binary, err := multiversion.Parse(r, size)
	if err == nil {
		return Of(binary, options), nil
	}
	if errors.Is(err, multiversion.RuleRead) {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	kind := describe(r, size, err)
	if kind.stranger() {
		return nil, &NotMultiversionError{Kind: kind, Err: err}
	}
	return nil, fmt.Errorf("inspect: %w", err)
}

// Of reports on a file that has been parsed already, and reads nothing.
func Of(binary *multiversion.Binary, options Options) *Report {
	report := &Report{
		Format:       binary.Format,
		Platform:     binary.Platform(),
		Size:         binary.Size,
		SectionTable: binary.SectionTable,
		Stretches:    stretches(binary),
		Remarks:      remarks(binary),
		Binary:       binary,
	}
	for index := range binary.Images {
		report.Images = append(report.Images, imageOf(binary, &binary.Images[index]))
	}
	for _, release := range options.Running {
		for index := range binary.Images {
			report.Running = append(report.Running, runningOf(&binary.Images[index], release))
		}
	}
	return report
}

func imageOf(binary *multiversion.Binary, image *multiversion.Image) Image {
	header := &image.Header
	result := Image{
		Arch:           image.Arch(),
		SchemaVersion:  header.SchemaVersion,
		ReleasesMax:    header.ReleasesMax,
		Header:         image.Layout.Header,
		Body:           image.Layout.Body,
		PackSize:       header.PackSize(),
		ChecksumHeader: header.Checksum,
		ChecksumBinary: header.ChecksumBinary,
		Current: Current{
			Release:   header.Current.Release,
			GitCommit: header.Current.Commit,
			ClientMin: header.Current.ClientMin,
			Visit:     header.Current.Visit,
			Debug:     header.Current.Debug,
			Checksum:  header.Current.Checksum,
		},
	}
	for index, past := range header.Past {
		result.Releases = append(result.Releases, Release{
			Release:   past.Release,
			Visit:     past.Visit,
			Debug:     past.Debug,
			Offset:    image.PastExtent(index).Offset,
			Size:      int64(past.Size),
			GitCommit: past.Commit,
			ClientMin: past.ClientMin,
			Checksum:  past.Checksum,
		})
	}
	executable := executableOf(binary, image)
	result.Releases = append(result.Releases, Release{
		Release:   header.Current.Release,
		Current:   true,
		Visit:     header.Current.Visit,
		Debug:     header.Current.Debug,
		Offset:    executable.Offset,
		Size:      executable.Size,
		GitCommit: header.Current.Commit,
		ClientMin: header.Current.ClientMin,
		Checksum:  header.Current.Checksum,
	})
	return result
}

// executableOf returns where the current executable stands. In ELF and PE files
// it is not in one piece: the size is the sum of its pieces.
func executableOf(binary *multiversion.Binary, image *multiversion.Image) multiversion.Extent {
	if binary.Format == multiversion.FormatMachO {
		return image.Layout.Executable
	}
	return multiversion.Extent{Size: binary.Size - image.Layout.Header.Size - image.Layout.Body.Size}
}

func runningOf(image *multiversion.Image, release multiversion.Release) Running {
	running := Running{
		Release:   release,
		Arch:      image.Arch(),
		Contained: image.Header.Contains(release),
		Offered:   slices.Clone(image.Header.Advertisable(release)),
	}
	running.Stop, _ = image.Header.VisitStop(release)
	return running
}
