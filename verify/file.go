package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
)

// Options say what else is known of the file or asked of it. The zero value is useful.
type Options struct {
	// Mode is the file's mode, nil if it is not known.
	Mode *fs.FileMode

	// SHA256 asks for the file's SHA-256, computed in the same pass.
	SHA256 bool

	// Checksum asks for the checksum of the whole file as it is, which costs a small part of
	// that. It finds damage, not forgery.
	Checksum bool
}

// Report is the judgement of one file.
type Report struct {
	// Ok is whether everything that must hold was checked and held. Checks of
	// the current executable, which cannot always be made, and remarks may be missing.
	Ok bool `json:"ok"`

	// Diagnosis says in one line what the failed findings together mean: "the
	// file is cut short: …". It is empty if Ok.
	Diagnosis string `json:"diagnosis,omitempty"`

	Size     int64                 `json:"size"` // in bytes
	Format   multiversion.Format   `json:"format,omitempty"`
	Platform multiversion.Platform `json:"platform,omitempty"`
	SHA256   string                `json:"sha256,omitempty"` // 64 hexadecimal digits, if asked for
	Findings []Finding             `json:"findings"`

	// Checksum is that of the whole file as it is, header and all, if asked for.
	Checksum multiversion.Checksum `json:"-"`

	// Binary is the parsed file. It is nil unless every rule of the format held.
	Binary *multiversion.Binary `json:"-"`
}

// DamagedError says that a file is not whole.
type DamagedError struct {
	Name   string
	Report *Report
}

func (e *DamagedError) Error() string { return e.Name + ": " + e.Report.Diagnosis }

// Class is what it means: see [fault.Of].
func (e *DamagedError) Class() fault.Class { return fault.Rejected }

// Err is the [*DamagedError] of a file of this name that is not whole; nil of one that is.
func (r *Report) Err(name string) error {
	if r.Ok {
		return nil
	}
	return &DamagedError{name, r}
}

// File checks a file of size bytes: every finding, not only the first that
// failed. It reads the file once, in buffers of 256 KiB, 1 MiB of them at most,
// and of an ELF or PE file the current executable a second time beside it: r is read
// by two goroutines at once.
//
// A file that is no good is no error: Report.Ok is false then, and the error is nil.
// The error is the context's or the reader's, wrapped, or matches [ErrChanged] if the file
// did not stay the same; the report then says nothing.
func File(ctx context.Context, r io.ReaderAt, size int64, options Options) (Report, error) {
	judge := judge{r: r, size: size, options: options}
	if err := judge.run(ctx); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	report := Report{
		Size:     size,
		Format:   judge.layout.Format,
		SHA256:   judge.sha256Text(),
		Findings: judge.findings,
		Binary:   judge.binary,
	}
	if judge.whole != nil {
		report.Checksum = judge.whole.Checksum()
	}
	if judge.located {
		report.Platform = multiversion.PlatformOf(judge.layout.Format, judge.layout.Images[0].Arch)
	}
	report.Ok = judge.ok()
	if !report.Ok {
		report.Diagnosis = judge.zeroTail() + judge.diagnose()
	}
	return report, nil
}

// judge is one run of File.
type judge struct {
	r       io.ReaderAt
	size    int64
	options Options

	layout   multiversion.Layout
	located  bool
	failure  *multiversion.FormatError // of the location
	images   []image
	binary   *multiversion.Binary
	findings findings

	file   *multiversion.Hash // of the whole file, its headers being zeros
	whole  *multiversion.Hash // of the whole file as it is
	sha256 hash.Hash
}

// image is what is known of one architecture.
type image struct {
	multiversion.Image
	holds    bool // checksum and all fields of the header
	readable bool // the header says where the past executables stand
	schema   bool // the header's schema is known
	past     []*multiversion.Hash
	current  *multiversion.Hash
	why      string // current is nil
}

func (j *judge) run(ctx context.Context) error {
	if err := j.locate(); err != nil {
		return err
	}
	if j.located {
		if err := j.headers(); err != nil {
			return err
		}
	}
	if err := j.read(ctx); err != nil {
		return err
	}
	j.fileChecksum()
	if !j.located {
		j.notLocated()
	}
	for index := range j.images {
		if err := j.pastReleases(&j.images[index]); err != nil {
			return err
		}
		j.currentChecksum(&j.images[index])
	}
	j.sizeLimit()
	j.ownerExecute()
	return j.remarks()
}

// locate finds header and body. The error is the reader's.
func (j *judge) locate() error {
	layout, err := multiversion.Locate(j.r, j.size)
	if err == nil {
		j.layout, j.located = layout, true
		j.findings.add(Finding{Name: CheckLocation, Status: Held, Offset: layout.Images[0].Header.Offset})
		return nil
	}
	if errors.Is(err, multiversion.RuleRead) || !errors.As(err, &j.failure) {
		return err
	}
	finding := broken(CheckLocation, j.failure)
	finding.Detail = "the file is " + inspect.Describe(j.r, j.size).Text
	j.findings.add(finding)
	return nil
}

// headers reads and checks the header of each architecture.
func (j *judge) headers() error {
	for _, located := range j.layout.Images {
		raw, err := multiversion.ReadHeader(j.r, located)
		if err != nil {
			return err
		}
		j.header(located, &raw)
	}
	if len(j.images) < 2 {
		return nil
	}
	first, last := &j.images[0], &j.images[1]
	agree := Finding{
		Name: CheckHeadersAgree, Status: Held, Arch: last.Arch(), Offset: last.Layout.Header.Offset + multiversion.OffsetChecksumBinary,
		Expected: first.Header.ChecksumBinary.String(), Found: last.Header.ChecksumBinary.String(),
	}
	if agree.Expected != agree.Found {
		agree.Status, agree.Rule = Failed, string(multiversion.RuleHeaders)
		agree.Detail = "the headers of the two architectures carry different whole-file checksums"
	}
	j.findings.add(agree)
	return nil
}

