package verify

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
)

// notLocated says of every check that needs the header that it was not made.
func (j *judge) notLocated() {
	for _, check := range []Check{CheckHeaderChecksum, CheckHeaderFields, CheckPackFits, CheckPastChecksum, CheckPastExecutable, CheckCurrentChecksum} {
		j.findings.add(Finding{Name: check, Status: NotChecked, Detail: "header and body were not found"})
	}
}

func (j *judge) fileChecksum() {
	finding := Finding{Name: CheckFileChecksum, Status: NotChecked, Detail: "header and body were not found"}
	defer func() { j.findings.add(finding) }()
	if !j.located {
		return
	}
	header := &j.images[0]
	finding.Offset = header.Layout.Header.Offset + multiversion.OffsetChecksumBinary
	if !header.schema {
		// Upstream keeps this field's place whatever the schema, but what a newer
		// schema takes the checksum of is not known.
		finding.Detail = fmt.Sprintf("schema version %d is not known", header.Header.SchemaVersion)
		return
	}
	finding.Detail = ""
	finding.Expected, finding.Found = header.Header.ChecksumBinary.String(), j.file.Checksum().String()
	finding.Status = statusOf(finding.Expected == finding.Found)
	if finding.Status == Failed {
		finding.Detail = "the bytes of the file outside its header are not those that it was built with"
	}
}

func statusOf(held bool) Status {
	if held {
		return Held
	}
	return Failed
}

// pastReleases compares each past executable with its checksum, its format and
// its architecture. The error is the reader's.
func (j *judge) pastReleases(found *image) error {
	if !found.readable {
		for _, check := range []Check{CheckPastChecksum, CheckPastExecutable} {
			j.findings.add(Finding{Name: check, Status: NotChecked, Arch: found.Arch(), Detail: "the header does not say where the past executables stand"})
		}
		return nil
	}
	for index, past := range found.Header.Past {
		extent := found.PastExtent(index)
		checksum := Finding{Name: CheckPastChecksum, Arch: found.Arch(), Release: past.Release, Offset: extent.Offset, Expected: past.Checksum.String()}
		executable := Finding{Name: CheckPastExecutable, Arch: found.Arch(), Release: past.Release, Offset: extent.Offset}
		if index >= len(found.past) {
			checksum.Status, checksum.Detail = NotChecked, "it does not fit in the body"
			executable.Status, executable.Detail = NotChecked, "it does not fit in the body"
		} else {
			checksum.Found = found.past[index].Checksum().String()
			checksum.Status = statusOf(checksum.Expected == checksum.Found)
			if err := j.pastExecutable(&executable, extent); err != nil {
				return err
			}
		}
		j.findings.add(checksum)
		j.findings.add(executable)
	}
	return nil
}

// pastExecutable identifies one past executable. The error is the reader's.
func (j *judge) pastExecutable(finding *Finding, extent multiversion.Extent) error {
	finding.Expected = fmt.Sprintf("%s %s", j.layout.Format, finding.Arch)
	member := io.NewSectionReader(j.r, extent.Offset, extent.Size)
	format, arch, err := multiversion.Identify(member, extent.Size)
	if errors.Is(err, multiversion.RuleRead) {
		return err
	}
	if err != nil {
		finding.Status, finding.Found = Failed, inspect.Describe(member, extent.Size).Text
		return nil
	}
	archs := []multiversion.Arch{arch}
	if arch == multiversion.ArchUniversal {
		archs, err = multiversion.UniversalArchs(member, extent.Size)
		if errors.Is(err, multiversion.RuleRead) {
			return err
		}
		// A fat header that cannot be read lists no architecture, which fails below.
	}
	finding.Found = fmt.Sprintf("%s %s", format, arch)
	finding.Status = statusOf(format == j.layout.Format && slices.Contains(archs, finding.Arch))
	if finding.Status == Failed && arch == multiversion.ArchUniversal {
		finding.Found += fmt.Sprintf(" %v", archs)
	}
	return nil
}

