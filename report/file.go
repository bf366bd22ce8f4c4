package report

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

// Input is a file that is looked at; of an archive the executable in it.
type Input interface {
	io.ReaderAt
	Size() int64
}

// Archive says which archive an executable came out of.
type Archive struct {
	Entry  string `json:"entry"`  // the name of the executable in it
	Method string `json:"method"` // how the entry is compressed
	Size   int64  `json:"size"`   // of the archive, in bytes
}

// Inspected is the result of inspect: one entry for each file, in the order in which they were named.
type Inspected struct {
	Files []InspectedFile `json:"files"`

	// AdvisoryList is where what is known of releases is from.
	AdvisoryList advisory.Edition `json:"advisory_list"`
}

// InspectedFile is what one file says of itself: Binary, DataFile or Error is there, and the others are absent.
type InspectedFile struct {
	File     string               `json:"file"` // as it was named; "-" is standard input
	Kind     inspect.Kind         `json:"kind"`
	Archive  *Archive             `json:"archive,omitempty"`
	Binary   *inspect.Report      `json:"binary,omitempty"`
	DataFile *datafile.Superblock `json:"data_file,omitempty"`
	Error    *Error               `json:"error,omitempty"`

	Advisories []advisory.Notice `json:"advisories"` // what is known of a binary's release
}

// Inspect reads what a file says of itself: a binary, and what a replica that runs a
// release would be offered of it, or a data file. On an error the file's kind is known.
func Inspect(ctx context.Context, name string, input Input, list *advisory.List, running ...multiversion.Release) (InspectedFile, error) {
	result := InspectedFile{File: name, Kind: inspect.Describe(input, input.Size())}
	binary, err := inspect.Inspect(input, input.Size(), inspect.Options{Running: running})
	if err == nil {
		result.Binary = binary
		subjects := []advisory.Subject{{About: advisory.AboutFile, Release: binary.Binary.Current()}}
		for _, release := range running {
			subjects = append(subjects, hops(&binary.Binary.HostImage().Header, release)...)
		}
		result.Advisories = list.Of(subjects...)
		return result, nil
	}
	superblock, dataErr := readDataFile(ctx, input)
	switch {
	case dataErr == nil:
		result.Kind = inspect.Kind{Name: "data-file", Text: "a TigerBeetle data file"}
		result.DataFile = &superblock
		return result, nil
	case errors.Is(dataErr, datafile.ErrNoCopy):
		return result, fmt.Errorf("%s: %w", name, err)
	}
	return result, fmt.Errorf("inspect %s: data file: %w", name, dataErr)
}

// readDataFile reads the superblock of what may be a data file. The error matches
// datafile.ErrNoCopy if it is none.
func readDataFile(ctx context.Context, input Input) (datafile.Superblock, error) {
	if input.Size() < datafile.ZoneSize {
		return datafile.Superblock{}, datafile.ErrNoCopy
	}
	prefix := make([]byte, datafile.ZoneSize)
	if _, err := input.ReadAt(prefix, 0); err != nil {
		return datafile.Superblock{}, err
	}
	if !datafile.Looks(prefix) {
		return datafile.Superblock{}, datafile.ErrNoCopy
	}
	return datafile.Read(ctx, input)
}

// Verified is the result of verify.
type Verified struct {
	File     string                 `json:"file"` // as it was named; "-" is standard input
	Kind     inspect.Kind           `json:"kind"`
	Archive  *Archive               `json:"archive,omitempty"` // absent: the file is no archive
	Report   verify.Report          `json:"report"`
	Against  string                 `json:"against,omitempty"` // the file that it was to be compared with
	Fit      *verify.ReplaceReport  `json:"fit,omitempty"`     // absent: it was not compared
	Releases []multiversion.Release `json:"releases,omitempty"`

	// Evidence is what vouches for the file from outside: a digest that was given, and a list beside it.
	Evidence []release.Evidence `json:"evidence"`

	// Advisories are what is known of the file's release, and after a comparison of the way to it.
	Advisories []advisory.Notice `json:"advisories"`

	list *advisory.List
}

// Verify checks a file. That it is not whole is no error, but in the report.
func Verify(ctx context.Context, name string, input Input, list *advisory.List, options verify.Options) (*Verified, error) {
	v := &Verified{list: list, File: name, Kind: inspect.Describe(input, input.Size())}
	var err error
	if v.Report, err = verify.File(ctx, input, input.Size(), options); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if v.Report.Binary != nil {
		v.Releases = v.Report.Binary.Images[0].Header.Releases()
	}
	v.advise()
	return v, nil
}

// Compared adds what came of the comparison with an installed file.
func (v *Verified) Compared(fit *verify.ReplaceReport) {
	v.Fit = fit
	v.advise()
}

func (v *Verified) advise() {
	var subjects []advisory.Subject
	if v.Report.Binary != nil {
		subjects = append(subjects, advisory.Subject{About: advisory.AboutFile, Release: v.Report.Binary.Current(), SHA256: []string{v.Report.SHA256}})
	}
	if v.Fit != nil {
		subjects = append(subjects, v.Fit.Subjects()...)
	}
	v.Advisories = v.list.Of(subjects...)
}