func (j *judge) header(located multiversion.ImageLayout, raw *[multiversion.HeaderSize]byte) {
	found := image{Image: multiversion.Image{Layout: located, Header: multiversion.DecodeUnchecked(raw)}, schema: true, readable: true}
	checksum := Finding{Name: CheckHeaderChecksum, Status: Held, Arch: located.Arch, Offset: located.Header.Offset, Found: found.Header.Checksum.String()}
	var fields findings
	for _, failure := range multiversion.CheckHeader(raw, located.Header.Offset) {
		failure.Arch = located.Arch
		switch failure.Rule {
		case multiversion.RuleHeaderChecksum:
			checksum = broken(CheckHeaderChecksum, failure)
			continue
		case multiversion.RuleSchema:
			found.schema, found.readable = false, false
		case multiversion.RulePastCount, multiversion.RulePastOffset, multiversion.RulePastSize, multiversion.RulePastSum:
			found.readable = false
		}
		fields.add(broken(CheckHeaderFields, failure))
	}
	found.holds = checksum.Status == Held && len(fields) == 0
	if len(fields) == 0 {
		fields.add(Finding{Name: CheckHeaderFields, Status: Held, Arch: located.Arch, Offset: located.Header.Offset})
	}
	j.findings.add(checksum)
	j.findings = append(j.findings, fields...)
	j.packFits(&found)
	j.images = append(j.images, found)
}

func (j *judge) packFits(found *image) {
	finding := Finding{Name: CheckPackFits, Status: Held, Arch: found.Arch(), Offset: found.Layout.Body.Offset}
	var failure *multiversion.FormatError
	switch {
	case !found.readable:
		finding.Status, finding.Detail = NotChecked, "the header does not say where the past executables stand"
	case errors.As(multiversion.CheckBody(&found.Image), &failure):
		finding = broken(CheckPackFits, failure)
		finding.Arch = found.Arch()
		found.holds = false
	}
	j.findings.add(finding)
}

// read computes all checksums: in one pass over the file, and beside it the
// current executable of an ELF or PE file, a small part of it, for itself.
func (j *judge) read(ctx context.Context) error {
	if j.size >= multiversion.SizeMax {
		return ctx.Err()
	}
	streams := j.streams()
	if len(streams) == 0 {
		return ctx.Err()
	}
	waitCurrent := func() error { return nil }
	if j.located && j.layout.Format != multiversion.FormatMachO {
		executable, why, err := j.rebuild()
		if err != nil {
			return err
		}
		j.images[0].why = why
		if executable != nil {
			j.images[0].current = multiversion.NewHash()
			waitCurrent = startCurrent(ctx, executable, j.images[0].current)
		}
	}
	err := readOnce(ctx, j.r, j.size, streams)
	if currentErr := waitCurrent(); err == nil {
		err = currentErr
	}
	return err
}

// streams are the messages that one pass over the file gives.
func (j *judge) streams() []*stream {
	var streams []*stream
	if j.located {
		j.file = multiversion.NewHash()
		streams = append(streams, j.wholeStream())
	}
	for index := range j.images {
		streams = append(streams, j.imageStreams(&j.images[index])...)
	}
	if j.options.Checksum {
		j.whole = multiversion.NewHash()
		streams = append(streams, newStream(j.whole, multiversion.Extent{Size: j.size}))
	}
	if j.options.SHA256 {
		const costSHA256 = 13 // times that of the other checksum
		j.sha256 = sha256.New()
		stream := newStream(j.sha256, multiversion.Extent{Size: j.size})
		stream.cost *= costSHA256
		streams = append(streams, stream)
	}
	return streams
}

// wholeStream is the whole file with each header zeroed.
func (j *judge) wholeStream() *stream {
	s := &stream{sink: j.file, cost: j.size}
	var done int64
	zeros := make([]byte, multiversion.HeaderSize)
	for _, header := range j.layout.Headers() {
		if gap := header.Offset - done; gap > 0 {
			s.pieces = append(s.pieces, piece{extent: multiversion.Extent{Offset: done, Size: gap}})
			done = header.Offset
		}
		if rest := header.End() - done; rest > 0 { // headers may overlap
			s.pieces = append(s.pieces, piece{literal: zeros[:rest]})
			done = header.End()
		}
	}
	if done < j.size {
		s.pieces = append(s.pieces, piece{extent: multiversion.Extent{Offset: done, Size: j.size - done}})
	}
	return s
}

// imageStreams are the past executables and, in a universal file, the current one.
func (j *judge) imageStreams(found *image) []*stream {
	var streams []*stream
	if found.readable {
		for index := range found.Header.Past {
			extent := found.PastExtent(index)
			if extent.End() > found.Layout.Body.End() {
				break
			}
			sum := multiversion.NewHash()
			found.past = append(found.past, sum)
			streams = append(streams, newStream(sum, extent))
		}
	}
	if j.layout.Format != multiversion.FormatMachO {
		return streams
	}
	if found.Layout.Executable.Size == 0 {
		found.why = "the fat header gives no executable inside the file"
		return streams
	}
	found.current = multiversion.NewHash()
	return append(streams, newStream(found.current, found.Layout.Executable))
}

func (j *judge) sha256Text() string {
	if j.sha256 == nil {
		return ""
	}
	return hex.EncodeToString(j.sha256.Sum(nil))
}