func (j *judge) currentChecksum(found *image) {
	header := found.Header
	finding := Finding{
		Name: CheckCurrentChecksum, Arch: found.Arch(), Release: header.Current.Release,
		Offset: found.Layout.Header.Offset + multiversion.OffsetCurrentChecksum, Expected: header.Current.Checksum.String(),
	}
	switch {
	case !found.schema:
		finding.Status, finding.Detail = NotChecked, fmt.Sprintf("schema version %d is not known", header.SchemaVersion)
	case found.current == nil:
		finding.Status, finding.Detail = NotChecked, found.why
	default:
		finding.Found = found.current.Checksum().String()
		finding.Status = statusOf(finding.Expected == finding.Found)
	}
	j.findings.add(finding)
}

func (j *judge) sizeLimit() {
	finding := Finding{Name: CheckSizeLimit, Status: NotChecked, Found: fmt.Sprintf("%d bytes", j.size)}
	defer func() { j.findings.add(finding) }()
	switch {
	case j.size >= multiversion.SizeMax:
		finding.Status, finding.Expected = Failed, fmt.Sprintf("less than %d bytes", int64(multiversion.SizeMax))
	case !j.located:
		finding.Detail = "header and body were not found, and the limit depends on the format"
	case !j.images[0].schema:
		finding.Detail = "the limit depends on the header's debug flag, whose place is not known in this schema"
	default:
		debug := false
		for _, image := range j.images {
			debug = debug || image.Header.Current.Debug
		}
		limit := multiversion.SizeLimit(j.layout.Format, debug)
		finding.Status, finding.Expected = statusOf(j.size < limit), fmt.Sprintf("less than %d bytes", limit)
	}
}

func (j *judge) ownerExecute() {
	finding := Finding{Name: CheckOwnerExecute, Status: NotChecked, Detail: "the file's mode is not known"}
	mode := j.options.Mode
	switch {
	case j.layout.Format == multiversion.FormatPE:
		finding.Detail = "on Windows no mode says whether a file may be executed"
	case mode != nil:
		finding.Status, finding.Detail = Held, ""
		finding.Expected, finding.Found = "u+x", mode.String()
		if mode.Perm()&0o100 == 0 {
			finding.Status, finding.Detail = Remarked, "a replica refuses a binary that its owner may not execute"
		}
	}
	j.findings.add(finding)
}

// remarks parses the file once more, now that every rule held, and adds what
// deserves a remark. The error is the reader's, or matches [ErrChanged] if the
// header is not the one checked any more.
func (j *judge) remarks() error {
	if !j.located || len(j.findings.failed(CheckHeadersAgree)) > 0 {
		return nil
	}
	for index := range j.images {
		if !j.images[index].holds {
			return nil
		}
	}
	binary, err := multiversion.Parse(j.r, j.size)
	if errors.Is(err, multiversion.RuleRead) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %v", ErrChanged, err) // the rule is that of another file
	}
	if !slices.EqualFunc(j.images, binary.Images, func(a image, b multiversion.Image) bool { return a.Header.Checksum == b.Header.Checksum }) {
		return ErrChanged
	}
	j.binary = binary
	for _, remark := range inspect.Of(binary, inspect.Options{}).Remarks {
		if remark.Name == inspect.RemarkSize {
			continue // a finding of its own here
		}
		j.findings.add(Finding{
			Name: Check(remark.Name), Status: Remarked, Rule: remark.Name, Offset: remark.Offset,
			Arch: remark.Arch, Release: remark.Release, Detail: remark.Detail,
		})
	}
	return nil
}

// ErrChanged says that a file changed while it was read.
var ErrChanged = fault.New(fault.Busy, "the file changed while it was read")

// ok reports whether all that must hold was checked and held.
func (j *judge) ok() bool {
	if len(j.findings.failed()) > 0 || j.binary == nil {
		return false
	}
	for _, check := range []Check{CheckLocation, CheckHeaderChecksum, CheckHeaderFields, CheckPackFits, CheckFileChecksum, CheckPastChecksum, CheckPastExecutable, CheckSizeLimit} {
		if !j.findings.held(check) {
			return false
		}
	}
	return true
}
